"""What both players have played: notes on one clock, and which of them are certain.

A note is certain when it has ended: the key is up, and so is the pedal that may have held it. What stands before the
first that is not can be read by a model while the playing goes on. Knows keys and the pedal; refuses to know models and
whose turn it is. Times are seconds of the live clock, which are those of the performances.

    heard = Heard()
    heard.strike(0.5, pitch=60, velocity=70); heard.release(0.9, pitch=60)
    heard.certain()                                 # a Performance to read ahead
    prompt, held = heard.whole(2.0)                 # all of it, and which notes still sound
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from partimento.midi.performance import Performance

_SHORTEST_S = 0.001
_HUMAN, _MACHINE = 0, 1
"""Channels, each with a pedal of its own."""


@dataclass(slots=True)
class _Note:
    pitch: int
    velocity: int
    on: float
    off: float | None
    channel: int = _HUMAN


class Heard:
    """See the module. Everything it is told comes in the order of time, but for the ends of answered notes."""

    def __init__(self) -> None:
        self.keys: dict[int, float] = {}
        """Keys that the human holds, and since when."""
        self.last_release = -math.inf
        self.changes = 0
        self._up: dict[int, float] = {}
        self._notes: list[_Note] = []
        self._held: dict[int, _Note] = {}
        self._pedal: list[tuple[float, float]] = []
        self._pedal_down: float | None = None

    def __len__(self) -> int:
        return len(self._notes)

    # -- what happens -------------------------------------------------------------------------------------------------

    def strike(self, t: float, *, pitch: int, velocity: int) -> None:
        """The human's key goes down; one that was not seen to come up has done so now."""
        self.release(t, pitch=pitch)
        note = _Note(pitch, velocity, t, None)
        self._notes.append(note)
        self._held[pitch] = note
        self.keys[pitch] = t
        self.changes += 1

    def release(self, t: float, *, pitch: int) -> None:
        """The human's key comes up; nothing, if it was not down."""
        note = self._held.pop(pitch, None)
        if note is not None:
            del self.keys[pitch]
            note.off = max(t, note.on + _SHORTEST_S)
            self.last_release = self._up[pitch] = t
            self.changes += 1

    def pedal(self, t: float, *, down: bool) -> None:
        """The human's sustain pedal."""
        if down and self._pedal_down is None:
            self._pedal_down = t
        elif not down and self._pedal_down is not None:
            self._pedal.append((self._pedal_down, t))
            self._pedal_down = None
        self.changes += 1

    def let_go(self, t: float) -> None:
        """All keys and the pedal come up, as when a cable is pulled."""
        for pitch in list(self.keys):
            self.release(t, pitch=pitch)
        self.pedal(t, down=False)

    def answered(self, *, pitch: int, velocity: int, on: float, end: float) -> None:
        """A note of the machine, as long as it means to let it sound."""
        self._notes.append(_Note(pitch, velocity, on, max(end, on + _SHORTEST_S), _MACHINE))
        self.changes += 1

    def cut(self, t: float) -> None:
        """Whatever the machine lets sound ends now."""
        for note in self._notes:
            if note.channel == _MACHINE and note.off is not None and note.off > t:
                note.off = max(t, note.on + _SHORTEST_S)
        self.changes += 1

    def forget(self, keep: int) -> None:
        """All but the latest notes, so many of them."""
        if len(self._notes) > keep:
            self._notes.sort(key=lambda note: note.on)
            del self._notes[: len(self._notes) - keep]
            self._pedal = [(down, up) for down, up in self._pedal if up > self._notes[0].on]
            self.changes += 1

    def up_since(self, pitch: int) -> float:
        """When the human let go of this key the last time (-inf: never)."""
        return self._up.get(pitch, -math.inf)

    # -- what there is ------------------------------------------------------------------------------------------------

    def certain(self) -> Performance:
        """What stands before the first note whose end is open."""
        notes = sorted(self._notes, key=lambda note: note.on)
        open_ = next((at for at, note in enumerate(notes) if self._is_open(note)), len(notes))
        return _performance(notes[:open_], math.inf, self._pedal)

    def whole(self, now: float) -> tuple[Performance, list[int]]:
        """Everything, as if all that sounds ended now; and the positions of the notes that do sound."""
        notes = sorted(self._notes, key=lambda note: note.on)
        pedal = self._pedal if self._pedal_down is None else [*self._pedal, (self._pedal_down, now)]
        held = [at for at, note in enumerate(notes) if self._is_open(note)]
        return _performance(notes, now, pedal), held

    def _is_open(self, note: _Note) -> bool:
        if note.off is None:
            return True
        return note.channel == _HUMAN and self._pedal_down is not None and note.off > self._pedal_down


def _performance(notes: Sequence[_Note], now: float, pedal: Sequence[tuple[float, float]]) -> Performance:
    ends = [now if note.off is None else note.off for note in notes]
    return Performance.from_notes(
        pitch=[note.pitch for note in notes],
        velocity=[note.velocity for note in notes],
        onset=[note.on for note in notes],
        duration=[max(end - note.on, _SHORTEST_S) for note, end in zip(notes, ends, strict=True)],
        channel=[note.channel for note in notes],
        pedal=pedal,
    )
