"""Augmentation in note space: tempo, pitch, velocity, one draw of each for a piece (section 3.2).

It works on `Notes`, before they become tokens, so that times are stretched rather than re-quantised and segment
boundaries come out by themselves. Transposition never loses a note: the draw is narrowed to what the keyboard holds.

    >>> rng = np.random.default_rng(0)
    >>> louder = augment(notes, draw(notes, rng))  # doctest: +SKIP
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numba import njit

from partimento.midi.instruments import DRUM
from partimento.tokens.notes import Notes
from partimento.tokens.tokenizer import VELOCITY_INDEX
from partimento.tokens.vocabulary import GRID_MS

MAX_TEMPO_CHANGE: Final = 0.2
MAX_SEMITONES: Final = 5
VELOCITY_STEP: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """One piece's augmentation: times are multiplied by `tempo`; `seed` orders notes of equal onset."""

    tempo: float = 1.0
    semitones: int = 0
    velocity: int = 0
    seed: int = 0


def draw(notes: Notes, rng: np.random.Generator) -> Draw:
    """A uniform draw: tempo 0.8..1.2, -5..5 semitones as far as no note leaves 0..127, velocity -10, 0 or +10."""
    melodic = notes.pitch if not (notes.instrument == DRUM).any() else notes.pitch[notes.instrument != DRUM]
    low = max(-MAX_SEMITONES, -int(melodic.min())) if len(melodic) else 0
    high = min(MAX_SEMITONES, 127 - int(melodic.max())) if len(melodic) else 0
    return Draw(
        tempo=rng.uniform(1 - MAX_TEMPO_CHANGE, 1 + MAX_TEMPO_CHANGE),
        semitones=int(rng.integers(low, high + 1)),
        velocity=int(rng.integers(-1, 2)) * VELOCITY_STEP,
        seed=int(rng.integers(1, 2**63)),
    )


def augment(notes: Notes, drawn: Draw) -> Notes:
    """The notes re-timed, transposed and re-voiced as drawn.

    Times are rounded to 10 ms, half to even; velocities are quantised to tens, moved and clipped to 10..120; notes of
    equal onset are shuffled, because their order in a file carries no music.
    """
    onset, duration, pitch, velocity, instrument = _augment(
        notes.onset_ms, notes.duration_ms, notes.pitch, notes.velocity, notes.instrument,
        drawn.tempo, drawn.semitones, drawn.velocity, np.uint64(drawn.seed), VELOCITY_INDEX,
    )  # fmt: skip
    return Notes(
        onset_ms=onset,
        duration_ms=duration,
        pitch=pitch,
        velocity=velocity,
        instrument=instrument,
        pedal_ms=np.rint(notes.pedal_ms * drawn.tempo / GRID_MS).astype(np.int64) * GRID_MS,
        pedal_down=notes.pedal_down,
    )


@njit(cache=True)
def _augment(onset_ms, duration_ms, pitch, velocity, instrument, tempo, semitones, louder, seed, velocity_index):
    n = len(onset_ms)
    onset = np.empty(n, np.int64)
    duration = np.empty(n, np.int64)
    new_pitch = np.empty(n, np.uint8)
    new_velocity = np.empty(n, np.uint8)
    new_instrument = np.empty(n, np.uint8)
    state = seed | np.uint64(1)
    begin = 0
    while begin < n:
        moment = onset_ms[begin]
        end = begin + 1
        while end < n and onset_ms[end] == moment:
            end += 1
        now = np.int64(np.rint(moment * tempo / GRID_MS)) * GRID_MS
        for i in range(begin, end):
            # An inside-out Fisher-Yates shuffle over the chord, on a 64-bit xorshift.
            j = i
            if end - begin > 1:
                state ^= state << np.uint64(13)
                state ^= state >> np.uint64(7)
                state ^= state << np.uint64(17)
                j = begin + np.int64((state >> np.uint64(33)) % np.uint64(i - begin + 1))
                duration[i] = duration[j]
                new_pitch[i] = new_pitch[j]
                new_velocity[i] = new_velocity[j]
                new_instrument[i] = new_instrument[j]
            onset[i] = now
            duration[j] = np.int64(np.rint(duration_ms[i] * tempo / GRID_MS)) * GRID_MS
            new_pitch[j] = pitch[i] if instrument[i] == DRUM else pitch[i] + semitones
            new_velocity[j] = min(max(velocity_index[velocity[i]] * 10 + louder, 10), 120)
            new_instrument[j] = instrument[i]
        begin = end
    return onset, duration, new_pitch, new_velocity, new_instrument
