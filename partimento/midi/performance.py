"""The interchange type: what was played, as columns.

A `Performance` knows notes, sustain pedal, programs and where it came from. Time is exact: integer nanoseconds from
the start of the file, the tempo map already resolved, so that equality, ordering and rounding do not depend on the
history of a float. It refuses to know about beats, bars, tracks and every other MIDI message.

    >>> from partimento import Performance
    >>> p = Performance.from_midi("prompt.mid")                       # doctest: +SKIP
    >>> p.slice_time(0, 15).transpose(2).stretch(1.1).write_midi("out.mid")  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from partimento.errors import UserError

NS_PER_S: Final = 1_000_000_000
DRUM_CHANNEL: Final = 9

INSTRUMENTS: Final = (
    "piano", "organ", "guitar", "bass", "strings", "ensemble", "brass", "reed", "pipe", "synth_lead", "drum",
    "chromatic", "synth_pad", "synth_effect", "ethnic", "percussive", "sfx",
)  # fmt: skip
"""Names of the instrument classes; a note's `instrument` column indexes this tuple."""

DRUM: Final = INSTRUMENTS.index("drum")
LEFT_OUT: Final = frozenset(range(DRUM + 1, len(INSTRUMENTS)))
"""Classes that no published vocabulary can say."""

_GM_ORDER = (
    "piano", "chromatic", "organ", "guitar", "bass", "strings", "ensemble", "brass", "reed", "pipe", "synth_lead",
    "synth_pad", "synth_effect", "ethnic", "percussive", "sfx",
)  # fmt: skip
CLASS_OF_PROGRAM: Final = np.repeat(np.array([INSTRUMENTS.index(name) for name in _GM_ORDER], np.uint8), 8)
"""General MIDI program (0..127) -> instrument class."""

