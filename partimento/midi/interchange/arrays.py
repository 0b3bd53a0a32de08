"""Performances and plain arrays: partitura's note arrays, piano rolls.

It knows field names and frames; neither needs another library, and neither has a place for the pedal. It refuses to
know tables (`tables.py`).

    roll = to_piano_roll(performance, frames_per_second=50, fold_pedal=True)
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from partimento.errors import UserError
from partimento.midi.columns import NS_PER_S, NoteColumns
from partimento.midi.instruments import DRUM

_FIELDS: Final = ("onset_sec", "duration_sec", "pitch", "velocity")
_NEAR: Final = 1e-3
"""So many frames too early still counts as in time: times in whole nanoseconds are no exact multiples of a frame."""
_PRESSED: Final = 64
"""The velocity of notes of which it is only known that they sound."""


def from_note_array(notes: npt.NDArray[np.void]) -> NoteColumns:
    """See `Interchange`."""
    names = notes.dtype.names or ()
    if missing := [name for name in _FIELDS if name not in names]:
        raise UserError(
            f"a note array needs the fields {', '.join(_FIELDS)}; {', '.join(missing)} missing "
            "(of a score, unfold it into a performance first)"
        )
    return NoteColumns.from_notes(
        pitch=notes["pitch"],
        velocity=notes["velocity"],
        onset=notes["onset_sec"],
        duration=notes["duration_sec"],
        channel=notes["channel"] if "channel" in names else 0,
    )


def to_note_array(performance: NoteColumns, *, fold_pedal: bool) -> npt.NDArray[np.void]:
    """See `Interchange`."""
    duration = performance.sounding_duration() if fold_pedal else performance.duration
    fields: dict[str, npt.NDArray] = {
        "onset_sec": performance.onset / NS_PER_S,
        "duration_sec": duration / NS_PER_S,
        "pitch": performance.pitch.astype(np.int32),
        "velocity": performance.velocity.astype(np.int32),
        "track": np.zeros(len(performance), np.int32),
        "channel": performance.channel.astype(np.int32),
        "id": np.array([f"n{number}" for number in range(len(performance))], np.str_),
    }
    notes = np.empty(len(performance), [(name, column.dtype) for name, column in fields.items()])
    for name, column in fields.items():
        notes[name] = column
    return notes


def from_piano_roll(roll: npt.ArrayLike, *, frames_per_second: float) -> NoteColumns:
    """See `Interchange`."""
    frames_per_second = _rate(frames_per_second)
    array: Any = np.asarray(roll)
    if array.ndim != 2 or len(array) != 128 or array.dtype.kind not in "biuf":
        raise UserError(f"a piano roll is numbers [128, frames], not {array.dtype} {list(array.shape)}")
    if array.dtype == np.bool_:
        array = array * np.uint8(_PRESSED)
    if not ((array >= 0) & (array <= 127)).all() or (array % 1).any():
        raise UserError("a piano roll holds velocities, whole numbers from 0 to 127; scale and round them first")
    velocity = np.pad(array.astype(np.uint8), ((0, 0), (1, 1)))
    # Each row begins and ends in silence, so what follows a change in the list is the next one of the same row.
    pitch, begin = np.nonzero(velocity[:, 1:] != velocity[:, :-1])
    sounds = velocity[pitch, begin + 1] > 0
    until = np.append(begin[1:], 0)
    return NoteColumns.from_notes(
        pitch=pitch[sounds],
        velocity=velocity[pitch, begin + 1][sounds],
        onset=begin[sounds] / frames_per_second,
        duration=(until - begin)[sounds] / frames_per_second,
    )


def to_piano_roll(performance: NoteColumns, *, frames_per_second: float, fold_pedal: bool) -> npt.NDArray[np.uint8]:
    """See `Interchange`."""
    frames = _rate(frames_per_second) / NS_PER_S
    played = performance.select(performance.instrument != DRUM)
    duration = played.sounding_duration() if fold_pedal else played.duration
    begin = np.floor(played.onset * frames + _NEAR).astype(np.int64)
    end = np.maximum(np.floor((played.onset + duration) * frames + _NEAR).astype(np.int64), begin + 1)
    roll = np.zeros((128, end.max(initial=0)), np.uint8)
    louder = np.argsort(played.velocity, kind="stable")
    columns = (played.pitch, begin, end, played.velocity)
    for pitch, first, last, velocity in zip(*(column[louder].tolist() for column in columns), strict=True):
        roll[pitch, first:last] = velocity
    return roll


def _rate(frames_per_second: float) -> float:
    if not (np.isfinite(frames_per_second) and frames_per_second > 0):
        raise UserError(f"frames_per_second must be a positive number, not {frames_per_second}")
    return float(frames_per_second)
