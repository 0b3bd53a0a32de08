"""Taking turns: whatever both sides do, what leaves is playable, in order, never too late to plan, and ends."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import UserError
from partimento.live.duet import LEAST_AHEAD_S, Answer, Duet, Read, Rules, State
from partimento.live.hand_over import HandOver
from partimento.live.ports import SOFT, SUSTAIN, Message, control, release, strike
from partimento.midi.columns import Note
from tests.live.piano import Piano


def note(onset_s: float, pitch: int = 60, duration_s: float = 0.3, velocity: int = 70) -> Note:
    return Note(pitch=pitch, velocity=velocity, onset_s=onset_s, duration_s=duration_s, instrument=0)


class Evening:
    """A duet and the piano that it plays on; time goes on in ticks."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.duet, self.piano, self.now = Duet(rules or Rules()), Piano(), 0.0
        self.sent: list[tuple[float, Message]] = []

    def until(self, t: float) -> None:
        """Ticks whenever there is something to do."""
        while self.duet.deadline <= t:
            self.tick(max(self.duet.deadline, self.now))
        self.tick(t)

    def tick(self, t: float) -> None:
        assert t >= self.now
        self.now = t
        for due in self.duet.tick(t):
            assert due.at <= t
            if self.duet.state is not State.UNPLUGGED:
                self.sent.append((due.at, due.message))
                self.piano.take(due.at, due.message)

    def hear(self, *messages: Message) -> None:
        for message in messages:
            self.duet.hear(self.now, message)
            self.tick(self.now)

    def asked(self) -> Answer:
        answer = self.duet.ask(0)
        assert isinstance(answer, Answer)
        return answer


def handed_over(rules: Rules | None = None) -> tuple[Evening, Answer]:
    evening = Evening(rules)
    evening.until(1.0)
    evening.hear(strike(60, 70))
    evening.until(2.0)
    evening.hear(control(SOFT, 127))
    return evening, evening.asked()


ACTS = st.lists(
    st.one_of(
        st.tuples(st.just("hear"), st.builds(strike, st.integers(55, 66), st.integers(1, 127))),
        st.tuples(st.just("hear"), st.builds(release, st.integers(55, 66))),
        st.tuples(st.just("hear"), st.builds(control, st.sampled_from([SUSTAIN, SOFT]), st.sampled_from([0, 127]))),
        st.tuples(st.just("sign"), st.none()),
        st.tuples(st.sampled_from(["unplug", "plug", "finished"]), st.none()),
        st.tuples(
            st.just("decided"),
            st.lists(
                st.tuples(st.integers(0, 127), st.floats(0, 0.5), st.floats(0.01, 5.0), st.integers(1, 127)),
                min_size=1,
                max_size=12,
            ),
        ),
    ),
    max_size=40,
)


@settings(max_examples=100)
@given(
    ACTS, st.lists(st.sampled_from([0.0, 0.01, 0.05, 0.3, 1.0]), min_size=40, max_size=40), st.sampled_from([0, 0.08])
)
def test_whatever_happens_a_piano_can_play_it_and_it_ends(acts: list, waits: list[float], latency: float) -> None:
    evening = Evening(Rules(latency_s=latency))
    duet, onset = evening.duet, 0.0
    for (act, what), wait in zip(acts, waits, strict=False):
        evening.until(evening.now + wait)
        now, before = evening.now, duet.state
        if act == "decided" and duet.answering is not None:
            answer = evening.asked()
            onset = max(onset, answer.from_seconds)
            notes = []
            for pitch, step, duration, velocity in what:
                onset += step
                notes.append(note(onset, pitch, duration, velocity))
            duet.decided(now, number=answer.number, notes=notes)
            assert all(planned.on >= now + LEAST_AHEAD_S - 1e-9 for planned in duet.upcoming[-len(notes) :])
            assert duet.deadline >= now
        elif act == "finished":
            duet.finished(now, number=duet.answering or 0)
        elif act == "hear":
            evening.hear(what)
        elif act in ("sign", "unplug", "plug"):
            getattr(duet, act)(now)
        evening.tick(now)
        if before in (State.THINKING, State.PLAYING) and duet.state is State.LISTENING:
            assert evening.piano.silent
        if before is State.UNPLUGGED and duet.state is State.LISTENING:
            assert evening.piano.silent
    for due in duet.close(evening.now):
        evening.piano.take(due.at, due.message)
    assert evening.piano.silent or duet.state is State.UNPLUGGED


