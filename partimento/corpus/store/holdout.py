"""A folder of one's own music -> a note store, with a part held out that shares no piece with the rest.

Where a corpus of thousands draws its splits by chance (`splits.py`), a few dozen files need a part that is neither
empty nor half of everything. What is the same performance or plays the same piece is told from the notes
(`duplicates/`). It refuses to know what is done with the store.

    >>> store_by_piece("my-folder", "store")       # doctest: +SKIP
    [('draft.mid', 'draft.mid: no piano notes')]
"""

from __future__ import annotations

import os
from typing import Final

import numpy as np
import numpy.typing as npt

from partimento.corpus.archives import SourceError
from partimento.corpus.duplicates.fingerprints import fingerprint
from partimento.corpus.duplicates.relations import relations
from partimento.corpus.sources import open_source
from partimento.corpus.store.build import write_store
from partimento.corpus.store.packing import Packed, pack
from partimento.corpus.store.plans import Refusal
from partimento.errors import UserError
from partimento.midi.instruments import INSTRUMENTS
from partimento.midi.performance import Performance
from partimento.tokens.notes import Notes

FEWEST_PIECES: Final = 5
"""With fewer, what is held out would say nothing of what is not."""
HELD_OUT: Final = (0.1, 0.3)
"""The share of the notes that is held out: at least, and at most."""

_PIANO: Final = INSTRUMENTS.index("piano")


def store_by_piece(location: str | os.PathLike[str], out: str | os.PathLike[str]) -> list[Refusal]:
    """Make a new store at `out` of a folder or archive, its splits "train" and "validation"; what is passed over.

    Every file is read once, and all notes are held in memory. Of files of equal bytes the first is taken. Raises
    `UserError` if there are fewer than `FEWEST_PIECES` pieces, or if they cannot be parted (one has nearly all notes).
    """
    source, refused = open_source(location), list[Refusal]()
    packed: dict[str, Packed] = {}
    paths: dict[bytes, str] = {}
    prints = []
    for path, data in source.read_many(entry.path for entry in source.entries()):
        try:
            if isinstance(data, SourceError):
                raise data
            performance = Performance.from_midi(data, name=path)
            content = bytes.fromhex(performance.source.sha256)
            if content in paths:
                raise UserError(f"{path}: the same bytes as {paths[content]}")
            notes = Notes.from_performance(performance, instruments=[_PIANO])
            if not len(notes):
                raise UserError(f"{path}: no piano notes")
        except UserError as error:
            refused.append((path, str(error)))
            continue
        paths[content] = path
        packed[path] = pack(performance)
        prints.append(fingerprint(notes))
    counts = np.array([len(one) for one in packed.values()], np.int64)
    found = relations(prints, counts)
    pieces = len(np.unique(found.piece_group))
    if pieces < FEWEST_PIECES:
        copies = f" of {pieces} pieces" if pieces < len(packed) else ""
        raise UserError(
            f"{source.location}: {len(packed)} readable MIDI files{copies}, too few to hold some out; "
            f"give at least {FEWEST_PIECES} pieces, better a few dozen"
        )
    held_out = hold_out(found.piece_group, counts, list(paths))
    if not held_out.any():
        raise UserError(f"{source.location}: one piece has nearly all of the notes; add files of other pieces")
    columns = {
        "name": list(packed),
        "sha256": list(paths),
        "split": np.where(held_out, "validation", "train").tolist(),
        "piece": found.piece_group.tolist(),
        "performance": found.performance_group.tolist(),
    }
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    write_store(out, list(zip(rows, packed.values(), strict=True)))
    return refused


def hold_out(
    groups: npt.NDArray[np.integer], notes: npt.NDArray[np.integer], contents: list[bytes]
) -> npt.NDArray[np.bool_]:
    """Which of n files are held out, bool [n]: whole groups, until the lower bound of `HELD_OUT` is reached.

    Groups come in the order of their smallest content, which says nothing of their names; one that would take too much
    is passed over. None is held out if no group is small enough.
    """
    low, high = (share * notes.sum() for share in HELD_OUT)
    held = np.zeros(len(groups), bool)
    for group in sorted(np.unique(groups), key=lambda group: min(contents[i] for i in np.flatnonzero(groups == group))):
        members = groups == group
        if notes[held | members].sum() <= high:
            held |= members
        if notes[held].sum() >= low:
            break
    return held
