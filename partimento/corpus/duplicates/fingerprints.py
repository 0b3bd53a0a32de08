"""Passages as hashes that know neither key nor tempo: what a file is recognised by, wherever and however it returns.

A passage is ten consecutive notes, those of one chord counted from the lowest up. Its hash is made of the intervals
between them, so that transposing and re-timing leave it as it is. Of every eight passages in a row the one with the
smallest hash is kept (winnowing: Schleimer, Wilkerson, Aiken 2003), so two files that share seventeen notes in a row
share a kept passage, wherever in the files they stand. It refuses to know about files and about what counts as a
copy: `relations.py` compares fingerprints.

    >>> kept = fingerprint(Notes.from_performance(performance))  # doctest: +SKIP
    >>> kept.hash[:2], kept.onset_ms[:2], kept.note[:2]          # doctest: +SKIP
    (array([2895140471, 311236117]), array([0, 730]), array([0, 6]))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from partimento.errors import UserError
from partimento.midi.instruments import DRUM
from partimento.tokens.notes import Notes

PASSAGE_NOTES: Final = 10
WINDOW: Final = 8
CHORD_MS: Final = 60
"""Notes less than this after a chord's first belong to the chord."""
FEWEST_INTERVALS: Final = 3
"""A passage with fewer different intervals is a scale, a trill or a repeated note: it says nothing and is not kept."""

VERSION: Final = 1
_NOTHING: Final = np.uint32(0xFFFFFFFF)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fingerprint:
    """The k kept passages of a file, in the order of their places.

    hash uint32 [k]; onset_ms uint32 [k], when the passage's first chord begins on the clock of the notes; pitch uint8
    [k], the passage's first note; note uint32 [k], that note's index among the notes.
    """

    hash: npt.NDArray[np.uint32]
    onset_ms: npt.NDArray[np.uint32]
    pitch: npt.NDArray[np.uint8]
    note: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.hash)

    def to_bytes(self) -> bytes:
        """About 1.7 bytes a note: a version byte; per passage its hash, its pitch, and steps of note and onset."""
        return bytes([VERSION]) + _pack(self.hash, self.onset_ms, self.pitch, self.note).tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Fingerprint:
        """What `to_bytes` made; raises `UserError` for anything else."""
        if not data or data[0] != VERSION:
            raise UserError(
                f"a fingerprint of version {data[0] if data else None}, this program reads {VERSION}; survey again"
            )
        hashes, onset, pitch, note, good = _unpack(np.frombuffer(data, np.uint8, offset=1))
        if not good:
            raise UserError("a damaged fingerprint; survey again")
        return cls(hash=hashes, onset_ms=onset, pitch=pitch, note=note)


def fingerprint(notes: Notes) -> Fingerprint:
    """The passages by which these notes can be recognised; drums are left out, as they have no key.

    Fewer than ten notes have no passage.
    """
    hashes, onset, pitch, note = _fingerprint(notes.onset_ms, notes.pitch, notes.instrument != DRUM)
    return Fingerprint(hash=hashes, onset_ms=onset, pitch=pitch, note=note)


def passages(notes: Notes, slower: float = 1.0) -> Fingerprint:
    """Every passage of these notes, not only those that are kept: what an index is asked for copies with.

    Chords are taken as if the notes were played `slower` times as slowly, which is how an index may have seen them;
    times are those of the notes as they are.
    """
    onset = np.round(notes.onset_ms * slower).astype(np.int64)
    order, began = _by_chord(onset, notes.pitch, notes.instrument != DRUM)
    hashes = _passages(notes.pitch, order)
    place = np.flatnonzero(hashes != _NOTHING)
    first = order[place]
    return Fingerprint(
        hash=hashes[place],
        onset_ms=np.round(began[place] / slower).astype(np.uint32),
        pitch=notes.pitch[first],
        note=first.astype(np.uint32),
    )


@njit(cache=True)
def _fingerprint(onset_ms, pitch, pitched):
    order, began = _by_chord(onset_ms, pitch, pitched)
    hashes = _passages(pitch, order)
    kept = _winnow(hashes)
    out = (
        np.empty(len(kept), np.uint32),
        np.empty(len(kept), np.uint32),
        np.empty(len(kept), np.uint8),
        np.empty(len(kept), np.uint32),
    )
    for k in range(len(kept)):
        place = kept[k]
        out[0][k] = hashes[place]
        out[1][k] = began[place]
        out[2][k] = pitch[order[place]]
        out[3][k] = order[place]
    return out


@njit(cache=True)
def _by_chord(onset_ms, pitch, pitched):
    """Indices of the notes, chord after chord, each from the lowest up, and when each one's chord began.

    A pitch counts once in a chord, however many voices or tracks play it.
    """
    order = np.empty(len(onset_ms), np.int64)
    began = np.empty(len(onset_ms), np.int64)
    n = 0
    first = 0
    for i in range(len(onset_ms)):
        if not pitched[i]:
            continue
        if n == first or onset_ms[i] - began[first] >= CHORD_MS:
            first = n
            began[n] = onset_ms[i]
            order[n] = i
            n += 1
            continue
        place = n
        while place > first and pitch[order[place - 1]] > pitch[i]:
            place -= 1
        if place > first and pitch[order[place - 1]] == pitch[i]:
            continue
        for k in range(n, place, -1):
            order[k] = order[k - 1]
        order[place] = i
        began[n] = began[first]
        n += 1
    return order[:n], began[:n]


