"""Whatever a model writes, what is sent can be played by two hands and a foot, and ends."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.live.hands import Hands, within_reach
from partimento.live.plan import Plan
from partimento.live.ports import SUSTAIN
from tests.live.piano import Piano, two_hands_hold

NOTES = st.lists(
    st.tuples(
        st.integers(0, 127),
        st.integers(1, 127),
        st.sampled_from([0.0, 0.0, 0.01, 0.04, 0.2, 0.7]),
        st.floats(0.01, 5),
    ),
    max_size=60,
)


def played(notes: list[tuple[int, int, float, float]], step: float) -> tuple[Piano, list[bool], Plan]:
    """As it goes live: planned shortly before, sent when due."""
    plan, piano, placed, now = Plan(), Piano(), [], 1.0
    hands, on = Hands(plan), 1.035
    for pitch, velocity, wait, duration in notes:
        on += wait
        while now < on - 0.035:
            now = min(now + step, on - 0.035)
            for due in plan.take(now):
                piano.take(due.at, due.message)
        placed.append(hands.place(pitch=pitch, velocity=velocity, on=on, end=on + duration))
        assert plan.due >= now
    for due in plan.take(np.inf):
        piano.take(due.at, due.message)
    return piano, placed, plan


@settings(max_examples=100)
@given(NOTES, st.sampled_from([0.01, 0.3, 10.0]))
def test_only_what_can_be_played_is_sent_and_all_of_it_ends(notes: list, step: float) -> None:
    piano, placed, plan = played(notes, step)
    assert piano.silent
    assert piano.strikes == sum(placed)
    assert not plan and not plan.notes


@given(st.lists(st.integers(21, 108), unique=True, max_size=11))
def test_hands_hold_what_the_greedy_left_hand_leaves_to_the_right(keys: list[int]) -> None:
    assert within_reach(keys) == two_hands_hold(sorted(keys))


def test_a_piece_that_can_be_played_is_left_as_it_is() -> None:
    notes = [(60 + k % 12, 70, 0.2, 0.19) for k in range(40)]
    _, placed, _ = played(notes, 0.05)
    assert all(placed)


def test_the_pedal_takes_over_what_a_hand_has_to_leave() -> None:
    plan = Plan()
    hands = Hands(plan)
    for pitch, on, end in ((28, 1.0, 4.0), (76, 1.0, 4.0), (50, 1.5, 1.9)):
        assert hands.place(pitch=pitch, velocity=70, on=on, end=end)
    piano = Piano()
    for due in plan.take(3.0):
        piano.take(due.at, due.message)
    assert piano.pedal and len(piano.down) == 1
    assert {28, 76} <= piano.ringing
    assert [(due.at, due.message.value) for due in plan.take(9) if due.message.number == SUSTAIN] == [(4.0, 0)]


def test_what_nobody_can_play_is_left_out() -> None:
    plan = Plan()
    hands = Hands(plan)
    assert not hands.place(pitch=20, velocity=70, on=1.0, end=2.0)
    assert not hands.place(pitch=109, velocity=70, on=1.0, end=2.0)
    assert hands.place(pitch=60, velocity=70, on=1.0, end=2.0)
    assert not hands.place(pitch=60, velocity=70, on=1.05, end=2.0)
    chord = [hands.place(pitch=p, velocity=70, on=2.0, end=3.0) for p in (24, 40, 60, 80, 100)]
    assert chord == [True, True, False, False, False]


def test_silence_ends_what_was_begun_and_nothing_else() -> None:
    plan = Plan()
    hands, piano = Hands(plan), Piano()
    for pitch, on in ((40, 1.0), (70, 1.0), (55, 1.5), (60, 9.0)):
        hands.place(pitch=pitch, velocity=70, on=on, end=on + 3)
    for due in plan.take(1.6):
        piano.take(due.at, due.message)
    for message in plan.silence():
        piano.take(1.6, message)
    assert piano.silent and not plan and plan.take(99) == []
