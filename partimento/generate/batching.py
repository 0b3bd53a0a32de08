"""Many clients on one engine: their takes go on side by side, join and leave at any step, and wait their turn.

A take is a `Run`; this decides which one goes on next and on which thread, knows how far each listener is, and tells
whoever waits for how long. Refuses to know how music is made, and who the clients are. The rows of one take are read
together and never with those of another, so nothing of what it becomes can depend on its neighbours; on a processor
that costs little, since matrices of eight rows are as fast as larger ones (benchmarks/studio/rows.md).

    with Batch(engine) as batch:
        job = batch.join(lambda: engine.continuing(prompt, settings, None), rows=8, seconds=30.0, tell=print)
        job.heard(12.5)                 # a listener has come to this second
        job.stop()                      # what there is, is told; `leave` tells nothing any more
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, Self

from partimento.errors import UserError
from partimento.generate.settings import Continuation, GeneratedNote

if TYPE_CHECKING:
    from partimento.generate.engine import Engine
    from partimento.generate.run import Run

AHEAD_S: Final = 15.0
"""A take that is so far ahead of its listener sleeps."""
MOST_ROWS: Final = 128
MOST_WAITING: Final = 64
_BUSY: Final = 0.8
"""Of the machine's time, what takes are let in for."""
_SETTLED_S: Final = 3.0
"""The next one is let in when all others are so far ahead: what the machine really gives is known only then."""
_UNHEARD_S: Final = 1.0
"""Before its first note a take counts as so far ahead: it goes before all that are not about to run dry."""
_LOAD_OF_A_ROW: Final = 0.04
"""Seconds of work for a second of music of one row, until takes that are over say better."""
_ENOUGH_S: Final = 15.0
"""So much music says what a take costs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a take stands; while it waits also its place (1 is next) and a guess of the seconds until its turn."""

    state: Literal["queued", "reading", "running", "asleep"]
    place: int | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Notes and pedal intervals (s) with the numbers of their variations; up to where each variation is decided (s)."""

    notes: tuple[tuple[int, GeneratedNote], ...]
    pedal: tuple[tuple[int, tuple[float, float]], ...]
    until: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """All variations, complete, or up to where they were stopped."""

    continuations: tuple[Continuation, ...]
    stopped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The take is over for an error: a `UserError` is the client's to mend, any other a defect."""

    error: BaseException


Event = Standing | Decided | Over | Failed


class Job:
    """One take in the batch. Made by `Batch.join`; its methods may be called from any thread."""

    def __init__(
        self, batch: Batch, begin: Callable[[], Run], *, rows: int, seconds: float, tell: Callable[[Event], None]
    ) -> None:
        self.rows, self.tell = rows, tell
        self.run: Run | None = None
        self.stepping = self.stopping = self.left = False
        self.asleep = False
        self.standing: Standing | None = None
        self._batch, self._begin, self._seconds = batch, begin, seconds
        self._steps: Generator[list[tuple[int, GeneratedNote]]] | None = None
        self._listener: float | None = None
        self._since, self._busy_s = 0.0, 0.0
        self._from_s, self._until_s = 0.0, 0.0
        self._sung = False

    # -- what a client does -------------------------------------------------------------------------------------------

    def heard(self, seconds: float) -> None:
        """The listener has come to this second; from the first call on the take sleeps when it is far ahead."""
        with self._batch.lock:
            self._listener = seconds
            self._batch.go_on()

    def stop(self) -> None:
        """Ends it; what there is will be told."""
        with self._batch.lock:
            self.stopping = True
            self._batch.go_on()

    def leave(self) -> None:
        """Ends it and tells nothing any more. Its rows are free now, or with the step that is being made."""
        with self._batch.lock:
            self.left = True
            self._batch.end(self)

    # -- what the batch asks ------------------------------------------------------------------------------------------

    @property
    def ahead(self) -> float:
        """Seconds of new music that the listener has not heard; without one, since it could be playing."""
        if self._listener is not None:
            return self._until_s - max(self._listener, self._from_s)
        return self._until_s - self._from_s - (time.monotonic() - self._since if self._since else 0.0)

    @property
    def urgency(self) -> float:
        """The smaller, the sooner it has to go on."""
        if self.stopping:
            return -math.inf
        return self.ahead if self._sung else min(_UNHEARD_S, self.ahead)

    @property
    def far_ahead(self) -> bool:
        """Whether it may sleep; what is decided to its end has only to be handed over."""
        return self._listener is not None and not self.stopping and AHEAD_S <= self.ahead < math.inf

    @property
    def unsettled_s(self) -> float:
        """How much music it lacks before another take may be let in; a filling is heard at once, and lacks none."""
        if self.run is not None and self.run.fills:
            return 0.0
        return max(0.0, _SETTLED_S - self.ahead)

    @property
    def load(self) -> float | None:
        """Seconds of work that a second of its music takes; None until that can be said."""
        music_s = self._until_s - self._from_s
        return self._busy_s / music_s if _ENOUGH_S <= music_s < math.inf else None

    def seconds_left(self, pace: float) -> float:
        """A guess of when it is over, if a second of music takes so many seconds."""
        left = max(0.0, self._from_s + self._seconds - self._until_s)
        if self._listener is None:
            return left * pace
        return max(left * pace, left - max(0.0, AHEAD_S - self.ahead))

    def step(self) -> bool:
        """Goes on by one step of the model, on a thread of the batch; whether the take is over."""
        with self._batch.lock:  # given back once it is known what follows the step
            pass
        started = time.perf_counter()
        if self.run is None:
            self._since = time.monotonic()
            self.run = self._begin()
            self._from_s = self._until_s = self.run.from_seconds
            self._steps = self.run.steps()
        assert self._steps is not None
        if self.stopping:
            self._steps.close()
            self.run.cut()
        decided = None if self.stopping else next(self._steps, None)
        self._busy_s += time.perf_counter() - started
        if decided is None:
            if not self.left:
                self.tell(Over(continuations=tuple(self.run.results()), stopped=self.stopping))
            return True
        until = self.run.until()
        self._until_s = min(until)
        if decided and not self.left:
            self._sung = True
            self.tell(Decided(notes=tuple(decided), pedal=tuple(self.run.pedal()), until=tuple(until)))
        return False

    def close(self) -> None:
        """Frees its memory."""
        if self._steps is not None:
            self._steps.close()
        self._steps = self.run = None


