"""Rows of a manifest as a survey would write them, without MIDI: a good file, and what a test changes of it."""

import hashlib

import numpy as np
import pyarrow as pa

from partimento.corpus.survey import measurements
from partimento.corpus.survey.manifest import SCHEMA

WINDOWS = {"peak_notes_per_second": 12.0, "peak_pitch_notes_per_second": 3.0}
GOOD = {
    "source": "collection",
    "verdict": "readable",
    "reason": "",
    "detail": "",
    "size": 9000,
    "notes": 1200,
    "piano_notes": 1200,
    "seconds": 180.0,
    "notes_per_second": 6.7,
    **{f"{name}_{s}s": rate for name, rate in WINDOWS.items() for s in (3, 5, 10, 45)},
    "pitch_entropy": 5.0,
    "duration_entropy": 5.5,
    "interval_entropy": 5.5,
    "unique_pitches": 50,
    "min_unique_pitches_30s": 25,
    "min_unique_pitches_60s": 30,
    "min_unique_pitches_120s": 40,
    "longest_silence": 3.0,
    "velocity_mean": 64.0,
    "velocity_std": 15.0,
    "repetition": 1.0,
    "pedal_share": 0.5,
    "grid_share": 0.2,
    "unison_share": 0.1,
    "legato_share": 0.1,
    "pulse_clarity": 0.7,
    "collection": "asap",
    "instruments": ["piano"],
}
MEASURED = tuple(measurements.COLUMNS)
REFUSED = {"verdict": "refused", "reason": "not-midi", "detail": "begins with <html>", **dict.fromkeys(MEASURED)}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def table(*rows: dict) -> pa.Table:
    """One row for each mapping of columns that are not as in a good file; path and bytes are its own unless given."""
    full = []
    for i, row in enumerate(rows):
        path = row.get("path", f"{i:04}.mid")
        full.append({**dict.fromkeys(SCHEMA.names), **GOOD, "path": path, "sha256": sha256(path), **row})
    return pa.Table.from_pylist(full, SCHEMA)


def alone(n: int) -> np.ndarray:
    """Groups in which every one of n rows is by itself."""
    return np.arange(n, dtype=np.int32)
