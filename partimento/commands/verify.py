"""`partimento verify STORE`: does a note store still hold, bit for bit, what was written?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import VerbOptions
from partimento.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Read every byte of a note store and compare the hashes of its shards; status 0 if all is well, 2 if not."""

    store: Annotated[Path, tyro.conf.Positional]
    """Note store made by 'partimento store'."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="verify")
    from partimento.corpus.store.note_store import NoteStore

    store = NoteStore(options.store)
    damage = []
    with options.counted("verifying", total=len(store)) as advance:
        for shard, what in store.damage():
            damage += [what] * bool(what)
            advance(shard.files)
    if damage:
        raise UserError(f"{options.store}: damaged note store ({'; '.join(damage)}); rebuild it")
    notes = sum(shard.notes for shard in store.shards)
    facts = {"store": options.store, "shards": len(store.shards), "files": len(store), "notes": notes}
    options.report(facts, f"{options.store}: sound; {len(store.shards)} shards, {len(store)} files, {notes:,} notes")
    return 0
