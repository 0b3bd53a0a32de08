"""In real time, with threads: what comes is waited for, never a time."""

import pytest

from partimento.live.duet import Duet, Rules, State
from partimento.live.partner import Partner
from partimento.live.ports import SOFT, MemoryPorts, Message, control, release, strike
from partimento.live.stage import MonotonicClock, Stage, silent
from tests.live.piano import Piano, lively_engine

ENGINE = lively_engine()


class Instrument:
    """Ports, and the piano at their end, which keeps its own time."""

    def __init__(self) -> None:
        self.clock, self.piano = MonotonicClock(), Piano()
        self.ports = MemoryPorts(wire=self.sound)

    def sound(self, message: Message) -> None:
        # Threads may be late on a busy machine, so only the order is looked at here.
        if message.kind == "on":
            assert message.number not in self.piano.down
            self.piano.down[message.number] = 0.0
            self.piano.strikes += 1
        elif message.kind == "off":
            self.piano.down.pop(message.number, None)
        elif message.number == 64:
            self.piano.pedal = message.value > 0

    def begin(self, stage: Stage) -> None:
        before = len(stage.duet.turns)
        for pitch in (60, 64, 67):
            self.ports.play(strike(pitch, 70))
            self.ports.play(release(pitch))
        self.ports.play(control(SOFT, 127))
        self.ports.play(control(SOFT, 0))
        stage.wait_until(lambda duet: len(duet.turns) > before and duet.turns[-1].sent is not None)


@pytest.fixture
def instrument() -> Instrument:
    return Instrument()


def stage_of(instrument: Instrument, seconds: float) -> Stage:
    duet = Duet(Rules(seconds=seconds, lead_s=0.05))
    return Stage(duet, Partner(ENGINE, candidates=1), instrument.ports, instrument.clock)


def test_it_answers_to_the_end_and_listens_again(instrument: Instrument) -> None:
    with stage_of(instrument, 0.5) as stage:
        instrument.begin(stage)
        stage.wait_until(silent)
        assert instrument.piano.strikes == stage.duet.turns[-1].notes > 0
        assert not instrument.piano.down
    assert len(stage.errors_s) == instrument.piano.strikes and min(stage.errors_s) >= 0


def test_a_key_interrupts_and_nothing_sounds(instrument: Instrument) -> None:
    with stage_of(instrument, 60) as stage:
        instrument.begin(stage)
        instrument.ports.play(strike(72, 70))
        assert not instrument.piano.down and stage.duet.state is State.LISTENING
        instrument.ports.play(release(72))
        stage.sign()
        stage.wait_until(lambda duet: len(duet.turns) == 2 and duet.turns[-1].sent is not None)
    assert not instrument.piano.down and not instrument.piano.pedal


def test_a_pulled_cable_hangs_nothing_and_it_goes_on_when_it_is_back(instrument: Instrument) -> None:
    with stage_of(instrument, 60) as stage:
        instrument.begin(stage)
        instrument.ports.plugged = False
        stage.wait_until(lambda duet: duet.state is State.UNPLUGGED)  # the next message says so
        stage.watch()
        instrument.ports.plugged = True
        stage.watch()
        assert not instrument.piano.down and stage.duet.state is State.LISTENING
        instrument.begin(stage)
    assert not instrument.piano.down


def test_what_goes_wrong_on_a_thread_is_told(instrument: Instrument) -> None:
    stage = stage_of(instrument, 60)

    def broken() -> None:
        raise RuntimeError("a defect")

    stage._partner.step = broken
    stage.__enter__()
    instrument.ports.play(strike(60, 70))
    stage.wait_until(lambda _: False)
    with pytest.raises(RuntimeError, match="a defect"):
        stage.__exit__(None, None, None)
