"""Whose turn it is, as a list of cases says that the studio's page (hand-over.test.ts) reads too."""

import json
from pathlib import Path

import pytest

from partimento.live.duet import Duet, Rules, State
from partimento.live.hand_over import HandOver
from partimento.live.ports import control, release, strike
from partimento.live.rehearsal import VirtualClock

CASES = json.loads((Path(__file__).parent / "hand_over.json").read_text())["cases"]
SPELT = {"silence": "silence_s"}
WHO = {State.LISTENING: "listens", State.THINKING: "answers"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_turns_change_when_the_case_says(case):
    how = HandOver(**{SPELT.get(name, name): value for name, value in case["how"].items()})
    duet, clock, turns, state = Duet(Rules(hand_over=how)), VirtualClock(), [], State.LISTENING
    for at, what, *numbers in [*case["events"], [99.0, "nothing"]]:
        while duet.deadline <= at:
            clock.go_to(max(duet.deadline, clock.now()))
            duet.tick(clock.now())
            if duet.state is not state:
                state = duet.state
                turns.append([pytest.approx(clock.now()), WHO[state]])
        clock.go_to(at)
        match what:
            case "on":
                duet.hear(at, strike(numbers[0], 70))
            case "off":
                duet.hear(at, release(numbers[0]))
            case "control":
                duet.hear(at, control(*numbers))
            case "enter":
                duet.sign(at)
            case "answered":
                duet.finished(at, number=duet.answering)
        if duet.state is not state:
            state = duet.state
            turns.append([pytest.approx(at), WHO[state]])
    assert turns == case["turns"]
