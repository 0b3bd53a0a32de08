"""A piano note in eight bytes, and a pedal move in four: how the note store lays notes out.

docs/store.md says what stands in them: gaps in time, both durations (as keyed, and with the pedal folded in), pitch and
velocity; and why. All times clip at 65,535 ms; tokens clamp durations at 5 s and see nothing of a minute's silence but
<T>s, so that costs no music. It refuses to know about files, folders and tokens.

    >>> packed = pack(performance)             # doctest: +SKIP
    >>> unpack(packed, fold_pedal=True)        # doctest: +SKIP
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from partimento.midi.instruments import INSTRUMENTS
from partimento.midi.performance import Performance
from partimento.tokens.notes import Notes

NOTE: Final = np.dtype(
    [("gap_ms", "<u2"), ("keyed_ms", "<u2"), ("sounding_ms", "<u2"), ("pitch", "u1"), ("velocity", "u1")]
)
PEDAL: Final = np.dtype("<u4")
LIMIT_MS: Final = 65_535
_PEDAL_LIMIT_MS: Final = 2**31 - 1
_PIANO: Final = INSTRUMENTS.index("piano")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Packed:
    """`notes` NOTE [n] in onset order and `pedal` PEDAL [k] in time order, on the clock of the first note."""

    notes: npt.NDArray[np.void]
    pedal: npt.NDArray[np.uint32]

    def __len__(self) -> int:
        return len(self.notes)


def pack(performance: Performance) -> Packed:
    """The piano notes and the piano's pedal; other instruments are left out, as the paper trains on piano alone."""
    sounding = Notes.from_performance(performance, instruments=(_PIANO,))
    keyed = Notes.from_performance(performance, instruments=(_PIANO,), fold_pedal=False)
    return pack_columns(
        onset_ms=keyed.onset_ms,
        keyed_ms=keyed.duration_ms,
        sounding_ms=sounding.duration_ms,
        pitch=keyed.pitch,
        velocity=keyed.velocity,
        pedal_ms=keyed.pedal_ms,
        pedal_down=keyed.pedal_down,
    )


def pack_columns(
    *,
    onset_ms: npt.NDArray[np.integer],
    keyed_ms: npt.NDArray[np.integer],
    sounding_ms: npt.NDArray[np.integer],
    pitch: npt.NDArray[np.uint8],
    velocity: npt.NDArray[np.uint8],
    pedal_ms: npt.NDArray[np.integer],
    pedal_down: npt.NDArray[np.uint8],
) -> Packed:
    """Columns [n] of notes and [k] of pedal moves; onsets ascend, and the first note's is 0.

    Onsets 0, 120 and 70,000 ms become gaps of 0, 120 and 65,535 ms; a pedal pressed at 50 ms and let go at 500 ms
    becomes 101 and 1000.
    """
    onset = onset_ms.astype(np.int64)
    gaps = np.diff(onset, prepend=onset[:1])
    notes = np.empty(len(onset), NOTE)
    notes["gap_ms"] = np.minimum(gaps, LIMIT_MS)
    notes["keyed_ms"] = np.minimum(keyed_ms, LIMIT_MS)
    notes["sounding_ms"] = np.minimum(sounding_ms, LIMIT_MS)
    notes["pitch"], notes["velocity"] = pitch, velocity
    moves = pedal_ms.astype(np.int64)
    if len(onset) and int(gaps.max()) > LIMIT_MS:
        # The pedal keeps its distance from the note before it, as far as the shortened pause lasts.
        before = np.searchsorted(onset, moves, side="right") - 1
        room = np.append(np.minimum(gaps[1:], LIMIT_MS), _PEDAL_LIMIT_MS)
        moves = np.cumsum(notes["gap_ms"], dtype=np.int64)[before] + np.minimum(moves - onset[before], room[before])
    return Packed(notes=notes, pedal=(np.minimum(moves, _PEDAL_LIMIT_MS) * 2 + pedal_down).astype(PEDAL))


def unpack(packed: Packed, first: int = 0, last: int | None = None, *, fold_pedal: bool) -> Notes:
    """Notes first..last-1 on a clock that begins at the first of them.

    With `fold_pedal` the durations are those that sound and there are no pedal moves. Without, durations are as keyed,
    and the moves are those before the onset of note `last`; a pedal already down at the start is pressed at 0 ms.
    """
    rows = packed.notes[first:last]
    onset = np.cumsum(rows["gap_ms"], dtype=np.int64)
    if len(onset):
        onset -= onset[0]
    moves = np.empty(0, np.int64) if fold_pedal else _moves_within(packed, first, last)
    return Notes(
        onset_ms=onset,
        duration_ms=rows["sounding_ms" if fold_pedal else "keyed_ms"].astype(np.int64),
        pitch=np.ascontiguousarray(rows["pitch"]),
        velocity=np.ascontiguousarray(rows["velocity"]),
        instrument=np.full(len(rows), _PIANO, np.uint8),
        pedal_ms=moves >> 1,
        pedal_down=(moves & 1).astype(np.uint8),
    )


def _moves_within(packed: Packed, first: int, last: int | None) -> npt.NDArray[np.int64]:
    """The packed moves between two notes' onsets, counted from the first of them: int64."""
    moves = packed.pedal.astype(np.int64)
    begin = int(packed.notes["gap_ms"][: first + 1].sum(dtype=np.int64))
    after = None
    if last is not None and last < len(packed):
        end = int(packed.notes["gap_ms"][: last + 1].sum(dtype=np.int64))
        after = int(np.searchsorted(moves, end * 2))
    before = int(np.searchsorted(moves, begin * 2))
    inside = moves[before:after] - begin * 2
    pressed = before > 0 and moves[before - 1] & 1
    return np.concatenate([[1], inside]) if pressed else inside
