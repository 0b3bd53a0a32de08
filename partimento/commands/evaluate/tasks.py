"""`partimento evaluate tasks --data DIR`: what the classification tasks are, and which of their files are here."""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass

from partimento.commands.common.flags import parse
from partimento.commands.common.options import AnyData, VerbOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """List the tasks with their classes and splits; with --data, how many of their files are in a folder."""

    data: AnyData = None
    missing: bool = False
    """Name each missing file by the beginning of its SHA-256, and where it comes from."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="evaluate tasks")
    from partimento.corpus.selection.splits import SPLITS
    from partimento.evaluate.tasks import TASKS, find_all, task

    tasks = find_all(options.data) if options.data else [task(name) for name in TASKS]
    if options.json:
        options.report({one.name: [dataclasses.asdict(example) for example in one.examples] for one in tasks})
        return 0
    for one in tasks:
        here = f"; {len(one.missing)} not here" if options.data else ""
        print(f"{one.name}: {len(one.examples)} files{here}")
        counts = Counter((example.label, example.split) for example in one.examples)
        width = max(map(len, one.classes))
        for label in one.classes:
            print(f"  {label:{width}}", *(f"  {split} {counts[label, split]:4}" for split in SPLITS))
        if options.data and options.missing:
            for example in one.missing:
                print(f"  missing: {example.sha256} ({example.label}, {example.split}, {example.source or 'unknown'})")
    return 0
