"""Notes as the tokeniser sees them: whole milliseconds from the first note, pedal folded into durations.

A `Notes` is what a vocabulary can speak about a `Performance`: the corpus stores it and augmentation acts on it, so
that tokens are only made when they are needed. It refuses to know about tokens.

    >>> notes = Notes.from_performance(performance)  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from partimento.midi.instruments import DRUM, INSTRUMENTS
from partimento.midi.performance import Performance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Notes:
    """n notes sorted by onset, and k pedal moves (empty when the pedal is folded into the durations).

    onset_ms int64 [n], duration_ms int64 [n] (may be 0 for a note shorter than half a millisecond), pitch, velocity,
    instrument uint8 [n]; pedal_ms int64 [k], pedal_down uint8 [k] (1 pressed, 0 lifted).
    """

    onset_ms: npt.NDArray[np.int64]
    duration_ms: npt.NDArray[np.int64]
    pitch: npt.NDArray[np.uint8]
    velocity: npt.NDArray[np.uint8]
    instrument: npt.NDArray[np.uint8]
    pedal_ms: npt.NDArray[np.int64]
    pedal_down: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.onset_ms)

    @classmethod
    def from_performance(
        cls,
        performance: Performance,
        *,
        instruments: Iterable[int] = range(DRUM + 1),
        remove_silence: bool = True,
        fold_pedal: bool = True,
    ) -> Notes:
        """The notes of the given instrument classes, on a clock of whole milliseconds.

        The clock starts at the first note kept, or with `remove_silence=False` at the start of the file. Milliseconds
        are rounded half to even. With `fold_pedal=False` durations are as keyed and the piano's pedal is kept apart.
        """
        wanted = np.zeros(len(INSTRUMENTS), np.bool_)
        wanted[list(instruments)] = True
        keep = wanted[performance.instrument]
        duration = performance.sounding_duration() if fold_pedal else performance.duration
        kept = slice(None) if keep.all() else keep  # views where nothing is left out
        onset = performance.onset[kept]
        origin = int(onset[0]) if remove_silence and len(onset) else 0
        if fold_pedal:
            pedal_ns, pedal_down = np.empty(0, np.int64), np.empty(0, np.uint8)
        else:
            pedal_ns, pedal_down = _pedal_moves(performance)
        return cls(
            onset_ms=milliseconds(onset - origin),
            duration_ms=milliseconds(duration[kept]),
            pitch=performance.pitch[kept],
            velocity=performance.velocity[kept],
            instrument=performance.instrument[kept],
            pedal_ms=milliseconds(np.maximum(pedal_ns - origin, 0)),
            pedal_down=pedal_down,
        )

    def slice(self, first: int, last: int) -> Notes:
        """Notes first..last-1 on a clock that begins at the first of them; pedal moves are not carried over."""
        onset = self.onset_ms[first:last]
        return Notes(
            onset_ms=onset - onset[0] if len(onset) else onset,
            duration_ms=self.duration_ms[first:last],
            pitch=self.pitch[first:last],
            velocity=self.velocity[first:last],
            instrument=self.instrument[first:last],
            pedal_ms=np.empty(0, np.int64),
            pedal_down=np.empty(0, np.uint8),
        )


def milliseconds(nanoseconds: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """int64 nanoseconds -> whole milliseconds, half to even; exact below 2^53, which are a hundred days."""
    return np.rint(nanoseconds / 1e6).astype(np.int64)


def _pedal_moves(performance: Performance) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Presses and lifts of the channels that play piano, in time order; a lift comes before a press of its moment."""
    piano_channels = np.unique(performance.channel[performance.instrument == INSTRUMENTS.index("piano")])
    mine = np.isin(performance.pedal_channel, piano_channels)
    down, up = performance.pedal_down[mine], performance.pedal_up[mine]
    times = np.concatenate([up, down])
    pressed = np.repeat(np.array([0, 1], np.uint8), len(down))
    order = np.argsort(times, kind="stable")
    return times[order], pressed[order]


def pedal_intervals(
    ms: npt.NDArray[np.int64], down: npt.NDArray[np.uint8], final_ms: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Pedal moves in any order -> (ups, downs) in ms; repeated presses and lifts change nothing.

    A pedal that is never lifted is up at `final_ms`, or was never down if it was pressed no earlier than that.
    """
    ups, downs = [], []
    pressed = -1
    for i in np.argsort(ms, kind="stable").tolist():
        if down[i] and pressed < 0:
            pressed = int(ms[i])
        elif not down[i] and pressed >= 0:
            if ms[i] > pressed:
                ups.append(int(ms[i]))
                downs.append(pressed)
            pressed = -1
    if 0 <= pressed < final_ms:
        ups.append(final_ms)
        downs.append(pressed)
    return np.array(ups, np.int64), np.array(downs, np.int64)
