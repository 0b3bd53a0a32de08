"""The interchange type: what was played, as columns.

A `Performance` knows notes, sustain pedal, programs and where it came from. Time is exact: integer nanoseconds from
the start of the file, the tempo map already resolved, so that equality, ordering and rounding do not depend on the
history of a float. It refuses to know about beats, bars, tracks and every other MIDI message.

    >>> from partimento import Performance
    >>> p = Performance.from_midi("prompt.mid")                       # doctest: +SKIP
    >>> p.slice_time(0, 15).transpose(2).stretch(1.1).write_midi("out.mid")  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from partimento.errors import UserError
from partimento.midi.columns import (
    NS_PER_S,
    ByteColumn,
    IntColumn,
    Note,
    Repair,
    nanoseconds,
    require_range,
    unite_pedals,
)
from partimento.midi.instruments import DRUM, instrument_of_channels
from partimento.midi.interchange.methods import Interchange


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Performance(Interchange):
    """Notes and pedal as read-only numpy columns (`NoteColumns` says what each means), and what can be done with it.

    `Interchange` has its ways from and to other libraries.
    """

    def __repr__(self) -> str:
        name = f" {self.source.name!r}" if self.source.name else ""
        return f"<Performance{name}: {len(self)} notes, {self.seconds:.2f} s, {len(self.pedal_down)} pedal intervals>"

    def __eq__(self, other: object) -> bool:
        """Whether both hold the same notes, pedal and programs, wherever they came from."""
        if not isinstance(other, Performance):
            return NotImplemented
        pairs = ((value, other.columns()[name]) for name, value in self.columns().items() if name != "source")
        return all(np.array_equal(mine, theirs) for mine, theirs in pairs)

    def __hash__(self) -> int:
        return hash((self.pitch.tobytes(), self.onset.tobytes()))

    def __getitem__(self, index: int) -> Note:
        return Note(
            pitch=int(self.pitch[index]),
            velocity=int(self.velocity[index]),
            onset_s=float(self.onset[index] / NS_PER_S),
            duration_s=float(self.duration[index] / NS_PER_S),
            instrument=int(self.instrument[index]),
        )

    def __iter__(self) -> Iterator[Note]:
        return (self[index] for index in range(len(self)))

    @property
    def notes(self) -> list[Note]:
        """One `Note` after the other, for loops; the columns are a hundred times as fast."""
        return list(self)

    # -- making one ---------------------------------------------------------------------------------------------------

    @classmethod
    def from_midi(
        cls,
        source: str | PathLike[str] | bytes,
        *,
        name: str = "",
        strict: bool = False,
        controllers: Literal["all", "published"] = "all",
    ) -> Performance:
        """Read a Standard MIDI File from a path or from its bytes; raises `MidiError` (docs/midi.md).

        `name` is what bytes are called in messages, and in `source`. Of a damaged file what can be read is read, and
        `repairs` says what was done; `strict` refuses it instead. With the "published" `controllers` only the sustain
        pedal counts, as in the published models' data; "all" also end notes and hold them.
        """
        from partimento.midi import reader

        if isinstance(source, bytes):
            return cls.of(reader.read(source, name=name, strict=strict, controllers=controllers))
        return cls.of(reader.read_file(source, strict=strict, controllers=controllers))

    # -- writing it ---------------------------------------------------------------------------------------------------

    def to_midi(self) -> bytes:
        """The bytes of a Standard MIDI File; the same performance gives the same bytes (docs/midi.md)."""
        from partimento.midi import writer

        return writer.write(self)

    def write_midi(self, path: str | PathLike[str]) -> None:
        """Write a Standard MIDI File atomically."""
        from partimento.midi import writer

        writer.write_file(self, path)

    def save(self, path: str | PathLike[str]) -> None:
        """Another name of `write_midi`, which people try first."""
        self.write_midi(path)

    def render(self) -> npt.NDArray[np.float32]:
        """The sound on a piano: float32 [samples, 2], 48,000 a second, its peak at -1 dBFS (docs/sound.md).

        Drums are left out. Raises `UserError` where the recordings of the piano are missing.
        """
        from partimento.audio import sampler

        return sampler.render(self)

    def _repr_html_(self, edges: tuple[float | None, float | None] = (None, None)) -> str:
        """In a notebook: the piano roll, and the sound of a minute, from the first note or shortly before an edge.

        `edges` are `split_seconds` and `until_seconds` of `draw_piano_roll`.
        """
        from partimento.audio import notebook

        begin = float(self.onset_seconds[0]) if len(self) else 0.0
        if edges[0] is not None:
            begin = max(begin, edges[0] - notebook.SECONDS_BEFORE)
        heard = self.slice_time(begin, begin + notebook.SECONDS)
        return notebook.html_of(self, heard, name=self.source.name, begin=begin, edges=edges)

    # -- looking at it ------------------------------------------------------------------------------------------------

    @property
    def repairs(self) -> tuple[Repair, ...]:
        """The damaged places of the file that it was read from, and what was done there (docs/midi.md)."""
        return self.source.repairs

    @property
    def end(self) -> int:
        """Nanoseconds of the last key release; 0 without notes."""
        return int((self.onset + self.duration).max()) if len(self) else 0

    @property
    def seconds(self) -> float:
        """Seconds from the start of the file to the last key release."""
        return self.end / NS_PER_S

    # -- changing it (each returns a new performance) -----------------------------------------------------------------

    def slice_time(self, start: float, end: float) -> Performance:
        """The notes that start in [start, end) seconds, on a clock that begins at `start`.

        Durations are kept whole; a pedal still down at `end` counts as released there.
        """
        if not 0 <= start <= end:
            raise UserError(f"a slice needs 0 <= start <= end, not start={start} and end={end} s")
        start_ns, end_ns = (int(v) for v in nanoseconds(np.array([start, min(end, 1e9)])))
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

    def transpose(self, semitones: int) -> Performance:
        """All notes but drums moved by `semitones`; raises `UserError` if one would leave 0..127."""
        melodic = self.instrument != DRUM
        pitch = self.pitch.astype(np.int64) + semitones * melodic
        require_range(f"pitch after transposing by {semitones}", pitch, 0, 127)
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
        by = int(nanoseconds(np.float64(seconds)))
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

    def _replace(self, notes: dict[str, npt.NDArray], **others: Any) -> Performance:
        columns: dict[str, Any] = {**notes, **others}
        return replace(self, **columns)

    def _slice(self, first: int, last: int, start_ns: int, end_ns: int) -> Performance:
        notes = {name: column[first:last].copy() for name, column in self._note_columns().items()}
        notes["onset"] -= start_ns
        down, up = np.maximum(self.pedal_down, start_ns), np.minimum(self.pedal_up, end_ns)
        return self._replace(notes, **_pedal(down - start_ns, up - start_ns, self.pedal_channel))


def _pedal(down: IntColumn, up: IntColumn, channel: ByteColumn) -> dict[str, Any]:
    """The pedal columns, without the intervals of which nothing is left."""
    left = up > down
    return {"pedal_down": down[left], "pedal_up": up[left], "pedal_channel": channel[left]}
