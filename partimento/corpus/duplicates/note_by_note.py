"""A stretch that music shares with a file, and the notes of both -> the same stretch note by note.

Passages say where a stretch lies, but not where it ends: an index keeps two in nine, and one changed note spoils ten.
Here the file's notes are moved to where the music has them, and notes of one pitch that lie near each other are
partners. The stretch is where partners outnumber the notes that only one of the two has by most (a local alignment:
Smith, Waterman 1981), and its ends say where to look for more. It refuses to know how the stretch was found
(`copies.py`), where the notes come from, and what a length means.

    >>> compared(copies(notes, index)[0], notes, notes_of_the_file)  # doctest: +SKIP
    Copy(name="bach/prelude.mid", first_note=37, last_note=138, notes=98, alone=4, ...)
"""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
import numpy.typing as npt

from partimento.corpus.duplicates.chains import RUBATO
from partimento.corpus.duplicates.copies import Copy
from partimento.corpus.duplicates.fingerprints import PASSAGE_NOTES, passages
from partimento.midi.instruments import DRUM
from partimento.tokens.notes import Notes

PARTNER_MS: Final = 200
"""Notes of one pitch that begin no further apart than this may be partners."""
_REACH_MS: Final = 4000
"""Each round looks for more of the stretch so far beyond either end."""
_ROUNDS: Final = 4

Ints = npt.NDArray[np.int64]


def compared(copy: Copy, notes: Notes, source: Notes) -> Copy | None:
    """The stretch as the notes have it, where passages showed a part of it; None if there is none.

    `notes` are the music in which it was found, `source` the file's, on a clock that begins with the first of them.
    """
    mine, theirs = (np.flatnonzero(each.instrument != DRUM) for each in (notes, source))
    here, there = notes.onset_ms[mine], source.onset_ms[theirs]
    pitch, pitch_there = notes.pitch[mine].astype(np.int64), source.pitch[theirs].astype(np.int64) + copy.transposition
    anchors, (first, last), alone = copy.anchors, copy.query_ms, 0
    pairs = np.empty((0, 2), np.int64)
    for _ in range(_ROUNDS):
        moved = on_the_clock_of_the_music(there, anchors)
        i, j = (np.flatnonzero((at >= first - _REACH_MS) & (at <= last + _REACH_MS)) for at in (here, moved))
        one, other = _partners(here[i], pitch[i], moved[j], pitch_there[j])
        only_there = np.setdiff1d(np.arange(len(j)), other)
        gain = np.full(len(i) + len(only_there), -1)
        gain[one] = 1
        place = np.concatenate([np.full(len(i), -1), only_there])
        place[one] = other
        order = np.lexsort((place, np.concatenate([here[i], moved[j[only_there]]])))
        best = order[_largest_sum(gain[order])]
        inside = np.isin(one, best)
        before, pairs = pairs, np.stack([i[one[inside]], j[other[inside]]], axis=1)
        alone = int(np.sum(gain[best] < 0))
        if not len(pairs) or np.array_equal(pairs, before):
            break
        anchors = _moments(here[pairs[:, 0]], there[pairs[:, 1]])
        first, last = int(here[pairs[0, 0]]), int(here[pairs[-1, 0]])
    if not len(pairs):
        return None
    pairs = np.stack([mine[pairs[:, 0]], theirs[pairs[:, 1]]], axis=1)
    return _measured(dataclasses.replace(copy, pairs=pairs, anchors=anchors, alone=alone), notes, source)


def on_the_clock_of_the_music(there: Ints, anchors: Ints) -> Ints:
    """Moments of a file (ms) -> when they come in the music, from anchor to anchor.

    `anchors` int64 [k, 2]: moments of the music and the file's; before the first and behind the last of them time runs
    on as between these two.
    """
    music, file = anchors.T
    span = int(music[-1] - music[0]), int(file[-1] - file[0])
    tempo = min(max(span[1] / span[0], 1 / RUBATO), RUBATO) if min(span) > 0 else 1.0
    at = np.interp(there, file, music)
    at += np.minimum(there - file[0], 0) / tempo + np.maximum(there - file[-1], 0) / tempo
    return np.round(at).astype(np.int64)


def _partners(here: Ints, pitch: Ints, there: Ints, pitch_there: Ints) -> tuple[Ints, Ints]:
    """Indices of notes of one pitch of which each is the other's nearest, and no further than `PARTNER_MS` from it."""
    forth, back = _nearest(here, pitch, there, pitch_there), _nearest(there, pitch_there, here, pitch)
    one = np.flatnonzero(forth >= 0)
    one = one[back[forth[one]] == one]
    return one, forth[one]


def _nearest(at: Ints, pitch: Ints, others: Ints, pitches: Ints) -> Ints:
    """Of each note the nearest of the others that has its pitch and is near enough, or -1."""
    if not len(others):
        return np.full(len(at), -1)
    apart = 4 * PARTNER_MS + int(max(at.max(initial=0), others.max()) - min(at.min(initial=0), others.min()))
    key, keys = at + pitch * apart, others + pitches * apart  # another pitch is always too far away
    order = np.argsort(keys, kind="stable")
    place = np.searchsorted(keys[order], key)
    left, right = order[np.maximum(place - 1, 0)], order[np.minimum(place, len(order) - 1)]
    nearest = np.where(np.abs(key - keys[left]) <= np.abs(key - keys[right]), left, right)
    return np.where(np.abs(key - keys[nearest]) <= PARTNER_MS, nearest, -1)


def _largest_sum(gain: Ints) -> slice:
    """The run of numbers with the largest sum, the shortest of equals: 1 -1 1 1 -1 -> the third and fourth."""
    total = np.concatenate([[0], np.cumsum(gain)])
    lowest = np.minimum.accumulate(total)
    last = int(np.argmax(total - lowest))
    first = int(np.flatnonzero(total[: last + 1] == lowest[last])[-1])
    return slice(first, last)


def _moments(here: Ints, there: Ints) -> Ints:
    """Moments that both have, in order in both: of notes that begin together in the file, their mean in the music."""
    file, which = np.unique(there, return_inverse=True)
    music = np.round(np.bincount(which, here) / np.bincount(which)).astype(np.int64)
    return np.stack([np.maximum.accumulate(music), file], axis=1)


def _measured(copy: Copy, notes: Notes, source: Notes) -> Copy:
    """Where the stretch lies and how long it is, by its pairs."""
    here, there = copy.pairs.T
    hashes = passages(chosen(notes, here)).hash
    query_ms, file_ms = ((int(at.min()), int(at.max())) for at in (notes.onset_ms[here], source.onset_ms[there]))
    played = query_ms[1] - query_ms[0]
    return dataclasses.replace(
        copy,
        tempo=(file_ms[1] - file_ms[0]) / played if played else 1.0,
        first_note=int(here.min()),
        last_note=int(here.max()) + 1,
        notes=len(here),
        different=min(len(np.unique(hashes)) + PASSAGE_NOTES - 1, len(here)) if len(hashes) else 0,
        query_ms=query_ms,
        file_ms=file_ms,
        passages=hashes,
    )


def chosen(notes: Notes, which: Ints) -> Notes:
    """Notes by their indices, without pedals."""
    columns = ("onset_ms", "duration_ms", "pitch", "velocity", "instrument")
    return dataclasses.replace(notes, **{name: getattr(notes, name)[which] for name in columns})
