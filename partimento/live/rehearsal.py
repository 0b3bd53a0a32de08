"""A duet without hands and without an instrument: a file plays the human.

Knows when the file hands over, and goes on when it is answered. `rehearse` runs everything in virtual time on one
thread: the model's work takes as long as it takes here, waiting takes nothing. In real time a `Stage` takes the same
`FileHuman`. Refuses to know what is measured by it (`latencies`).

    human = FileHuman(Performance.from_midi("nocturne.mid"), hand_overs=(10.0, 20.0), how=HandOver())
    sent = rehearse(duet, partner, human, VirtualClock())
    latencies(duet.turns)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np

from partimento.errors import UserError
from partimento.live.duet import Duet, State, Turn
from partimento.live.hand_over import HandOver
from partimento.live.partner import Made, Partner
from partimento.live.plan import Due
from partimento.live.ports import SOFT, SUSTAIN, Message, control, release, strike
from partimento.midi.performance import Performance

_FOLLOW_S: Final = 0.2
"""Hands leave the keys so long after the sign."""


class VirtualClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Where it was moved to last."""
        return self._now

    def go_to(self, seconds: float) -> None:
        """Moves on; raises `ValueError` if that were back."""
        if seconds < self._now:
            raise ValueError(f"a clock at {self._now} s cannot go back to {seconds} s")
        self._now = seconds


class FileHuman:
    """Plays a file, hands over at stated moments of it and goes on with it `pause_s` after the answer.

    Whenever it is answered it lifts its hands; with `interrupt_s` it goes on so long after an answer's first note.
    """

    def __init__(
        self,
        performance: Performance,
        *,
        hand_overs: Sequence[float],
        how: HandOver,
        pause_s: float = 0.5,
        interrupt_s: float | None = None,
    ) -> None:
        """Raises `UserError` for moments that are not in the file."""
        for moment in hand_overs:
            if not 0 < moment <= performance.seconds:
                raise UserError(f"the file is {performance.seconds:.1f} s long; it cannot hand over at {moment:g} s")
        self._events = _events(performance, sorted(hand_overs))
        self._how, self._pause_s, self._interrupt_s = how, pause_s, interrupt_s
        self._at, self._offset = 0, 0.0
        self._waits = False
        self._lift: float | None = None
        self._resume: float | None = None

    @property
    def over(self) -> bool:
        """Whether there is nothing left to play."""
        return self._at == len(self._events) and not self._waits

    def next(self, duet: Duet, now: float) -> float:
        """See `stage.Human`."""
        if self._lift is not None:
            return self._lift
        if self._resume is not None:
            return self._resume
        if duet.state is not State.LISTENING and not self._waits:
            self._waits, self._lift = True, now + _FOLLOW_S
            return self._lift
        if self._waits:
            sent = duet.turns[-1].sent if duet.turns else None
            if self._interrupt_s is not None and sent is not None and duet.state is State.PLAYING:
                return self._go_on(sent + self._interrupt_s)
            return self._go_on(now + self._pause_s) if duet.state is State.LISTENING else math.inf
        return self._events[self._at][0] + self._offset if self._at < len(self._events) else math.inf

    def act(self, duet: Duet, now: float) -> None:
        """See `stage.Human`."""
        if self._lift is not None:
            self._lift = None  # and whatever else there is to do comes after
            for pitch in duet.keys:
                duet.hear(now, release(pitch))
            duet.hear(now, control(SUSTAIN, 0))
            return
        self._resume = None
        message = self._events[self._at][1]
        self._at += 1
        if message is not None:
            duet.hear(now, message)
            return
        match self._how.sign:
            case "pedal":
                duet.hear(now, control(SOFT, 127))
                duet.hear(now, control(SOFT, 0))
            case "key":
                duet.hear(now, strike(self._how.key, 40))
                duet.hear(now, release(self._how.key))
            case "silence":
                self._lift, self._offset = now, self._offset + self._how.silence_s + self._pause_s
            case "bars":
                pass

    def _go_on(self, at: float) -> float:
        """From then on the file is played on; when that is (inf: there is nothing left of it)."""
        self._waits = False
        if self._at == len(self._events):
            return math.inf
        self._offset, self._resume = at - self._events[self._at][0], at
        return at


def _events(performance: Performance, hand_overs: Sequence[float]) -> list[tuple[float, Message | None]]:
    """Messages with their seconds, in the order in which hands and a foot give them; None: the sign."""
    events: list[tuple[float, int, Message | None]] = [(moment, 3, None) for moment in hand_overs]
    onset, end = performance.onset_seconds, performance.onset_seconds + performance.duration_seconds
    for pitch, velocity, on, off in zip(performance.pitch, performance.velocity, onset, end, strict=True):
        events.append((float(on), 2, strike(int(pitch), int(velocity))))
        events.append((float(off), 0, release(int(pitch))))
    for down, up in zip(performance.pedal_down / 1e9, performance.pedal_up / 1e9, strict=True):
        events.append((float(down), 1, control(SUSTAIN, 127)))
        events.append((float(up), 0, control(SUSTAIN, 0)))
    events.sort(key=lambda event: event[:2])
    return [(at, message) for at, _, message in events]


def rehearse(
    duet: Duet,
    partner: Partner,
    human: FileHuman,
    clock: VirtualClock,
    *,
    timer: Callable[[], float] = time.perf_counter,
    on_sent: Callable[[float, Due], None] | None = None,
) -> list[tuple[float, Due]]:
    """Plays it all in virtual time: what was sent, and when.

    `timer` says how long a step of the model took; one that only counts makes it the same every time.
    """
    sent: list[tuple[float, Due]] = []
    made: Made | None = None
    ready = math.inf
    while True:
        now = clock.now()
        if ready == math.inf:
            task = duet.ask(partner.version)
            if task is not None:
                partner.take(task)
            elif partner.answering not in (None, duet.answering):
                partner.drop()
            rests = partner.answering is not None and now < duet.rest_until
            if partner.busy and not rests:
                began = timer()
                made = partner.step()
                ready = now + timer() - began
        wakes = duet.rest_until if ready == math.inf and partner.answering is not None else math.inf
        due = human.next(duet, now)
        then = min(ready, wakes, due, duet.deadline)
        if then == math.inf:
            return sent
        clock.go_to(max(then, now))
        now = clock.now()
        if ready <= now:
            ready = math.inf
            if made is not None:
                duet.decided(now, number=made.number, notes=made.notes)
                if made.over:
                    duet.finished(now, number=made.number)
        elif due <= now:
            human.act(duet, now)
        for each in duet.tick(now):
            sent.append((now, each))
            if on_sent is not None:
                on_sent(now, each)


def latencies(turns: Iterable[Turn]) -> dict[str, float]:
    """Of the answers: how many, and seconds from the sign to the first note, sent and known, median and 95 %."""
    turns = list(turns)
    sent = [turn.sent - turn.handed_over for turn in turns if turn.sent is not None]
    known = [turn.decided - turn.handed_over for turn in turns if turn.decided is not None]
    facts: dict[str, float] = {"answers": len(turns), "sounded": len(sent)}
    for name, values in (("first_note", sent), ("known", known)):
        if values:
            facts[f"{name}_median_s"] = float(np.median(values))
            facts[f"{name}_p95_s"] = float(np.percentile(values, 95))
    facts["left_out"] = sum(turn.left_out for turn in turns)
    facts["slips_s"] = max((turn.slips_s for turn in turns), default=0.0)
    return facts
