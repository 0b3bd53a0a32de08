"""Which work a file is known to be, by what it is called and by the company it keeps.

Of the performances of one piece some are called "Ballade op. 23" and others "Chopin 1": what one file says holds for
all that sound like it. Knows names and groups of one sound; refuses to know who is kept for it (`select.py`).

A file that lacks a value takes what more than half say of those files of its group that say anything; docs/corpus.md
says of whom each value is asked. No file gives up what it says itself.

    >>> spread(rows, relations.piece_group)["opus"]  # doctest: +SKIP
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

IDENTIFIERS: Final = ("composer", "opus", "piece")

Ints = npt.NDArray[np.int64]


def spread(rows: pa.Table, piece_group: npt.NDArray[np.integer]) -> pa.Table:
    """The n `rows` with their `IDENTIFIERS` completed from the files of the same sound; `piece_group` int [n]."""
    asked = np.asarray(piece_group, np.int64)
    for name in IDENTIFIERS:
        texts = pc.if_else(pc.equal(rows.column(name), ""), None, rows.column(name)).combine_chunks()
        encoded = texts.dictionary_encode()
        said = np.asarray(pc.fill_null(encoded.indices, -1), np.int64)
        value = np.where(said < 0, _majority(asked, said), said)
        known = encoded.dictionary.take(pa.array(value, mask=value < 0))
        rows = rows.set_column(rows.column_names.index(name), name, known)
        _, asked = np.unique(_pairs(asked, value), return_inverse=True)
    return rows


def _majority(group: Ints, said: Ints) -> Ints:
    """For each of n rows what more than half of its group's rows with something `said` (>= 0) say, or -1; int64 [n]."""
    _, group = np.unique(group, return_inverse=True)
    speaks = said >= 0
    voices = np.bincount(group[speaks], minlength=len(group))
    _, first, counts = np.unique(_pairs(group, said)[speaks], return_index=True, return_counts=True)
    groups, values = group[speaks][first], said[speaks][first]
    won = 2 * counts > voices[groups]
    winner = np.full(len(group), -1, np.int64)
    winner[groups[won]] = values[won]
    return winner[group]


def _pairs(one: Ints, other: Ints) -> Ints:
    """A number for each pair of two numbers of n rows, int64 [n]; `other` >= -1."""
    return one * (int(other.max(initial=-1)) + 2) + other + 1
