"""Notes, pedal and programs as numpy columns: what files are read into, written from, and performances are.

It knows what each column means and that all are of one length; it refuses to know what may be done with them
(`performance.py`) and how they stand in a file (`reader.py`, `writer.py`).

    >>> import numpy as np
    >>> from partimento.midi.columns import unite_pedals
    >>> down, up, channel = unite_pedals(np.array([0, 5]), np.array([7, 9]), np.array([0, 0]))
    >>> down.tolist(), up.tolist()
    ([0], [9])
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

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

    def __len__(self) -> int:
        return len(self.pitch)

    def columns(self) -> dict[str, Any]:
        """Every column, the programs and the provenance, by name."""
        return {one.name: getattr(self, one.name) for one in dataclasses.fields(NoteColumns)}

    def select(self, keep: npt.NDArray[np.bool_]) -> Self:
        """The notes where `keep` (bool [n]) is true; pedal and clock stay."""
        kept: dict[str, Any] = {name: column[keep] for name, column in self._note_columns().items()}
        return replace(self, **kept)

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
