"""A duet in real time: ports, a clock, a model on a thread of its own, and one that sends each message when it is due.

Knows threads, the machine's clock, and what happens when a cable is pulled. Refuses to know whose turn it is
(`duet.py`) and what is played. Everything that belongs to the duet is done under one lock, which nobody holds while a
model computes.

    with Stage(duet, partner, ports, MonotonicClock()) as stage:
        stage.sign()                    # hands over, or takes back
        stage.watch()                   # now and then: are the ports there?
    stage.errors_s                      # how late each planned message left
"""

from __future__ import annotations

import gc
import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from partimento.live.duet import Duet, State
from partimento.live.partner import Partner
from partimento.live.ports import Message, PortLost, Ports

if TYPE_CHECKING:
    from partimento.live.plan import Due

_SWITCH_S: Final = 0.0005
"""So soon a thread that is due gets the interpreter from one that computes; Python's own 5 ms are what we promise."""
_MOST_ERRORS: Final = 100_000
_NS: Final = 1_000_000_000


class Clock(Protocol):
    """Seconds since it was made."""

    def now(self) -> float:
        """Seconds; never fewer than before."""


class MonotonicClock:
    """The machine's own, which no correction of the time of day moves."""

    def __init__(self) -> None:
        self._began = time.perf_counter_ns()

    def now(self) -> float:
        """Seconds since it was made."""
        return (time.perf_counter_ns() - self._began) / _NS


class Human(Protocol):
    """Somebody who plays without hands: a file, a script (`rehearsal.py`)."""

    def next(self, duet: Duet, now: float) -> float:
        """When it does something (inf: never, unless something happens)."""

    def act(self, duet: Duet, now: float) -> None:
        """Does what is due."""


class Stage:
    """See the module. Times are those of the clock."""

    def __init__(self, duet: Duet, partner: Partner, ports: Ports, clock: Clock, *, human: Human | None = None) -> None:
        self.duet, self.errors_s = duet, deque[float](maxlen=_MOST_ERRORS)
        self._partner, self._ports, self._clock, self._human = partner, ports, clock, human
        self._changed = threading.Condition()
        self._closed = False
        self._failure: BaseException | None = None
        loops = [self._send, self._answer] + [self._play] * (human is not None)
        self._threads = [threading.Thread(target=self._guarded, args=(loop,), daemon=True) for loop in loops]

    def __enter__(self) -> Self:
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
        gc.collect()
        gc.freeze()  # a collection that walks over everything imported takes longer than a note may be late
        self._ports.listen(self._hear)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed = True
            self._emit(self.duet.close(self._clock.now()))
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        self._partner.drop()
        self._ports.close()
        gc.unfreeze()
        sys.setswitchinterval(self._interval)
        if self._failure is not None and error is None:
            raise self._failure

    # -- what others do -----------------------------------------------------------------------------------------------

    def sign(self) -> None:
        """Hands over, or takes back, as the sign does."""
        self._do(self.duet.sign)

    def watch(self) -> None:
        """Notices ports that are gone, or back. Raises what went wrong on one of the threads."""
        present = self._ports.present()
        self._do(self.duet.plug if present else self.duet.unplug)
        if self._failure is not None:
            raise self._failure

    def look(self, see: Callable[[Duet, float], None]) -> None:
        """Calls it with the duet and the time while nothing changes."""
        with self._changed:
            see(self.duet, self._clock.now())

    def wait_until(self, come: Callable[[Duet], bool]) -> None:
        """Waits until this is so, or something went wrong."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or come(self.duet))

    # -- the threads --------------------------------------------------------------------------------------------------

    def _hear(self, message: Message) -> None:
        """Called by the ports."""
        self._do(lambda now: self.duet.hear(now, message))

    def _do(self, what: Callable[[float], None]) -> None:
        with self._changed:
            if not self._closed:
                what(self._clock.now())
                self._flush()
                self._changed.notify_all()

    def _flush(self) -> None:
        """Sends what is due, with the lock held."""
        state, dues = self.duet.state, self.duet.tick(self._clock.now())
        self._emit(dues)
        if dues or self.duet.state is not state:
            self._changed.notify_all()

    def _emit(self, dues: list[Due]) -> None:
        for due in dues:
            try:
                self._ports.send(due.message)
            except PortLost:
                self.duet.unplug(self._clock.now())
                return
            if due.strikes is not None:
                self.errors_s.append(self._clock.now() - due.at)

    def _send(self) -> None:
        with self._changed:
            while not self._closed:
                self._flush()
                self._wait(self.duet.deadline)

    def _answer(self) -> None:
        partner = self._partner
        while True:
            with self._changed:
                if self._closed:
                    return
                task = self.duet.ask(partner.version)
                if task is not None:
                    partner.take(task)
                elif partner.answering not in (None, self.duet.answering):
                    partner.drop()
                rests = partner.answering is not None and self._clock.now() < self.duet.rest_until
                if not partner.busy or rests:
                    self._wait(self.duet.rest_until if rests else math.inf)
                    continue
            made = partner.step()
            if made is not None and (made.notes or made.over):
                with self._changed:
                    if self._closed:
                        return
                    now = self._clock.now()
                    self.duet.decided(now, number=made.number, notes=made.notes)
                    if made.over:
                        self.duet.finished(now, number=made.number)
                    self._changed.notify_all()
            time.sleep(0)  # whoever waits for the interpreter goes first

    def _play(self) -> None:
        assert self._human is not None
        with self._changed:
            while not self._closed:
                due = self._human.next(self.duet, self._clock.now())
                if due <= self._clock.now():
                    self._human.act(self.duet, self._clock.now())
                    self._flush()
                    self._changed.notify_all()
                else:
                    self._wait(due)

    def _wait(self, until: float) -> None:
        """Until then (s), or until something changes."""
        seconds = until - self._clock.now()
        if seconds > 0:
            self._changed.wait(None if math.isinf(seconds) else seconds)

    def _guarded(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except BaseException as error:  # noqa: BLE001 - handed to whoever watches
            with self._changed:
                self._failure = error
                self._closed = True
                self._emit(self.duet.close(self._clock.now()))
                self._changed.notify_all()


def silent(duet: Duet) -> bool:
    """Whether it listens, with nothing left to send."""
    return duet.state is State.LISTENING and duet.deadline == math.inf
