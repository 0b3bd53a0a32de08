"""A whole evening in virtual time: the same every time, in budget where the model is, and playable."""

from itertools import count

import pytest

from partimento.errors import UserError
from partimento.live.duet import Duet, Rules, State
from partimento.live.hand_over import HandOver, Sign
from partimento.live.partner import LEADS_S, Partner
from partimento.live.rehearsal import FileHuman, VirtualClock, latencies, rehearse
from partimento.midi.performance import Performance
from tests.live.piano import Piano, lively_engine

ENGINE = lively_engine()


def played(seconds: float = 7.0) -> Performance:
    count = int(seconds / 0.4)
    return Performance.from_notes(
        pitch=[50 + 7 * k % 24 for k in range(count)],
        velocity=70,
        onset=[0.2 + 0.4 * k for k in range(count)],
        duration=[0.3 if k % 3 else 1.1 for k in range(count)],
        pedal=[(2.0, 3.5), (4.9, 6.2)],
    )


def evening(
    sign: Sign = "pedal", *, cost_s: float = 0.004, seconds: float = 1.0, **human: object
) -> tuple[Duet, list[tuple[float, int, int, int]]]:
    how = HandOver(sign=sign, silence_s=0.5, bars=1, tempo=90)
    duet = Duet(Rules(hand_over=how, seconds=seconds))
    chosen = {"hand_overs": () if sign == "bars" else (3.0, 5.0)} | human
    file = FileHuman(played(), how=how, **chosen)  # type: ignore[arg-type]
    sent = rehearse(
        duet, Partner(ENGINE, candidates=2, seed=5), file, VirtualClock(), timer=count(0.0, cost_s).__next__
    )
    piano = Piano()
    for at, due in sent:
        assert at >= due.at
        piano.take(due.at, due.message)
    assert piano.silent and file.over and duet.state is State.LISTENING
    return duet, [(round(due.at, 9), *due.message.to_bytes()) for _, due in sent]


@pytest.mark.parametrize("sign", ["pedal", "silence", "key"])
def test_each_sign_hands_over_and_every_answer_is_within_the_budget(sign: Sign) -> None:
    duet, _ = evening(sign)
    facts = latencies(duet.turns)
    assert facts["answers"] == facts["sounded"] == 2 + (sign == "silence")  # there, the file's end is one too
    assert facts["first_note_p95_s"] <= 0.25 + 0.4 + 1e-9
    assert facts["known_p95_s"] < 0.25 and facts["slips_s"] == 0.0


def test_bars_are_traded() -> None:
    duet, _ = evening("bars")
    assert len(duet.turns) >= 2
    bar_s = 4 * 60 / 90
    assert duet.turns[0].handed_over == pytest.approx(0.2 + bar_s - 0.25, abs=1e-6)
    assert duet.turns[0].sent == pytest.approx(0.2 + bar_s, abs=0.4 + 1e-6)


def test_the_same_evening_twice_is_the_same_to_the_last_byte() -> None:
    assert evening()[1] == evening()[1]


def test_interrupted_answers_stop_and_the_file_goes_on() -> None:
    duet, sent = evening(seconds=20.0, interrupt_s=0.6)
    assert [turn.interrupted for turn in duet.turns] == [True, True]
    assert sent


def test_a_machine_that_is_too_slow_waits_and_then_tries_less() -> None:
    duet, _ = evening(cost_s=0.15, seconds=4.0)
    assert latencies(duet.turns)["slips_s"] > 0.3


def test_the_lead_is_what_the_machine_needs() -> None:
    assert LEADS_S[0] <= Partner(ENGINE, candidates=1).rehearse() <= LEADS_S[1]


def test_moments_outside_the_file_are_refused() -> None:
    with pytest.raises(UserError, match="cannot hand over at 99 s"):
        FileHuman(played(), hand_overs=(99,), how=HandOver())