@njit(cache=True)
def _passages(pitch, order):
    """The hash of the passage that begins at each place; `_NOTHING` where it is too plain."""
    steps = PASSAGE_NOTES - 1
    n = max(0, len(order) - steps)
    hashes = np.empty(n, np.uint32)
    interval = np.empty(max(0, len(order) - 1), np.int64)
    for i in range(len(interval)):
        interval[i] = np.int64(pitch[order[i + 1]]) - np.int64(pitch[order[i]]) + 128
    count = np.zeros(256, np.int64)
    different = 0
    for i in range(len(interval)):
        count[interval[i]] += 1
        different += count[interval[i]] == 1
        if i >= steps:
            gone = interval[i - steps]
            count[gone] -= 1
            different -= count[gone] == 0
        if i < steps - 1:
            continue
        mixed = np.uint64(0)
        for k in range(i - steps + 1, i + 1):
            mixed = (mixed ^ np.uint64(interval[k])) * np.uint64(0x9E3779B97F4A7C15)
            mixed ^= mixed >> np.uint64(29)
        hashed = np.uint32(mixed >> np.uint64(32))
        hashes[i - steps + 1] = hashed if different >= FEWEST_INTERVALS and hashed != _NOTHING else _NOTHING
    return hashes


@njit(cache=True)
def _winnow(hashes):
    """The places of the smallest hash of every `WINDOW` in a row (the last of equals), each once.

    Where there are fewer than `WINDOW` places, they are one window.
    """
    kept = np.empty(len(hashes), np.int64)
    n = 0
    best = -1
    for last in range(min(WINDOW, len(hashes)) - 1, len(hashes)):
        first = max(0, last - WINDOW + 1)
        if best < first:
            best = first
            for k in range(first + 1, last + 1):
                if hashes[k] <= hashes[best]:
                    best = k
        elif hashes[last] <= hashes[best]:
            best = last
        if hashes[best] != _NOTHING and (n == 0 or kept[n - 1] != best):
            kept[n] = best
            n += 1
    return kept[:n]


@njit(cache=True)
def _put(out, at, number):
    """Append a non-negative number, seven bits a byte."""
    while number >= 128:
        out[at] = number & 127 | 128
        number >>= 7
        at += 1
    out[at] = number
    return at + 1


@njit(cache=True)
def _pack(hashes, onset, pitch, note):
    out = np.empty(len(hashes) * 20, np.uint8)
    at = 0
    last_onset = np.int64(0)
    last_note = np.int64(0)
    for k in range(len(hashes)):
        for shift in (0, 8, 16, 24):
            out[at] = hashes[k] >> shift & 255
            at += 1
        out[at] = pitch[k]
        # The first note of a chord's passage may stand behind that of the one before: a step back is an odd number.
        step = np.int64(note[k]) - last_note
        at = _put(out, at + 1, step * 2 if step >= 0 else -step * 2 - 1)
        at = _put(out, at, np.int64(onset[k]) - last_onset)
        last_onset = np.int64(onset[k])
        last_note = np.int64(note[k])
    return out[:at]


@njit(cache=True)
def _get(data, at):
    """The number that stands at `at` and the place behind it, or -1 if it does not end."""
    number = np.int64(0)
    for shift in range(0, 35, 7):
        if at >= len(data):
            return np.int64(0), -1
        number |= np.int64(data[at] & 127) << shift
        at += 1
        if data[at - 1] < 128:
            return number, at
    return np.int64(0), -1


@njit(cache=True)
def _unpack(data):
    most = len(data) // 7
    hashes, onset = np.empty(most, np.uint32), np.empty(most, np.uint32)
    pitch, note = np.empty(most, np.uint8), np.empty(most, np.uint32)
    at = 0
    k = 0
    last_onset = np.int64(0)
    last_note = np.int64(0)
    while at < len(data) and k < most:
        if at + 5 > len(data):
            break
        hashes[k] = (
            np.uint32(data[at])
            | np.uint32(data[at + 1]) << 8
            | np.uint32(data[at + 2]) << 16
            | np.uint32(data[at + 3]) << 24
        )
        pitch[k] = data[at + 4]
        step, at = _get(data, at + 5)
        if at < 0:
            break
        wait, at = _get(data, at)
        if at < 0:
            break
        last_note += step // 2 if step % 2 == 0 else -(step + 1) // 2
        last_onset += wait
        onset[k] = last_onset
        note[k] = last_note
        k += 1
    return hashes[:k], onset[:k], pitch[:k], note[:k], at == len(data)
