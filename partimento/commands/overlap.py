"""`partimento overlap A B`: which files of A are already in B, as the same bytes, performance or piece?"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from partimento.commands.flags import parse
from partimento.commands.progress import passing
from partimento.errors import UserError

if TYPE_CHECKING:
    from partimento.corpus.duplicates.index import PassageIndex

EXIT_OVERLAP = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Find the files of A that are also in B, re-encoded, transposed, re-timed, cut, or played by someone else.

    Status: 0; with --check 1 if there are some; 2 if something cannot be read.
    """

    a: Annotated[str, tyro.conf.Positional]
    """Folder, archive or URL of MIDI files, surveyed corpus, or note store."""
    b: Annotated[str, tyro.conf.Positional]
    """The same, or a passage index."""
    json: bool = False
    """Print JSON instead of a list."""
    check: bool = False
    """Exit with status 1 if any file of A is in B, for scripts."""
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """CSV file with a row for every file of A."""
    keep_index: Path | None = None
    """Keep B's passage index in this new folder; it can be B of later calls."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="overlap")
    from partimento.corpus import overlap

    refused: Counter[str] = Counter()

    def report(name: str, error: UserError) -> None:
        refused["files"] += 1
        print(f"refused: {name}: {error}", file=sys.stderr)

    with _index(options.b, options.keep_index, report) as index:
        files = passing("comparing", overlap.fingerprints_of(options.a, report))
        findings = list(overlap.overlap(files, index))
        size = len(index)
    counts = Counter(finding.relation for finding in findings)
    rows = [finding.row for finding in findings]
    related = [row for row in rows if row["relation"] != overlap.NONE]
    if options.out:
        overlap.write(findings, options.out)
    if options.json:
        summary = {"a": options.a, "b": options.b, "files_in_a": len(rows), "files_in_b": size}
        counted_by = {relation: counts[relation] for relation in overlap.RELATIONS}
        print(json.dumps(summary | {"refused": refused["files"], "counts": counted_by, "files": related}, indent=1))
    else:
        for row in related:
            print(f"{row['relation']}: {row['file']} = {row['other']}{_how(row)}")
        found = ", ".join(f"{relation} {counts[relation]}" for relation in overlap.RELATIONS)
        print(f"{len(rows)} files of {options.a} beside {size} of {options.b}: {found}")
    return EXIT_OVERLAP if related and options.check else 0


@contextmanager
def _index(location: str, keep: Path | None, report: Any) -> Iterator[PassageIndex]:
    """B's passage index: the one it is, or one made of it, kept or not."""
    from partimento.corpus import overlap
    from partimento.corpus.duplicates.index import MANIFEST

    if keep and Path(location, MANIFEST).is_file():
        raise UserError(f"{location} is a passage index already; leave --keep-index out")
    with tempfile.TemporaryDirectory() as scratch:
        yield overlap.index_of(location, keep or Path(scratch, "index"), report, counted=partial(passing, "indexing"))


def _how(row: dict[str, Any]) -> str:
    parts = []
    if row["transposition"]:
        parts.append(f"{row['transposition']:+d} semitones")
    if row["scale"] is not None:
        parts.append(f"time x {row['scale']:g} {row['shift_s']:+g} s")
    return f" ({', '.join(parts)})" if parts else ""
