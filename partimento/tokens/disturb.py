"""Disturbance in note space: stretches played as a model plays that has fed on its own mistakes.

A model that continues sees, after a while, nothing but what it wrote itself, which is denser, shorter, more repetitive
and less in key than what it learned from. Music of which stretches are disturbed like that, and which is a target only
where it is the pianist's own, shows how to go on all the same. It works on `Notes`, before they become tokens: whatever
is not disturbed keeps its time. It refuses to know losses; which stretches were disturbed is told by note and by token.

    >>> rng = np.random.default_rng(0)
    >>> changed, own = disturb(notes, rng)                            # doctest: +SKIP
    >>> targets = own_tokens(tokenizer.encode_notes(changed), own, vocabulary)  # doctest: +SKIP
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from partimento.tokens.notes import Notes
from partimento.tokens.vocabulary import GRID_MS, Kind, Vocabulary

CLEAN_NOTES: Final = (16, 256)
"""Notes between two disturbed stretches, and before the first: each doubling is equally likely."""
DISTURBED_NOTES: Final = (8, 128)
"""Notes of the pianist that a disturbed stretch takes the place of: each doubling is equally likely."""
LAST_CLEAN_NOTES: Final = 40
"""So many at the end stay as they are: what announces an ending, and the ending itself, are not to be mistaken."""
LOUDEST: Final = 120

Rows = npt.NDArray[np.int64]
"""[k, 4]: onset in ms from the beginning of the stretch, duration in ms, pitch, velocity."""
Own = npt.NDArray[np.bool_]

_ONSET, _DURATION, _PITCH, _VELOCITY = range(4)


def disturb(notes: Notes, rng: np.random.Generator) -> tuple[Notes, Own]:
    """The notes with stretches of them disturbed, and which notes are the pianist's own: bool [n].

    Disturbed stretches keep the time that they take: own notes keep onset, duration, pitch and velocity, in their
    order. Each stretch is disturbed in one way, drawn from `WAYS`. Pedal moves stay as they are; other instruments than
    the first note's become its.
    """
    rows = np.stack([notes.onset_ms, notes.duration_ms, notes.pitch, notes.velocity], axis=1).astype(np.int64)
    parts, own, done = [], [], 0

    def take(part: Rows, *, is_own: bool) -> None:
        parts.append(part)
        own.append(np.full(len(part), is_own))

    while True:
        first = done + _about(CLEAN_NOTES, rng)
        last = first + _about(DISTURBED_NOTES, rng)
        if last > len(rows) - LAST_CLEAN_NOTES:
            break
        begin = rows[first] * [1, 0, 0, 0]
        span = int(rows[last, _ONSET] - begin[_ONSET])
        take(rows[done:first], is_own=True)
        if span < GRID_MS:  # one chord, which has no time to be disturbed in
            take(rows[first:last], is_own=True)
        else:
            way = WAYS[int(rng.integers(len(WAYS)))]
            take(begin + _playable(way(rows[first:last] - begin, span, rng), span), is_own=False)
        done = last
    take(rows[done:], is_own=True)
    onset, duration, pitch, velocity = np.ascontiguousarray(np.concatenate(parts).T)
    changed = dataclasses.replace(
        notes,
        onset_ms=onset,
        duration_ms=duration,
        pitch=pitch.astype(np.uint8),
        velocity=velocity.astype(np.uint8),
        instrument=np.full(len(onset), notes.instrument[0] if len(notes) else 0, np.uint8),
    )
    return changed, np.concatenate(own)


def own_tokens(tokens: npt.NDArray[np.int32], own: Own, vocabulary: Vocabulary) -> Own:
    """Which tokens of a sequence are the pianist's own: bool as `tokens`, which say the first notes of `own`, or all.

    Those of own notes, and what stands between two notes (<T>, <D>, <E>, pedal) if both are own.
    """
    kinds = vocabulary.kind_of[tokens]
    number = np.cumsum(kinds == Kind.NOTE)  # of the latest note, counted from 1
    padded = np.concatenate([[True], own, [True]])
    of_note = np.isin(kinds, (Kind.NOTE, Kind.ONSET, Kind.DURATION))
    return padded[number] & (of_note | padded[np.minimum(number + 1, len(own) + 1)])


# -- ways to disturb: rows, the time in ms that they take, and the generator -> other rows ----------------------------


def _retimed(rows: Rows, _span: int, rng: np.random.Generator) -> Rows:
    """Onsets, durations and velocities jittered."""
    changed: npt.NDArray[np.float64] = rows.astype(np.float64)
    changed[:, _ONSET] += rng.normal(0, rng.uniform(20, 150), len(rows))
    changed[:, _DURATION] *= np.exp(rng.normal(0, rng.uniform(0.2, 0.8), len(rows)))
    changed[:, _VELOCITY] += rng.normal(0, rng.uniform(5, 20), len(rows))
    return np.rint(changed).astype(np.int64)


def _crowded(rows: Rows, span: int, rng: np.random.Generator) -> Rows:
    """Notes added: copies of some at other moments, near in pitch."""
    copies = rows[rng.integers(0, len(rows), 1 + int(len(rows) * rng.uniform(0.25, 2)))]
    copies[:, _ONSET] = rng.integers(0, span, len(copies))
    copies[:, _DURATION] = (copies[:, _DURATION] * rng.uniform(0.1, 1)).astype(np.int64)
    copies[:, _PITCH] += rng.integers(-2, 3, len(copies)) + 12 * rng.integers(-1, 2, len(copies))
    return np.concatenate([rows, copies])


def _hasty(rows: Rows, span: int, rng: np.random.Generator) -> Rows:
    """A figure of a few notes played faster, and over and over, moving by a semitone each time or staying."""
    figure: Rows = rows[: int(rng.integers(2, 13))]
    haste = rng.uniform(1, 4)
    played = figure / [haste, haste, 1, 1]
    period = max(2 * GRID_MS, int(figure[-1, _ONSET] / haste + span / len(rows) / haste))
    times = min(-(-span // period), 4 * len(rows) // len(figure) + 1)  # not many more than four times as dense
    moves = np.arange(times)[:, None, None] * [period, 0, int(rng.integers(-1, 2)), 0]
    many: Rows = (played + moves).astype(np.int64).reshape(-1, 4)
    return many[many[:, _ONSET] < span]


def _sparse(rows: Rows, _span: int, rng: np.random.Generator) -> Rows:
    """Notes dropped, the others held for longer."""
    kept = rows[rng.random(len(rows)) < rng.uniform(0.3, 0.8)]
    kept[:, _DURATION] *= int(rng.integers(1, 4))
    return kept


def _astray(rows: Rows, _span: int, rng: np.random.Generator) -> Rows:
    """Pitches out of key."""
    moved = rng.random(len(rows)) < rng.uniform(0.2, 0.8)
    rows[:, _PITCH] += np.where(moved, rng.integers(-3, 4, len(rows)), 0)
    return rows


WAYS: Final[tuple[Callable[[Rows, int, np.random.Generator], Rows], ...]] = (
    _retimed,
    _crowded,
    _hasty,
    _sparse,
    _astray,
)


def _playable(rows: Rows, span: int) -> Rows:
    """In order, within the time and the ranges of a piano."""
    rows[:, _ONSET] = rows[:, _ONSET].clip(0, span - 1) // GRID_MS * GRID_MS
    rows[:, _DURATION] = rows[:, _DURATION].clip(GRID_MS)
    rows[:, _PITCH] = rows[:, _PITCH].clip(0, 127)
    rows[:, _VELOCITY] = rows[:, _VELOCITY].clip(1, LOUDEST)
    return rows[np.lexsort((rows[:, _PITCH], rows[:, _ONSET]))]


def _about(limits: tuple[int, int], rng: np.random.Generator) -> int:
    """A whole number between two, its logarithm even."""
    low, high = limits
    return int(np.exp(rng.uniform(np.log(low), np.log(high))))
