"""Made-up pieces, performances of them, and everything that may happen to a file."""

from __future__ import annotations

import numpy as np

from partimento.tokens.notes import Notes


def notes_of(onset_ms, pitch, instrument=0) -> Notes:
    onset = np.asarray(onset_ms, np.int64)
    return Notes(
        onset_ms=onset,
        duration_ms=np.full(len(onset), 100, np.int64),
        pitch=np.asarray(pitch, np.uint8),
        velocity=np.full(len(onset), 64, np.uint8),
        instrument=np.broadcast_to(np.asarray(instrument, np.uint8), onset.shape).copy(),
        pedal_ms=np.empty(0, np.int64),
        pedal_down=np.empty(0, np.uint8),
    )


def piece(seed: int, notes: int = 600) -> Notes:
    """Single notes, 150 to 600 ms apart, in strict time."""
    rng = np.random.default_rng(seed)
    return notes_of(np.cumsum(rng.choice([150, 300, 600], notes)), rng.integers(40, 84, notes))


def rubato(notes: Notes, seed: int) -> Notes:
    """Another performance: the tempo wanders by some 15 %, and never for long in one direction."""
    rng = np.random.default_rng(seed)
    slower = np.zeros(len(notes))
    for i in range(1, len(notes)):
        slower[i] = 0.9 * slower[i - 1] + rng.normal(0, 0.06)
    gaps = np.diff(notes.onset_ms, prepend=0) * np.exp(np.clip(slower, -0.45, 0.45))
    return notes_of(np.round(np.cumsum(gaps)), notes.pitch)


def transposed(notes: Notes, semitones: int) -> Notes:
    return notes_of(notes.onset_ms, notes.pitch.astype(int) + semitones)


def retimed(notes: Notes, scale: float) -> Notes:
    return notes_of(np.round(notes.onset_ms * scale), notes.pitch)


def with_silence(notes: Notes, at: int, ms: int) -> Notes:
    return notes_of(notes.onset_ms + ms * (np.arange(len(notes)) >= at), notes.pitch)


def blurred(notes: Notes, seed: int, ms: float = 17, lost: float = 0.05) -> Notes:
    """A normal error of each onset: among single notes 17 ms blur passages as much as 20 ms do among chords."""
    rng = np.random.default_rng(seed)
    stay = rng.random(len(notes)) >= lost
    onset = np.maximum(notes.onset_ms + np.round(rng.normal(0, ms, len(notes))).astype(int), 0)[stay]
    order = np.argsort(onset, kind="stable")
    return notes_of(onset[order], notes.pitch[stay][order])


def copies(notes: Notes, seed: int) -> list[Notes]:
    """One copy of each kind that is the same performance."""
    rng = np.random.default_rng(seed)
    n = len(notes)
    return [
        transposed(notes, int(rng.integers(1, 7))),
        transposed(notes, -int(rng.integers(1, 7))),
        retimed(notes, rng.uniform(0.8, 1.0)),
        retimed(notes, rng.uniform(1.0, 1.2)),
        with_silence(notes, n // 3, int(rng.integers(2000, 10_000))),
        notes.slice(0, int(n * rng.uniform(0.5, 0.9))),
        notes.slice(int(n * rng.uniform(0.1, 0.5)), n),
        blurred(notes, seed),
        blurred(transposed(retimed(notes.slice(n // 4, n), rng.uniform(0.8, 1.2)), 3), seed),
    ]
