"""Takes side by side: each as if it were alone, in line where there is no room, and gone when it is over."""

import random
import threading
from collections.abc import Callable
from itertools import pairwise

import pytest

from partimento.errors import UserError
from partimento.generate import batching
from partimento.generate.abilities import Abilities
from partimento.generate.batching import Batch, Decided, Failed, Job, Over, Standing
from partimento.generate.decode.sampling import Sampling
from partimento.generate.engine import Engine
from partimento.generate.run import Run
from partimento.generate.settings import Continuation, Settings
from tests.generate.generate_music import measured_engine, prompt, random_engine

WILD = Sampling(temperature=1.0, min_p=0.0)
NOTHING = {"takes": 0, "rows": 0, "waiting": 0}


@pytest.fixture(scope="module")
def engine() -> Engine:
    return measured_engine()


def asked(seed: int = 0, seconds: float = 4.0, candidates: int = 1) -> Settings:
    return Settings(seconds=seconds, candidates=candidates, seed=seed, sampling=WILD)


class Told:
    """Everything a take was told."""

    def __init__(self, batch: Batch, begin: Callable[[], Run], settings: Settings, heard: float | None = None) -> None:
        self.events: list[batching.Event] = []
        self.hook: Callable[[batching.Event], None] = lambda _event: None
        self._over = threading.Event()
        rows = settings.variations * (settings.candidates or 1)
        seconds = settings.seconds or 1.0
        self.job: Job = batch.join(begin, rows=rows, seconds=seconds, tell=self._tell, heard=heard)

    def _tell(self, event: batching.Event) -> None:
        self.events.append(event)
        self.hook(event)
        if isinstance(event, Over | Failed):
            self._over.set()

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    def result(self) -> tuple[Continuation, ...]:
        assert self._over.wait(60)
        (over,) = [event for event in self.events if isinstance(event, Over)]
        return over.continuations

    def states(self) -> list[tuple[str, int | None]]:
        return [(event.state, event.place) for event in self.events if isinstance(event, Standing)]


def join(batch: Batch, engine: Engine, settings: Settings, heard: float | None = None) -> Told:
    return Told(batch, lambda: engine.continuing(prompt(), settings, None), settings, heard)


def alone(engine: Engine, settings: Settings) -> tuple[int, ...]:
    return engine.continue_(prompt(), settings=settings)[0].tokens


def test_whoever_waits_knows_the_place_and_everyone_gets_what_they_would_get_alone(engine: Engine) -> None:
    settings = [asked(seed, candidates=1 + seed % 2) for seed in range(5)]
    with Batch(engine, most_rows=2) as batch:
        with batch.lock:
            told = [join(batch, engine, one) for one in settings]
        results = [one.result()[0].tokens for one in told]
        assert batch.facts == NOTHING
    assert results == [alone(engine, one) for one in settings]
    places = [place for state, place in told[4].states() if state == "queued"]
    assert places and places[-1] == 1 and all(after == before - 1 for before, after in pairwise(places) if before)
    waits = [e.seconds for one in told for e in one.events if isinstance(e, Standing) and e.state == "queued"]
    assert waits and all(wait is not None and 0 <= wait < 60 for wait in waits)
    for one in told:
        assert [state for state, _ in one.states() if state != "queued"] == ["reading", "running"]


def test_what_is_decided_in_steps_is_the_whole(engine: Engine) -> None:
    with Batch(engine) as batch:
        told = join(batch, engine, asked(candidates=2))
        (whole,) = told.result()
    decided = [note for event in told.events if isinstance(event, Decided) for _, note in event.notes]
    assert [note.pitch for note in decided] == whole.generated.pitch.tolist()


def test_one_that_leaves_makes_room_and_hears_nothing_more(engine: Engine) -> None:
    with Batch(engine, most_rows=1) as batch:
        first = join(batch, engine, asked(seconds=500.0))
        second, third = join(batch, engine, asked(1)), join(batch, engine, asked(2))
        assert batch.facts == {"takes": 1, "rows": 1, "waiting": 2}
        second.job.leave()
        first.job.leave()
        assert third.result()[0].tokens == alone(engine, asked(2))
        assert not first.is_over and not second.is_over
        assert ("queued", 2) in third.states() and ("queued", 1) in third.states()
        assert batch.facts == NOTHING


