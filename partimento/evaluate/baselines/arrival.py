"""Arrival-time tokens, the language of the Anticipatory Music Transformer (Thickstun and others, 2023, section 3).

A note is three tokens: when it begins and how long it is, in steps of 10 ms, and which pitch on which instrument. A
second without a note is marked by a rest. Velocities and pedals do not exist there. Knows the vocabulary and both
directions. Refuses to know networks (`anticipatory.py`).

    one A4 of the piano, from 0.25 to 0.75 s  ->  [[25, 10050, 11069]]

    events_N3 = encode(performance)
    decode(events_N3, velocity=64).onset_seconds

Shape legend: N events of 3 tokens.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from partimento.errors import UserError
from partimento.midi.performance import Performance

STEPS_PER_SECOND: Final = 100
TIME: Final = 0
"""The first of 10,000 tokens of onsets: 100 s."""
DURATION: Final = 10_000
"""The first of 1,000 tokens of durations: 10 s."""
NOTE: Final = 11_000
"""The first of 128 * 129 tokens of notes, the pitches of instrument 0, a piano, first; instrument 128 is the drums."""
REST: Final = 27_512
CONTROL: Final = 27_513
"""The first of as many tokens again, for notes that are known beforehand."""
SEPARATOR: Final = 55_025
AUTOREGRESS: Final = 55_026
"""What a sequence begins with in which nothing is known beforehand."""
VOCABULARY_SIZE: Final = 55_028
PITCHES: Final = 128

Events = NDArray[np.int64]


def encode(performance: Performance) -> Events:
    """The notes as events [N, 3] by onset, all of them as a piano's; durations above 9.99 s are cut.

    Raises `UserError` for an onset at 100 s or later, which has no token.
    """
    onset_N = np.round(performance.onset_seconds * STEPS_PER_SECOND).astype(np.int64)
    if len(onset_N) and onset_N[-1] >= DURATION - TIME:
        raise UserError(
            f"a note begins at {performance.onset_seconds[-1]:.1f} s; arrival-time tokens end at 100 s: take less"
        )
    duration_N = np.round(performance.duration_seconds * STEPS_PER_SECOND).astype(np.int64)
    duration_N = duration_N.clip(0, NOTE - DURATION - 1)
    events_N3 = np.stack([TIME + onset_N, DURATION + duration_N, NOTE + performance.pitch.astype(np.int64)], axis=1)
    return events_N3[np.argsort(onset_N, kind="stable")]


def decode(events_N3: Events, *, velocity: int) -> Performance:
    """The notes of events, rests left out, whatever their instrument (but drums); of none shorter than one step."""
    note_N = events_N3[:, 2] - NOTE
    played_M3 = events_N3[(note_N >= 0) & (note_N < REST - NOTE - PITCHES)]
    return Performance.from_notes(
        pitch=(played_M3[:, 2] - NOTE) % PITCHES,
        velocity=np.full(len(played_M3), velocity),
        onset=(played_M3[:, 0] - TIME) / STEPS_PER_SECOND,
        duration=np.maximum(played_M3[:, 1] - DURATION, 1) / STEPS_PER_SECOND,
    )


def with_rests(events_N3: Events, end: int) -> Events:
    """The same with a rest after each second in which nothing began, from 0 up to before step `end`."""
    filled: list[list[int]] = []
    before = 0
    for event in [*events_N3.tolist(), [TIME + end, 0, 0]]:
        while event[0] - TIME > before + STEPS_PER_SECOND:
            before += STEPS_PER_SECOND
            filled.append([TIME + before, DURATION, REST])
        filled.append(event)
        before = event[0] - TIME
    return np.array(filled[:-1], np.int64).reshape(-1, 3)
