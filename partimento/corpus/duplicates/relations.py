"""Which files of a corpus are the same performance, and which play the same piece.

Knows fingerprints only. Files are taken with the fullest first; one that is no known performance leads a new group,
and only leaders are remembered, so that the work grows with the number of files and not with that of pairs
(docs/fingerprints.md). What makes two files the same is `alignment`'s rule.

    >>> found = relations(fingerprints, note_counts)           # doctest: +SKIP
    >>> found.performance_group[7] == found.performance_group[3]  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from partimento.corpus.duplicates import alignment
from partimento.corpus.duplicates.components import connected
from partimento.corpus.duplicates.fingerprints import Fingerprint

MOST_PLACES: Final = 256
"""A passage that stands in so many places among the leaders is remembered in no further one: it says little, and the
next performance of a piece known so often is still recognised by these."""

_BLOCK: Final = 10_000
_NONE: Final = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Relations:
    """For each of n files the index of the file that leads its group, int32 [n]; a leader leads itself.

    A leader is the group's file with the most notes (of equals the first). Performances of one group are in one piece
    group too.
    """

    performance_group: npt.NDArray[np.int32]
    piece_group: npt.NDArray[np.int32]


def relations(fingerprints: Iterable[Fingerprint], note_counts: npt.ArrayLike) -> Relations:
    """Group n files, given in one order by their fingerprints and their numbers of notes.

    Memory: 9 bytes a passage for the columns, 8 for the chains, at most 4 for their heads, or 4.7 a note: 14 GB for 1.2
    million files of 2,500 notes. Fingerprints are taken one by one and not kept.
    """
    first, hashes, onset, pitch = _columns(fingerprints)
    counts = np.asarray(note_counts, np.int64)
    if len(counts) != len(first) - 1:
        raise ValueError(f"{len(first) - 1} fingerprints, but note_counts has {len(counts)}: one for each is needed")
    n_files = len(counts)
    performance = np.arange(n_files, dtype=np.int32)
    alike = [np.empty((2, 0), np.int64)]
    chains = _chains(len(hashes))
    cells, sizes = np.zeros(n_files, np.int64), np.diff(first)
    order = np.argsort(-counts, kind="stable")
    for me in order:
        begin, end = first[me], first[me + 1]
        cells[me] = alignment.cells(onset[begin:end])
        places, *hits = _hits(begin, end, hashes, onset, pitch, *chains)
        found = alignment.matches(*hits, cells[me], sizes[me], cells, sizes, True)
        if len(found) and found[-1]["relation"] == alignment.SAME_PERFORMANCE:
            performance[me] = found[-1]["file"]
        else:
            _remember(begin, end, me, hashes, places, *chains)
        alike.append(np.stack([np.full(len(found), me, np.int64), found["file"]]))
    rank = np.argsort(order)  # the fuller file of a piece leads it
    piece = order[connected(n_files, *rank[np.concatenate(alike, axis=1)])[rank]].astype(np.int32)
    return Relations(performance_group=performance, piece_group=piece)


def _chains(passages: int) -> tuple[npt.NDArray[np.uint32], ...]:
    """Empty chains of the passages whose hashes end in the same bits: the first, the next of each, whose each is."""
    heads = 16
    while 2 * heads <= passages:
        heads *= 2
    return np.full(heads, _NONE, np.uint32), np.empty(passages, np.uint32), np.empty(passages, np.uint32)


def _columns(fingerprints: Iterable[Fingerprint]) -> tuple[npt.NDArray, ...]:
    """Where each file begins, and the passages' hashes, onsets and pitches, one file after the other."""
    lengths = [0]
    blocks: list[list[npt.NDArray]] = [[], [], []]
    rest = iter(fingerprints)
    while block := list(islice(rest, _BLOCK)):
        lengths += [len(part) for part in block]
        blocks[0].append(np.concatenate([part.hash for part in block]))
        blocks[1].append(np.concatenate([part.onset_ms for part in block]))
        blocks[2].append(np.concatenate([part.pitch for part in block]))
    empty = (np.empty(0, np.uint32), np.empty(0, np.uint32), np.empty(0, np.uint8))
    columns = [np.concatenate([none, *parts]) for none, parts in zip(empty, blocks, strict=True)]
    return np.cumsum(lengths), *columns


@njit(cache=True)
def _remember(begin, end, me, hashes, places, head, behind, owner):
    """Hang a leader's passages into the chains, but for those that stand in enough places."""
    for p in range(begin, end):
        if places[p - begin] < MOST_PLACES:
            owner[p] = me
            slot = hashes[p] & (len(head) - 1)
            behind[p] = head[slot]
            head[slot] = p


@njit(cache=True)
def _hits(begin, end, hashes, onset, pitch, head, behind, owner):
    """How many places among the leaders each passage of the file has, and these places as hits.

    Passage, leader, transposition, and when it begins in the file and in the leader.
    """
    places = np.zeros(end - begin, np.int64)
    for p in range(begin, end):
        at = head[hashes[p] & (len(head) - 1)]
        while at != _NONE:
            places[p - begin] += hashes[at] == hashes[p]
            at = behind[at]
    total = places.sum()
    passage = np.empty(total, np.uint32)
    file, transposition = np.empty(total, np.int64), np.empty(total, np.int64)
    query_ms, file_ms = np.empty(total, np.int64), np.empty(total, np.int64)
    n = 0
    for p in range(begin, end):
        at = head[hashes[p] & (len(head) - 1)]
        while at != _NONE:
            if hashes[at] == hashes[p]:
                passage[n] = hashes[p]
                file[n] = owner[at]
                transposition[n] = np.int64(pitch[at]) - np.int64(pitch[p])
                query_ms[n] = onset[p]
                file_ms[n] = onset[at]
                n += 1
            at = behind[at]
    return places, passage, file, transposition, query_ms, file_ms
