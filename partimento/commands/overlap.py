"""`partimento overlap A B`: which files of A are already in B, as the same bytes, performance or piece?"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import Check, Force, VerbOptions, warn
from partimento.commands.common.outputs import file_to_write
from partimento.commands.common.progress import passing
from partimento.errors import UserError
from partimento.files import refuse_existing

if TYPE_CHECKING:
    from partimento.corpus.duplicates.index import PassageIndex

EXIT_OVERLAP = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Find the files of A that are also in B, re-encoded, transposed, re-timed, cut, or played by someone else.

    Status: 0; with --check 1 if there are some; 2 if something cannot be read.
    """

    a: Annotated[str, tyro.conf.Positional]
    """Folder, archive or URL of MIDI files, surveyed corpus, or note store."""
    b: Annotated[str, tyro.conf.Positional]
    """The same, or a passage index."""
    check: Check = False
    out: Annotated[Path | None, tyro.conf.arg(aliases=["-o"])] = None
    """CSV file with a row for every file of A."""
    keep_index: Path | None = None
    """Keep B's passage index in this folder; it can be B of later calls."""
    force: Force = False


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="overlap")
    if options.out is not None:
        file_to_write(options.out, ".csv", force=options.force)
    if options.keep_index is not None:
        refuse_existing(options.keep_index, force=options.force)
    from partimento.corpus import overlap

    refused: Counter[str] = Counter()

    def report(name: str, error: UserError) -> None:
        refused["files"] += 1
        warn(f"refused: {name}: {error}")

    with _index(options, report) as index:
        files = passing("comparing", overlap.fingerprints_of(options.a, report), shown=not options.quiet)
        findings = list(overlap.overlap(files, index))
        size = len(index)
    counts = Counter(finding.relation for finding in findings)
    rows = [finding.row for finding in findings]
    related = [row for row in rows if row["relation"] != overlap.NONE]
    if options.out:
        overlap.write(findings, options.out)
    if not options.json:
        for row in related:
            print(f"{row['relation']}: {row['file']} = {row['other']}{_how(row)}")
    summary = {"a": options.a, "b": options.b, "files_in_a": len(rows), "files_in_b": size}
    counted_by = {relation: counts[relation] for relation in overlap.RELATIONS}
    found = ", ".join(f"{relation} {count}" for relation, count in counted_by.items())
    options.report(
        summary | {"refused": refused["files"], "counts": counted_by, "files": related},
        f"{len(rows)} files of {options.a} beside {size} of {options.b}: {found}",
    )
    return EXIT_OVERLAP if related and options.check else 0


@contextmanager
def _index(options: Options, report: Any) -> Iterator[PassageIndex]:
    """B's passage index: the one it is, or one made of it, kept or not."""
    from partimento.corpus import overlap
    from partimento.corpus.duplicates.index import MANIFEST

    location, keep = options.b, options.keep_index
    if keep and Path(location, MANIFEST).is_file():
        raise UserError(f"{location} is a passage index already; leave --keep-index out")
    with tempfile.TemporaryDirectory() as scratch:
        indexing = partial(passing, "indexing", shown=not options.quiet)
        out = keep or Path(scratch, "index")
        yield overlap.index_of(location, out, report, counted=indexing, replace=options.force)


def _how(row: dict[str, Any]) -> str:
    parts = []
    if row["transposition"]:
        parts.append(f"{row['transposition']:+d} semitones")
    if row["scale"] is not None:
        parts.append(f"time x {row['scale']:g} {row['shift_s']:+g} s")
    return f" ({', '.join(parts)})" if parts else ""
