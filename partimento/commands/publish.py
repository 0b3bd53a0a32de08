"""`partimento publish STORE -o FOLDER`: a note store -> Parquet files that anyone can read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import Force, VerbOptions
from partimento.commands.common.outputs import folder_to_write


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Write a note store as Parquet that datasets.load_dataset reads; 'partimento store FOLDER' undoes it."""

    store: Annotated[Path, tyro.conf.Positional]
    """Note store made by 'partimento store'."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the Parquet files."""
    force: Force = False


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="publish")
    folder_to_write(options.out, force=options.force)
    from partimento.corpus.store.note_store import NoteStore
    from partimento.corpus.store.parquet import publish

    store = NoteStore(options.store)
    with options.counted("publishing", total=len(store)) as advance:
        parts = publish(store, options.out, replace=options.force, progress=advance)
    size = sum(part.stat().st_size for part in parts)
    facts = {"folder": options.out, "files": len(store), "parts": len(parts), "bytes": size}
    options.report(facts, f"{len(store)} files in {len(parts)} parts, {size / 2**20:,.1f} MiB, in {options.out}")
    return 0