def test_it_reads_while_one_plays_and_answers_from_the_present() -> None:
    evening = Evening(Rules(lead_s=0.2, latency_s=0.05))
    evening.until(1.0)
    evening.hear(strike(60, 70))
    assert len(evening.duet.ask(0).prompt) == 0  # it has not ended
    evening.until(1.5)
    evening.hear(release(60), strike(64, 70))
    read = evening.duet.ask(0)
    assert isinstance(read, Read) and read.prompt.pitch.tolist() == [60]
    assert evening.duet.ask(read.version) is None
    evening.until(2.0)
    evening.hear(control(SOFT, 127))
    answer = evening.asked()
    assert answer.held == (1,) and len(answer.prompt) == 2
    assert answer.from_seconds == pytest.approx(2.25)
    assert answer.prompt.duration_seconds[1] == pytest.approx(0.5)


def test_notes_leave_earlier_by_the_latency_and_late_ones_move_all_that_follow() -> None:
    evening, answer = handed_over(Rules(lead_s=0.2, latency_s=0.05))
    evening.until(2.1)
    evening.duet.decided(2.1, number=answer.number, notes=[note(2.30, 61), note(2.50, 62)])
    evening.until(2.6)
    evening.duet.decided(2.6, number=answer.number, notes=[note(2.55, 64), note(2.80, 65)])
    evening.until(4.0)
    onsets = [at for at, message in evening.sent if message.kind == "on"]
    assert onsets == pytest.approx([2.25, 2.45, 2.635, 2.885])
    assert evening.duet.turns[-1].slips_s == pytest.approx(0.135)
    assert evening.duet.turns[-1].sent == pytest.approx(2.25)


def test_a_key_ends_the_answer_at_once_and_begins_a_turn_that_knows_it() -> None:
    evening, answer = handed_over()
    evening.hear(release(60))
    evening.duet.decided(2.1, number=answer.number, notes=[note(2.3, 62, 5.0), note(3.0, 64, 5.0), note(9.0, 66)])
    evening.until(3.5)
    assert evening.duet.state is State.PLAYING and not evening.piano.silent
    assert [planned.pitch for planned in evening.duet.upcoming] == [66]
    evening.hear(strike(72, 80))
    assert evening.piano.silent and evening.duet.state is State.LISTENING
    evening.until(4.0)
    evening.hear(release(72))
    prompt = evening.duet.ask(0).prompt
    assert prompt.pitch.tolist() == [60, 62, 64, 72]
    assert (prompt.onset_seconds + prompt.duration_seconds).tolist() == pytest.approx([2.0, 3.5, 3.5, 4.0])
    evening.duet.decided(4.0, number=answer.number, notes=[note(4.5)])
    assert not evening.duet.upcoming  # it is of the past


def test_when_the_answer_is_over_it_listens() -> None:
    evening, answer = handed_over()
    evening.duet.decided(2.1, number=answer.number, notes=[note(2.3)])
    evening.duet.finished(2.1, number=answer.number)
    evening.until(2.5)
    assert evening.duet.state is State.PLAYING
    evening.until(2.7)
    assert evening.duet.state is State.LISTENING and evening.piano.silent


def test_a_key_that_the_human_holds_is_not_struck() -> None:
    evening, answer = handed_over()
    evening.duet.decided(2.1, number=answer.number, notes=[note(2.3, 60), note(2.3, 64)])
    evening.until(3.0)
    assert [message.number for _, message in evening.sent if message.kind == "on"] == [64]


def test_silence_hands_over_when_all_keys_have_been_up_for_so_long() -> None:
    evening = Evening(Rules(hand_over=HandOver(sign="silence", silence_s=1.0)))
    evening.until(5.0)
    assert evening.duet.state is State.LISTENING
    evening.hear(strike(60, 70), strike(64, 70))
    evening.until(8.0)
    evening.hear(release(60))
    evening.until(10.0)
    evening.hear(release(64))
    evening.until(10.99)
    assert evening.duet.state is State.LISTENING
    evening.until(11.0)
    assert evening.duet.state is State.THINKING
    assert evening.asked().held == ()


