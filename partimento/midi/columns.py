"""Notes, pedal and programs as numpy columns: what files are read into, written from, and performances are.

It knows what each column means and that all are of one length, and how long notes sound; it refuses to know what may be
done with them (`performance.py`) and how they stand in a file (`reader.py`, `writer.py`).

    >>> import numpy as np
    >>> from partimento.midi.columns import unite_pedals
    >>> down, up, channel = unite_pedals(np.array([0, 5]), np.array([7, 9]), np.array([0, 0]))
    >>> down.tolist(), up.tolist()
    ([0], [9])
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from partimento.errors import UserError
from partimento.midi.instruments import instrument_of_channels

NS_PER_S: Final = 1_000_000_000

_NOTE_COLUMNS = ("pitch", "velocity", "onset", "duration", "channel", "instrument")

IntColumn = npt.NDArray[np.int64]
ByteColumn = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """A damaged place of a file: `reason` (the value of a `Reason`, docs/midi.md), byte, and what was done there."""

    reason: str
    offset: int
    done: str

    def __str__(self) -> str:
        return f"{self.reason} at byte {self.offset}: {self.done}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a performance came from.

    `sha256` is that of the file's bytes (empty for a performance that was never a file); `truncated` says that the
    file ended inside a chunk and only what stands before the cut is here; `repairs` are the other damaged places.
    """

    name: str = ""
    sha256: str = ""
    truncated: bool = False
    smf_format: int = 1
    tracks: int = 0
    ticks_per_beat: int = 0
    tempi: int = 0
    repairs: tuple[Repair, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One note; seconds on its performance's clock, `instrument` as in `INSTRUMENTS`."""

    pitch: int
    velocity: int
    onset_s: float
    duration_s: float
    instrument: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoteColumns:
    """Notes and pedal as read-only columns.

    Notes (n of them) are sorted stably by onset; notes of one onset keep the order of their releases in the file, on
    which the published token order depends.

    | column | dtype | meaning |
    |---|---|---|
    | pitch | uint8 | MIDI note number, 0..127 |
    | velocity | uint8 | 1..127 |
    | onset | int64 | nanoseconds from the start of the file |
    | duration | int64 | nanoseconds the key was held, > 0; the pedal is not folded in |
    | channel | uint8 | MIDI channel index, 0..15 |
    | instrument | uint8 | index into `INSTRUMENTS` |
    | pedal_down, pedal_up | int64 | the m intervals with sustain (CC64 >= 64) down, nanoseconds, sorted by start |
    | pedal_channel | uint8 | their channels |

    `programs` holds (channel, program) pairs: the one program that counts for each channel that was given any.
    """

    pitch: ByteColumn
    velocity: ByteColumn
    onset: IntColumn
    duration: IntColumn
    channel: ByteColumn
    instrument: ByteColumn
    pedal_down: IntColumn
    pedal_up: IntColumn
    pedal_channel: ByteColumn
    programs: tuple[tuple[int, int], ...] = ()
    source: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        for column in self._note_columns().values():
            if column.shape != self.pitch.shape:
                raise ValueError("note columns must be one-dimensional and of one length")
            column.flags.writeable = False
        for column in (self.pedal_down, self.pedal_up, self.pedal_channel):
            if column.shape != self.pedal_down.shape:
                raise ValueError("pedal columns must be one-dimensional and of one length")
            column.flags.writeable = False

    @classmethod
    def of(cls, notes: NoteColumns) -> Self:
        """The same columns as this class has them."""
        return cls(**notes.columns())

    @classmethod
    def from_notes(
        cls,
        *,
        pitch: npt.ArrayLike,
        velocity: npt.ArrayLike,
        onset: npt.ArrayLike,
        duration: npt.ArrayLike,
        channel: npt.ArrayLike = 0,
        pedal: Sequence[tuple[float, float] | tuple[float, float, int]] = (),
        programs: Sequence[tuple[int, int]] = ((0, 0),),
        name: str = "",
    ) -> Self:
        """Build from note columns in seconds and sustain-pedal intervals (down, up) in seconds.

        Scalars are broadcast. Notes are sorted by onset. A pedal is that of channel 0 unless its channel stands behind
        its times; intervals that overlap become one. Raises `UserError` for values MIDI cannot hold.
        """
        seconds_onset, seconds_duration, pitches, velocities, channels = np.broadcast_arrays(
            *(np.atleast_1d(np.asarray(c)) for c in (onset, duration, pitch, velocity, channel))
        )
        require_range("pitch", pitches, 0, 127)
        require_range("velocity", velocities, 1, 127)
        require_range("channel", channels, 0, 15)
        channels = channels.astype(np.uint8)  # an empty list would be of floats, which cannot be indices
        if not (np.isfinite(seconds_onset).all() and np.isfinite(seconds_duration).all()):
            raise UserError("onsets and durations must be numbers of seconds; some are missing or endless")
        onset_ns, duration_ns = nanoseconds(seconds_onset), nanoseconds(seconds_duration)
        if np.any(onset_ns < 0) or np.any(duration_ns <= 0):
            raise UserError("notes need onsets of at least 0 s and durations above 0 s")
        pedal_channels = np.array([interval[2] if len(interval) > 2 else 0 for interval in pedal], np.int64)
        require_range("channel of a pedal", pedal_channels, 0, 15)
        down, up = nanoseconds(np.array([interval[:2] for interval in pedal], float).reshape(-1, 2)).T
        if np.any(down < 0) or np.any(up < down):
            raise UserError("pedal intervals are (down, up) in seconds: down at 0 s or later, up not before down")
        down, up, feet = unite_pedals(down, up, pedal_channels.astype(np.uint8))
        by_start = np.argsort(down, kind="stable")
        class_of_channel = instrument_of_channels(dict(programs))
        order = np.argsort(onset_ns, kind="stable")
        return cls(
            pitch=pitches.astype(np.uint8)[order],
            velocity=velocities.astype(np.uint8)[order],
            onset=onset_ns[order],
            duration=duration_ns[order],
            channel=channels[order],
            instrument=class_of_channel[channels[order]],
            pedal_down=down[by_start],
            pedal_up=up[by_start],
            pedal_channel=feet[by_start],
            programs=tuple(sorted(programs)),
            source=Provenance(name=name),
        )

    def __len__(self) -> int:
        return len(self.pitch)

    def columns(self) -> dict[str, Any]:
        """Every column, the programs and the provenance, by name."""
        return {one.name: getattr(self, one.name) for one in dataclasses.fields(NoteColumns)}

    def select(self, keep: npt.NDArray[np.bool_]) -> Self:
        """The notes where `keep` (bool [n]) is true; pedal and clock stay."""
        kept: dict[str, Any] = {name: column[keep] for name, column in self._note_columns().items()}
        return replace(self, **kept)

    @property
    def onset_seconds(self) -> npt.NDArray[np.float64]:
        """Onsets in seconds: float64 [n]."""
        return self.onset / NS_PER_S

    @property
    def duration_seconds(self) -> npt.NDArray[np.float64]:
        """Durations in seconds as keyed, without the pedal: float64 [n]."""
        return self.duration / NS_PER_S

    def sounding_duration(self) -> IntColumn:
        """Durations (ns) with the sustain pedal folded in: int64 [n].

        A note whose release falls strictly inside a pedal interval of its channel sounds until that pedal is lifted
        (section 3.1; the published models are trained on this). A key struck again under the pedal does not shorten
        the note before it.
        """
        end = self.onset + self.duration
        for channel in np.flatnonzero(np.bincount(self.pedal_channel, minlength=16)):
            of_channel = self.pedal_channel == channel
            down, up = self.pedal_down[of_channel], self.pedal_up[of_channel]
            index = np.searchsorted(down, end, side="left") - 1
            held = (self.channel == channel) & (index >= 0) & (end < up[index])
            end = np.where(held, up[index], end)
        return end - self.onset

    def _note_columns(self) -> dict[str, npt.NDArray]:
        return {name: getattr(self, name) for name in _NOTE_COLUMNS}


def unite_pedals(down: IntColumn, up: IntColumn, channel: ByteColumn) -> tuple[IntColumn, IntColumn, ByteColumn]:
    """Intervals in any order and unit -> (down, up, channel) by channel and time, those that overlap as one.

    Intervals without length are left out. A pedal pressed at the very moment of its release is a repedalling and stays
    two.
    """
    order = np.lexsort((down, channel))
    order = order[(up > down)[order]]
    down, up, channel = down[order], up[order].copy(), channel[order]
    first = np.ones(len(down), np.bool_)
    for one in np.unique(channel):
        mine = slice(*np.searchsorted(channel, [one, one + 1]))
        up[mine] = np.maximum.accumulate(up[mine])
        first[mine][1:] = down[mine][1:] >= up[mine][:-1]
    starts = np.flatnonzero(first)
    last = np.append(starts[1:], len(up))[: len(starts)] - 1
    return down[starts], up[last], channel[starts]


def nanoseconds(seconds: npt.NDArray[np.float64] | np.float64) -> IntColumn:
    """Seconds -> whole nanoseconds, int64 of the same shape."""
    return np.rint(np.asarray(seconds, np.float64) * NS_PER_S).astype(np.int64)


def require_range(name: str, values: npt.NDArray, low: int, high: int) -> None:
    """Raises `UserError` for a value outside low..high."""
    if values.size and (values.min() < low or values.max() > high):
        worst = values.min() if values.min() < low else values.max()
        raise UserError(f"{name} must lie in {low}..{high}, found {worst}")
