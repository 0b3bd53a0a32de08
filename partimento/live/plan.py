"""What will be sent and when: keys, the pedal, and what of it can still be changed.

Knows the order in which things go out: at one moment keys come up, then the pedal moves, then keys go down. Refuses to
know what hands can play (`hands.py`) and what time it is.

    plan = Plan()
    plan.add(Planned(pitch=60, velocity=70, on=1.0, off=1.4, end=1.4))
    for due in plan.take(1.0): ports.send(due.message)
    plan.silence()                                  # what has to be sent now so that nothing sounds
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

from partimento.live.ports import SUSTAIN, Message, control, release, strike

_OFF, _LIFT, _PRESS, _ON = range(4)


@dataclass(slots=True, kw_only=True)
class Planned:
    """A key that goes down at `on` and comes up at `off`, whose note is meant to sound until `end` (s)."""

    pitch: int
    velocity: int
    on: float
    off: float
    end: float
    struck: bool = False
    ticket: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """A message, when it is due (s), and the note that it strikes, if it does."""

    at: float
    message: Message
    strikes: Planned | None = None


@dataclass(slots=True, kw_only=True)
class Foot:
    """The pedal is down from `down` to `up` (s)."""

    down: float
    up: float
    ticket: int = -1


class Plan:
    """See the module."""

    def __init__(self) -> None:
        self.notes: list[Planned] = []
        """Those whose keys have not come up, in the order of their strikes."""
        self.foot: Foot | None = None
        """The latest stretch of the pedal."""
        self.pedal_is_down = False
        self._heap: list[tuple[float, int, int, Planned | Foot]] = []
        self._count = 0

    def __bool__(self) -> bool:
        return bool(self._heap)

    # -- making it ----------------------------------------------------------------------------------------------------

    def add(self, note: Planned) -> None:
        """One more note, struck no earlier than those before."""
        self.notes.append(note)
        self._push(note.on, _ON, note)
        self._push(note.off, _OFF, note)

    def let_go(self, note: Planned, off: float) -> None:
        """Its key comes up at another time."""
        note.off = off
        self._push(off, _OFF, note)

    def press(self, foot: Foot) -> None:
        """The pedal goes down once more, behind all that was planned of it."""
        self.foot = foot
        self._push(foot.down, _PRESS, foot)
        self._push(foot.up, _LIFT, foot)

    def lift(self, up: float) -> None:
        """The latest stretch of the pedal ends at another time."""
        assert self.foot is not None
        self.foot.up = up
        self._push(up, _LIFT, self.foot)

    # -- following it -------------------------------------------------------------------------------------------------

    @property
    def due(self) -> float:
        """When the next message is due (inf: none)."""
        self._drop_old()
        return self._heap[0][0] if self._heap else math.inf

    def take(self, now: float) -> list[Due]:
        """What is due by now, in order; it counts as sent."""
        taken = []
        while (at := self.due) <= now and at < math.inf:
            _, what, _, subject = heapq.heappop(self._heap)
            if isinstance(subject, Foot):
                self.pedal_is_down = what == _PRESS
                taken.append(Due(at=at, message=control(SUSTAIN, 127 * self.pedal_is_down)))
            elif what == _ON:
                subject.struck = True
                taken.append(Due(at=at, message=strike(subject.pitch, subject.velocity), strikes=subject))
            else:
                self.notes.remove(subject)
                if subject.struck:
                    taken.append(Due(at=at, message=release(subject.pitch)))
        return taken

    def skip(self, note: Planned) -> None:
        """A note that was taken could not be struck: its key does not come up either."""
        note.struck = False

    def silence(self) -> list[Message]:
        """Forgets everything; what has to be sent so that nothing sounds."""
        messages = [release(note.pitch) for note in self.notes if note.struck]
        if self.pedal_is_down:
            messages.append(control(SUSTAIN, 0))
        self.notes, self.foot, self.pedal_is_down, self._heap = [], None, False, []
        return messages

    def _push(self, at: float, what: int, subject: Planned | Foot) -> None:
        heapq.heappush(self._heap, (at, what, self._count, subject))
        if what in (_OFF, _LIFT):
            subject.ticket = self._count
        self._count += 1

    def _drop_old(self) -> None:
        """What was planned before a change of plan."""
        while self._heap:
            _, what, ticket, subject = self._heap[0]
            if what in (_PRESS, _ON) or ticket == subject.ticket:
                return
            heapq.heappop(self._heap)
