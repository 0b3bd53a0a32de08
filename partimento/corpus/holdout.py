"""A folder of one's own music as a plan for a note store, with a part held out that shares no piece with the rest.

Where a corpus of thousands draws its splits by chance (`splits.py`), a few dozen files need a part that is neither
empty nor half of everything. What is the same performance or plays the same piece is told from the notes
(`duplicates.py`). It refuses to know what is done with the store.

    >>> plan, refused = plan_by_piece("my-folder")       # doctest: +SKIP
    >>> build(plan, "store")                             # doctest: +SKIP
"""

from __future__ import annotations

import os
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from partimento.corpus.duplicates import relations
from partimento.corpus.fingerprints import fingerprint
from partimento.corpus.plans import Refusal, plan_folder
from partimento.corpus.sources import SourceError, open_source
from partimento.errors import UserError
from partimento.midi.performance import INSTRUMENTS, Performance
from partimento.tokens.notes import Notes

FEWEST_PIECES: Final = 5
"""With fewer, what is held out would say nothing of what is not."""
HELD_OUT: Final = (0.1, 0.3)
"""The share of the notes that is held out: at least, and at most."""

_PIANO: Final = INSTRUMENTS.index("piano")


def plan_by_piece(location: str | os.PathLike[str]) -> tuple[pa.Table, list[Refusal]]:
    """The readable files of a folder or archive, each for "train" or "validation"; and what is passed over.

    Raises `UserError` if there are fewer than `FEWEST_PIECES` pieces, or if they cannot be parted (one has nearly all
    notes).
    """
    plan, refused = plan_folder(location)
    source = open_source(location)
    rows = {row["path"]: row for row in plan.to_pylist()}
    prints, counts, read = [], [], []
    for path, data in source.read_many(rows):
        try:
            if isinstance(data, SourceError):
                raise data
            notes = Notes.from_performance(Performance.from_midi(data), instruments=[_PIANO])
        except UserError as error:
            refused.append((path, str(error)))
            continue
        if not len(notes):
            refused.append((path, f"{path}: no piano notes"))
            continue
        prints.append(fingerprint(notes))
        counts.append(len(notes))
        read.append(path)
    found = relations(prints, counts)
    pieces = len(np.unique(found.piece_group))
    if pieces < FEWEST_PIECES:
        copies = f" of {pieces} pieces" if pieces < len(read) else ""
        raise UserError(
            f"{source.location}: {len(read)} readable MIDI files{copies}, too few to hold some out; "
            f"give at least {FEWEST_PIECES} pieces, better a few dozen"
        )
    held_out = hold_out(found.piece_group, np.array(counts), [rows[path]["sha256"] for path in read])
    if not held_out.any():
        raise UserError(f"{source.location}: one piece has nearly all of the notes; add files of other pieces")
    for path, piece, performance, held in zip(
        read, found.piece_group.tolist(), found.performance_group.tolist(), held_out.tolist(), strict=True
    ):
        rows[path] |= {"piece": piece, "performance": performance, "split": "validation" if held else "train"}
    return pa.Table.from_pylist([rows[path] for path in read], plan.schema), refused


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