IntColumn = npt.NDArray[np.int64]
ByteColumn = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Where a performance came from.

    `sha256` is that of the file's bytes (empty for a performance that was never a file); `truncated` says that the
    file ended inside a chunk and only what stands before the cut is here.
    """

    name: str = ""
    sha256: str = ""
    truncated: bool = False
    smf_format: int = 1
    tracks: int = 0
    ticks_per_beat: int = 0
    tempi: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Performance:
    """Notes and pedal as read-only numpy columns.

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

    def __len__(self) -> int:
        return len(self.pitch)

    def __repr__(self) -> str:
        name = f" {self.source.name!r}" if self.source.name else ""
        return f"<Performance{name}: {len(self)} notes, {self.seconds:.2f} s, {len(self.pedal_down)} pedal intervals>"

    # -- making one ---------------------------------------------------------------------------------------------------

    @classmethod
    def from_midi(cls, source: str | PathLike[str] | bytes) -> Performance:
        """Read a Standard MIDI File from a path or from its bytes; raises `MidiError` (docs/midi.md)."""
        from partimento.midi import reader

        return reader.read(source) if isinstance(source, bytes) else reader.read_file(source)

    @classmethod
    def from_notes(
        cls,
        *,
        pitch: npt.ArrayLike,
        velocity: npt.ArrayLike,
        onset: npt.ArrayLike,
        duration: npt.ArrayLike,
        channel: npt.ArrayLike = 0,
        pedal: Sequence[tuple[float, float]] = (),
        programs: Sequence[tuple[int, int]] = ((0, 0),),
        name: str = "",
    ) -> Performance:
        """Build from note columns in seconds and sustain-pedal intervals (down, up) in seconds on channel 0.

        Scalars are broadcast. Notes are sorted by onset; pedal intervals that overlap become one. Raises `UserError`
        for values MIDI cannot hold.
        """
        seconds_onset, seconds_duration, pitches, velocities, channels = np.broadcast_arrays(
            *(np.atleast_1d(np.asarray(c)) for c in (onset, duration, pitch, velocity, channel))
        )
        _require_range("pitch", pitches, 0, 127)
        _require_range("velocity", velocities, 1, 127)
        _require_range("channel", channels, 0, 15)
        channels = channels.astype(np.uint8)  # an empty list would be of floats, which cannot be indices
        onset_ns, duration_ns = _nanoseconds(seconds_onset), _nanoseconds(seconds_duration)
        if np.any(onset_ns < 0) or np.any(duration_ns <= 0):
            raise UserError("notes need onsets of at least 0 s and durations above 0 s")
        intervals = _nanoseconds(np.asarray(sorted(pedal), float).reshape(-1, 2))
        if np.any(intervals[:, 0] < 0) or np.any(intervals[:, 1] < intervals[:, 0]):
            raise UserError("pedal intervals are (down, up) in seconds: down at 0 s or later, up not before down")
        pedal_down, pedal_up, pedal_channel = unite_pedals(
            intervals[:, 0], intervals[:, 1], np.zeros(len(intervals), np.uint8)
        )
        class_of_channel = instrument_of_channels(dict(programs))
        order = np.argsort(onset_ns, kind="stable")
        return cls(
            pitch=pitches.astype(np.uint8)[order],
            velocity=velocities.astype(np.uint8)[order],
            onset=onset_ns[order],
            duration=duration_ns[order],
            channel=channels[order],
            instrument=class_of_channel[channels[order]],
            pedal_down=pedal_down,
            pedal_up=pedal_up,
            pedal_channel=pedal_channel,
            programs=tuple(sorted(programs)),
            source=Provenance(name=name),
        )

    # -- writing it ---------------------------------------------------------------------------------------------------

    def to_midi(self) -> bytes:
        """The bytes of a Standard MIDI File; the same performance gives the same bytes (docs/midi.md)."""
        from partimento.midi import writer

        return writer.write(self)

    def write_midi(self, path: str | PathLike[str]) -> None:
        """Write a Standard MIDI File atomically."""
        from partimento.midi import writer

        writer.write_file(self, path)

    def render(self) -> npt.NDArray[np.float32]:
        """The sound on a piano: float32 [samples, 2], 48,000 a second, its peak at -1 dBFS (docs/sound.md).

        Drums are left out. Raises `UserError` where the recordings of the piano are missing.
        """
        from partimento.audio import sampler

        return sampler.render(self)

    # -- looking at it ------------------------------------------------------------------------------------------------

    @property
    def end(self) -> int:
        """Nanoseconds of the last key release; 0 without notes."""
        return int((self.onset + self.duration).max()) if len(self) else 0

    @property
    def seconds(self) -> float:
        """Seconds from the start of the file to the last key release."""
        return self.end / NS_PER_S

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

    # -- changing it (each returns a new performance) -----------------------------------------------------------------

    def slice_time(self, start: float, end: float) -> Performance:
        """The notes that start in [start, end) seconds, on a clock that begins at `start`.

        Durations are kept whole; a pedal still down at `end` counts as released there.
        """
        if not 0 <= start <= end:
            raise UserError(f"a slice needs 0 <= start <= end, not start={start} and end={end} s")
        start_ns, end_ns = (int(v) for v in _nanoseconds(np.array([start, min(end, 1e9)])))
        first, last = np.searchsorted(self.onset, [start_ns, end_ns])
        return self._slice(int(first), int(last), start_ns, end_ns)

    def slice_notes(self, first: int, last: int) -> Performance:
        """Notes first..last-1 in column order, on a clock that begins at the onset of the first of them."""
        if not 0 <= first <= last <= len(self):
            raise UserError(
                f"a slice of {len(self)} notes needs 0 <= first <= last <= {len(self)}, not {first}..{last}"
            )
        start_ns = int(self.onset[first]) if first < len(self) else self.end
        end_ns = int(self.onset[last]) if last < len(self) else np.iinfo(np.int64).max
        return self._slice(first, last, start_ns, end_ns)

    def select(self, keep: npt.NDArray[np.bool_]) -> Performance:
        """The notes where `keep` (bool [n]) is true; pedal and clock stay."""
        return self._replace({name: column[keep] for name, column in self._note_columns().items()})

    def transpose(self, semitones: int) -> Performance:
        """All notes but drums moved by `semitones`; raises `UserError` if one would leave 0..127."""
        melodic = self.instrument != DRUM
        pitch = self.pitch.astype(np.int64) + semitones * melodic
        _require_range(f"pitch after transposing by {semitones}", pitch, 0, 127)
        return replace(self, pitch=pitch.astype(np.uint8))

    def stretch(self, factor: float) -> Performance:
        """Every time multiplied by `factor` (2.0 plays at half the speed)."""
        if not (np.isfinite(factor) and factor > 0):
            raise UserError(f"a stretch factor must be a positive number, not {factor}")

        def scaled(column: IntColumn) -> IntColumn:
            return np.rint(column * factor).astype(np.int64)

        return replace(
            self,
            onset=scaled(self.onset),
            duration=np.maximum(scaled(self.duration), 1),
            **_pedal(scaled(self.pedal_down), scaled(self.pedal_up), self.pedal_channel),
        )

    def change_velocity(self, delta: int) -> Performance:
        """Every velocity plus `delta`, clipped to 1..127."""
        return replace(self, velocity=np.clip(self.velocity.astype(np.int64) + delta, 1, 127).astype(np.uint8))

    def shift(self, seconds: float) -> Performance:
        """Everything moved later by `seconds` (earlier if negative); `UserError` if a note would begin below 0.

        Of a pedal that was down before the start, what is left of it remains.
        """
        by = int(_nanoseconds(np.float64(seconds)))
        if len(self) and self.onset[0] + by < 0:
            raise UserError(f"a shift by {seconds} s would move the first note before the start")
        return replace(
            self,
            onset=self.onset + by,
            **_pedal(np.maximum(self.pedal_down + by, 0), self.pedal_up + by, self.pedal_channel),
        )

    def merge(self, other: Performance) -> Performance:
        """Both performances on one clock.

        A channel has one program and one pedal. Where `self` has notes or a program on a channel, its program (the
        piano, if it states none) holds there for the notes of both; other channels keep that of `other`. The pedal of a
        channel is down where it is in either.
        """
        onset = np.concatenate([self.onset, other.onset])
        order = np.argsort(onset, kind="stable")
        theirs = other._note_columns()
        notes = {name: np.concatenate([mine, theirs[name]])[order] for name, mine in self._note_columns().items()}
        played = set(self.channel.tolist())
        programs = {c: p for c, p in other.programs if c not in played} | dict(self.programs)
        notes["instrument"] = instrument_of_channels(programs)[notes["channel"]]
        down, up, channel = unite_pedals(
            np.concatenate([self.pedal_down, other.pedal_down]),
            np.concatenate([self.pedal_up, other.pedal_up]),
            np.concatenate([self.pedal_channel, other.pedal_channel]),
        )
        by_start = np.argsort(down, kind="stable")
        return self._replace(
            notes,
            pedal_down=down[by_start],
            pedal_up=up[by_start],
            pedal_channel=channel[by_start],
            programs=tuple(sorted(programs.items())),
        )

    # -- inside -------------------------------------------------------------------------------------------------------

    def _note_columns(self) -> dict[str, npt.NDArray]:
        return {
            "pitch": self.pitch,
            "velocity": self.velocity,
            "onset": self.onset,
            "duration": self.duration,
            "channel": self.channel,
            "instrument": self.instrument,
        }

    def _replace(self, notes: dict[str, npt.NDArray], **others: Any) -> Performance:
        columns: dict[str, Any] = {**notes, **others}
        return replace(self, **columns)

    def _slice(self, first: int, last: int, start_ns: int, end_ns: int) -> Performance:
        notes = {name: column[first:last].copy() for name, column in self._note_columns().items()}
        notes["onset"] -= start_ns
        down, up = np.maximum(self.pedal_down, start_ns), np.minimum(self.pedal_up, end_ns)
        return self._replace(notes, **_pedal(down - start_ns, up - start_ns, self.pedal_channel))


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


def instrument_of_channels(programs: dict[int, int]) -> ByteColumn:
    """Instrument class of each of the 16 channels: uint8 [16]; channels without a program are piano, channel 9 drum."""
    classes = np.zeros(16, np.uint8)
    for channel, program in programs.items():
        classes[channel] = CLASS_OF_PROGRAM[program]
    classes[DRUM_CHANNEL] = DRUM
    return classes


def _nanoseconds(seconds: npt.NDArray[np.float64] | np.float64) -> IntColumn:
    return np.rint(np.asarray(seconds, np.float64) * NS_PER_S).astype(np.int64)


def _require_range(name: str, values: npt.NDArray, low: int, high: int) -> None:
    if values.size and (values.min() < low or values.max() > high):
        worst = values.min() if values.min() < low else values.max()
        raise UserError(f"{name} must lie in {low}..{high}, found {worst}")


def _pedal(down: IntColumn, up: IntColumn, channel: ByteColumn) -> dict[str, Any]:
    """The pedal columns, without the intervals of which nothing is left."""
    left = up > down
    return {"pedal_down": down[left], "pedal_up": up[left], "pedal_channel": channel[left]}
