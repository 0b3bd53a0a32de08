"""`partimento publish STORE -o FOLDER`: a note store -> Parquet files that anyone can read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.flags import parse
from partimento.commands.progress import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Write a note store as Parquet, one row per file; 'partimento store FOLDER' makes the same store of it again."""

    store: Annotated[Path, tyro.conf.Positional]
    """Note store made by 'partimento store'."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the new files; must not exist."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="publish")
    from partimento.corpus.store.note_store import NoteStore
    from partimento.corpus.store.parquet import publish

    store = NoteStore(options.store)
    with counted("publishing", total=len(store)) as advance:
        parts = publish(store, options.out, progress=advance)
    size = sum(part.stat().st_size for part in parts)
    print(f"{len(store)} files in {len(parts)} parts, {size / 2**20:,.1f} MiB, in {options.out}")
    return 0