def test_a_sleeper_makes_nothing_and_keeps_nobody_from_going_on(engine: Engine) -> None:
    with Batch(engine) as batch:
        sleeper = join(batch, engine, asked(seconds=200.0), heard=0.0)
        others = [join(batch, engine, asked(seed)) for seed in range(4)]
        for other in others:
            other.result()
        while ("asleep", None) not in sleeper.states():
            threading.Event().wait(0.01)
        made = len(sleeper.events)
        join(batch, engine, asked(9)).result()
        assert len(sleeper.events) == made
        until = [event.until[0] for event in sleeper.events if isinstance(event, Decided)]
        assert until[-1] - prompt().seconds >= batching.AHEAD_S > until[-2] - prompt().seconds
        sleeper.job.stop()
        (whole,) = sleeper.result()
        assert whole.generated.onset_seconds.max() <= until[-1]


def test_what_is_stopped_in_line_is_over_at_once(engine: Engine) -> None:
    with Batch(engine, most_rows=1) as batch:
        first = join(batch, engine, asked(seconds=500.0))
        second, third = join(batch, engine, asked(1, seconds=500.0)), join(batch, engine, asked(2))
        third.job.stop()
        (nothing,) = third.result()
        assert len(nothing.generated) == 0 and len(nothing.performance) == len(prompt())
        assert not first.is_over and not second.is_over


def test_a_filling_that_is_stopped_leaves_the_gap_empty() -> None:
    engine = random_engine(abilities=Abilities(infilling=True))
    with Batch(engine) as batch:
        with batch.lock:  # no step is made before the hook is there
            told = Told(batch, lambda: engine.filling(prompt(60), 5.0, 15.0, asked()), asked())
            told.hook = lambda event: told.job.stop() if event == Standing(state="running") else None
        (whole,) = told.result()
    stopped = any(isinstance(event, Over) and event.stopped for event in told.events)
    outside = [onset for onset in prompt(60).onset_seconds if not 5.0 <= onset < 15.0]
    assert stopped and whole.performance.onset_seconds.tolist() == outside


def test_a_take_that_fails_is_told_and_the_others_go_on(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    def refused() -> Run:
        raise UserError("it cannot be")

    def broken() -> Run:
        raise ZeroDivisionError

    with Batch(engine) as batch:
        failing = [Told(batch, begin, asked()) for begin in (refused, broken)]
        assert join(batch, engine, asked(5)).result()[0].tokens == alone(engine, asked(5))
        for one in failing:
            assert one._over.wait(60)
        assert batch.facts == NOTHING
    errors = [event.error for one in failing for event in one.events if isinstance(event, Failed)]
    assert [type(error) for error in errors] == [UserError, ZeroDivisionError]
    assert [record.exc_info is not None for record in caplog.records] == [True]  # the defect alone


def test_too_many_are_turned_away(engine: Engine) -> None:
    with Batch(engine, most_rows=1) as batch:
        for _ in range(1 + batching.MOST_WAITING):
            join(batch, engine, asked(seconds=500.0))
        with pytest.raises(UserError, match="wait already"):
            join(batch, engine, asked())
    assert batch.facts == NOTHING


def test_a_long_prompt_is_read_in_parts(engine: Engine) -> None:
    long = prompt(300)
    steps = engine.continuing(long, asked(), None).steps()
    pauses = 0
    while not next(steps):
        pauses += 1
    assert pauses >= len(engine.tokens_of(long, None)) // 512 >= 1


@pytest.mark.parametrize("seed", range(3))
def test_whatever_clients_do_nothing_is_left(engine: Engine, seed: int) -> None:
    chance, threads = random.Random(seed), threading.active_count()
    with Batch(engine, most_rows=4) as batch:
        told: list[Told] = []
        for number in range(40):
            heard = chance.choice([None, 0.0, 5.0])
            told.append(join(batch, engine, asked(number, 3.0, chance.choice([1, 2])), heard))
            one = chance.choice(told)
            chance.choice([one.job.leave, one.job.stop, lambda one=one: one.job.heard(1e6), lambda: None])()
        for one in told:
            one.job.heard(1e6)
        for one in told:
            assert one.job.left or one._over.wait(60)
        while batch.facts != NOTHING:  # those that left while a step of theirs was being made
            threading.Event().wait(0.01)
    for one in told:
        assert sum(isinstance(event, Over | Failed) for event in one.events) <= 1
        assert not [event for event in one.events if isinstance(event, Failed)]
    assert threading.active_count() == threads
