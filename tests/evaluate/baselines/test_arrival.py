"""Arrival-time tokens: the vocabulary's own numbers, round trips, and rests."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partimento import Performance, UserError
from partimento.evaluate.baselines.arrival import (
    AUTOREGRESS,
    CONTROL,
    DURATION,
    NOTE,
    REST,
    SEPARATOR,
    VOCABULARY_SIZE,
    decode,
    encode,
    with_rests,
)

NOTES = st.lists(
    st.tuples(st.integers(0, 9999), st.integers(1, 999), st.integers(0, 127)), max_size=40, unique_by=lambda n: n[::2]
)


def performance(notes, velocity=64):
    columns = np.array(notes, np.int64).reshape(-1, 3)
    return Performance.from_notes(
        pitch=columns[:, 2],
        velocity=np.full(len(columns), velocity),
        onset=columns[:, 0] / 100,
        duration=columns[:, 1] / 100,
    )


def test_the_vocabulary_is_counted_as_its_authors_count_it():
    """100 s and 10 s in steps of 10 ms, 128 pitches of 129 instruments, a rest; all but that once more; three more."""
    events = 100 * 100 + 10 * 100 + 128 * 129
    assert [100 * 100, 100 * 100 + 10 * 100, events, events + 1] == [DURATION, NOTE, REST, CONTROL]
    assert [2 * events + 1, 2 * events + 2, 2 * events + 4] == [SEPARATOR, AUTOREGRESS, VOCABULARY_SIZE]


def test_a_note_is_three_tokens():
    assert encode(performance([(25, 50, 69)])).tolist() == [[25, 10_050, 11_069]]


@given(NOTES)
def test_what_is_in_steps_comes_back_exactly(notes):
    music = performance(notes)
    back = decode(encode(music), velocity=64)
    assert sorted(zip(back.onset, back.pitch, back.duration, strict=True)) == sorted(
        zip(music.onset, music.pitch, music.duration, strict=True)
    )


@given(NOTES, st.integers(0, 10_000))
def test_with_rests_no_second_is_without_an_event_and_no_note_is_lost(notes, end):
    events = encode(performance(notes))
    events = events[events[:, 0] < end]
    filled = with_rests(events, end)
    assert filled[filled[:, 2] != REST].tolist() == events.tolist()
    assert (np.diff([0, *filled[:, 0], end]) <= 100).all()
    assert (np.diff(filled[:, 0]) >= 0).all()
    for rest in np.flatnonzero(filled[:, 2] == REST):
        before = filled[rest - 1, 0] if rest else 0
        assert filled[rest].tolist() == [before + 100, DURATION, REST]


def test_what_has_no_token_is_cut_or_refused():
    assert encode(performance([(0, 5000, 60)]))[0, 1] == NOTE - 1
    with pytest.raises(UserError, match="end at 100 s"):
        encode(performance([(10_000, 10, 60)]))