class Batch:
    """The takes that share an engine. Leaving the `with` block ends them all."""

    def __init__(self, engine: Engine, *, most_rows: int = MOST_ROWS) -> None:
        self.lock = threading.RLock()
        self.workers = engine.backend.reads_at_once
        self._most_rows = most_rows
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="partimento-batch")
        self._running: list[Job] = []
        self._line: deque[Job] = deque()
        self._load_of_a_row = _LOAD_OF_A_ROW
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self._closed = True
            for job in [*self._running, *self._line]:
                job.leave()
        self._pool.shutdown(wait=True)

    def join(
        self,
        begin: Callable[[], Run],
        *,
        rows: int,
        seconds: float,
        tell: Callable[[Event], None],
        heard: float | None = None,
    ) -> Job:
        """A new take, of so many rows (variations times candidates) and seconds, last in line.

        `begin` makes the run, `tell` is given every event; both are called on threads of the batch, and `tell` must not
        wait. `heard` as in `Job.heard`. Raises `UserError` where too many wait already.
        """
        job = Job(self, begin, rows=rows, seconds=seconds, tell=tell)
        with self.lock:
            if self._closed or len(self._line) >= MOST_WAITING:
                raise UserError(f"{len(self._line)} takes wait already; try again in a minute")
            self._line.append(job)
            if heard is None:
                self.go_on()
            else:
                job.heard(heard)
        return job

    @property
    def facts(self) -> dict[str, int]:
        """How many takes go on, their rows, and how many wait."""
        with self.lock:
            rows = sum(job.rows for job in self._running)
            return {"takes": len(self._running), "rows": rows, "waiting": len(self._line)}

    # -- called with the lock held ------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Lets in who may come, and gives every idle thread the take that is nearest to running dry."""
        self._let_in()
        for job in self._running:
            if job.far_ahead != job.asleep and not job.stepping:
                job.asleep = job.far_ahead
                self._say(job, Standing(state="asleep" if job.asleep else "running"))
        while sum(job.stepping for job in self._running) < self.workers:
            due = [job for job in self._running if not (job.stepping or job.asleep)]
            if not due:
                return
            job = min(due, key=lambda job: job.urgency)
            job.stepping = True
            if job.run is None:
                self._say(job, Standing(state="reading"))
            self._pool.submit(job.step).add_done_callback(partial(self._stepped, job))

    def end(self, job: Job) -> None:
        """Takes it out, unless a step of it is being made: then after that."""
        if job.stepping:
            return
        if job in self._line:
            self._line.remove(job)
        elif job in self._running:
            self._running.remove(job)
        job.close()
        if not self._closed:
            self.go_on()

    def _stepped(self, job: Job, future: Future[bool]) -> None:
        with self.lock:
            job.stepping = False
            error = future.exception()
            if error is not None and not job.left:
                if not isinstance(error, UserError):
                    logging.getLogger(__name__).error("a take failed", exc_info=error)
                job.tell(Failed(error=error))
            over = error is not None or job.left or future.result()
            if over and job.load is not None:
                self._load_of_a_row += 0.3 * (job.load / job.rows - self._load_of_a_row)
            if over:
                self.end(job)
                return
            if job.standing is not None and job.standing.state == "reading":
                self._say(job, Standing(state="running"))
            if not self._closed:
                self.go_on()

    def _let_in(self) -> None:
        load, rows = sum(map(self._load, self._running)), sum(job.rows for job in self._running)
        while self._line:
            job = next((job for job in self._line if job.stopping), self._line[0])  # it needs no more than to be told
            fits = load + self._load(job) <= _BUSY * self.workers and rows + job.rows <= self._most_rows
            settled = not any(job.unsettled_s for job in self._running)
            if self._running and not (fits and settled) and not job.stopping:
                break
            self._line.remove(job)
            self._running.append(job)
            load, rows = load + self._load(job), rows + job.rows
        for place, (job, seconds) in enumerate(zip(self._line, self._waits(load), strict=True), 1):
            if job.standing is None or job.standing.place != place:
                self._say(job, Standing(state="queued", place=place, seconds=seconds))

    def _load(self, job: Job) -> float:
        """What it will have taken in all, rather than up to now: attention grows with what was played."""
        return max(job.rows * self._load_of_a_row, job.load or 0.0)

    def _waits(self, load: float) -> list[float]:
        """A guess for everyone in line: when enough of those before are over, and the others far enough ahead."""
        pace = load / self.workers
        leaving = sorted((job.seconds_left(pace), self._load(job)) for job in self._running)
        waits, now = [], sum(job.unsettled_s * self._load(job) for job in self._running) / self.workers
        for job in self._line:
            while leaving and load + self._load(job) > _BUSY * self.workers:
                left_at, gone = leaving.pop(0)
                now, load = max(now, left_at), load - gone
            load += self._load(job)
            leaving = sorted([*leaving, (now + job.seconds_left(pace), self._load(job))])
            waits.append(now)
            now += _SETTLED_S * self._load(job) / self.workers
        return waits

    def _say(self, job: Job, standing: Standing) -> None:
        job.standing = standing
        job.tell(standing)