def test_a_pedal_that_tells_its_way_down_is_one_sign_and_the_next_press_takes_back() -> None:
    evening = Evening()
    evening.hear(strike(60, 70), release(60), *(control(SOFT, value) for value in (40, 70, 90, 127, 90, 60, 20)))
    assert evening.duet.state is State.THINKING
    evening.hear(control(SOFT, 127))
    assert evening.duet.state is State.LISTENING


def test_a_key_hands_over_and_is_no_note() -> None:
    evening = Evening(Rules(hand_over=HandOver(sign="key")))
    evening.hear(strike(60, 70), release(60), strike(21, 70), release(21))
    assert evening.asked().prompt.pitch.tolist() == [60]


def test_bars_are_answered_on_the_beat_by_as_many() -> None:
    how = HandOver(sign="bars", bars=2, beats=4, tempo=120)
    evening = Evening(Rules(hand_over=how, lead_s=0.25))
    evening.until(3.0)
    evening.hear(strike(60, 70), release(60))
    evening.until(6.8)
    evening.hear(strike(62, 70), release(62))  # the last notes of the bar take nothing back
    evening.until(6.9)
    answer = evening.asked()
    assert answer.from_seconds == pytest.approx(7.0) and answer.seconds == 4.0


def test_whoever_begins_gets_no_answer_to_nothing() -> None:
    evening = Evening()
    evening.hear(control(SOFT, 127))
    assert evening.duet.state is State.LISTENING and evening.duet.ask(0) is None


def test_a_cable_pulled_ends_everything_and_put_back_begins_anew() -> None:
    evening, answer = handed_over()
    evening.duet.decided(2.1, number=answer.number, notes=[note(2.3, 62, 5.0)])
    evening.until(3.0)
    evening.duet.unplug(3.0)
    assert evening.duet.tick(3.0) == [] and evening.duet.deadline == math.inf and evening.duet.answering is None
    evening.hear(strike(70, 70))
    assert not evening.piano.silent
    evening.until(5.0)
    evening.duet.plug(5.0)
    evening.tick(5.0)
    assert evening.piano.silent and evening.duet.state is State.LISTENING
    prompt, held = evening.duet._heard.whole(5.0)
    assert prompt.pitch.tolist() == [60, 62] and held == []


def test_long_evenings_are_remembered_in_part() -> None:
    evening, answer = handed_over(Rules(most_notes=10, seconds=30))
    evening.duet.decided(2.1, number=answer.number, notes=[note(2.3 + k / 10, 50 + k, 0.1) for k in range(40)])
    evening.duet.finished(2.1, number=answer.number)
    evening.until(20.0)
    assert len(evening.duet.ask(0).prompt) == 5  # of 41; the one that is still held is forgotten too


def test_a_long_turn_is_read_as_it_grows_from_a_beginning_that_seldom_moves() -> None:
    duet, begins = Duet(Rules()), []
    for k in range(1000):
        duet.hear(k / 10, strike(30 + k % 50, 60))
        duet.hear(k / 10 + 0.05, release(30 + k % 50))
        prompt = duet.ask(0).prompt
        assert 160 <= len(prompt) <= 320 or k < 160
        begins.append(prompt.onset[0])
    assert len(set(begins)) == 1 + (1000 - 160) // 161


@pytest.mark.parametrize("wrong", [{"seconds": 0.1}, {"lead_s": -1}, {"latency_s": 2}, {"seconds": math.nan}])
def test_rules_that_cannot_be_are_refused(wrong: dict) -> None:
    with pytest.raises(UserError):
        Rules(**wrong)


@pytest.mark.parametrize("wrong", [{"silence_s": 0}, {"key": 128}, {"bars": 0}, {"beats": 99}, {"tempo": 5}])
def test_signs_that_cannot_be_are_refused(wrong: dict) -> None:
    with pytest.raises(UserError):
        HandOver(**wrong)
