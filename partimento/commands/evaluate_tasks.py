"""`partimento evaluate tasks --data DIR`: what the classification tasks are, and which of their files are here."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from partimento.commands.flags import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """List the tasks with their classes and splits; with --data, how many of their files are in a folder."""

    data: Path | None = None
    """Folder of MIDI files, in which the tasks' are found by content; or a metadata.json of the published layout."""
    missing: bool = False
    """Name each missing file by the beginning of its SHA-256, and where it comes from."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="evaluate tasks")
    from partimento.corpus.selection.splits import SPLITS
    from partimento.evaluate.tasks import TASKS, find_all, task

    for one in find_all(options.data) if options.data else [task(name) for name in TASKS]:
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
