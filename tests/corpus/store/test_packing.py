"""What is stored of a note is what the tokeniser would have seen, with the pedal folded in and without."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partimento.corpus.store.packing import LIMIT_MS, NOTE, PEDAL, Packed, pack, unpack
from partimento.midi.performance import Performance
from partimento.tokens.notes import Notes
from tests.corpus.playable import noise

COLUMNS = ("onset_ms", "duration_ms", "pitch", "velocity", "instrument", "pedal_ms", "pedal_down")


def assert_same(a: Notes, b: Notes) -> None:
    for column in COLUMNS:
        assert getattr(a, column).dtype == getattr(b, column).dtype, column
        assert np.array_equal(getattr(a, column), getattr(b, column)), column


@st.composite
def performances(draw):
    """Piano with pedal on a clock of 0.1 ms; no pause of a minute, no note of a minute."""
    gap = st.one_of(st.just(0), st.integers(0, 3000), st.integers(0, 600_000))
    rows = draw(st.lists(st.tuples(gap, st.integers(1, 500_000), st.integers(0, 127)), min_size=1, max_size=20))
    gaps, durations, pitches = np.array(rows).T
    moves = np.cumsum(draw(st.lists(st.integers(1, 90_000), max_size=12))) / 10_000
    even = len(moves) // 2 * 2
    return Performance.from_notes(
        pitch=pitches,
        velocity=1 + pitches % 127,
        onset=np.cumsum(gaps) / 10_000,
        duration=durations / 10_000,
        pedal=list(zip(moves[:even:2], moves[1:even:2], strict=True)),
    )


@given(performances())
def test_both_durations_and_the_pedal_come_back(performance):
    packed = pack(performance)
    for fold in (True, False):
        assert_same(unpack(packed, fold_pedal=fold), Notes.from_performance(performance, fold_pedal=fold))


def test_a_note_takes_eight_bytes_and_a_pedal_move_four():
    packed = pack(noise(0, 50))
    assert (packed.notes.nbytes, packed.pedal.nbytes) == (8 * 50, 4 * 4)


@given(performances(), st.data())
def test_a_slice_is_that_of_the_whole(performance, data):
    packed = pack(performance)
    first = data.draw(st.integers(0, len(packed)))
    last = data.draw(st.integers(first, len(packed)))
    assert_same(unpack(packed, first, last, fold_pedal=True), unpack(packed, fold_pedal=True).slice(first, last))


@pytest.mark.parametrize(("first", "last"), [(0, 60), (0, 20), (3, 12), (10, 60), (20, 21)])
def test_the_pedal_of_a_slice_is_down_when_it_was_down(first, last):
    played = Performance.from_notes(
        pitch=np.arange(21, 81),
        velocity=64,
        onset=np.arange(60) / 10,
        duration=0.05,
        pedal=[(0.05, 0.45), (0.9, 1.25), (1.5, 2.0), (2.05, 3.333)],
    )
    part = unpack(pack(played), first, last, fold_pedal=False)
    assert len(part) == last - first

    def down_at(notes: Notes, ms: int) -> bool:
        before = notes.pedal_down[notes.pedal_ms <= ms]
        return bool(len(before) and before[-1])

    whole = unpack(pack(played), fold_pedal=False)
    for ms in range(100 * (last - first)):
        assert down_at(part, ms) == down_at(whole, ms + 100 * first)
    assert (part.pedal_ms < 100 * (last - first)).all() or last == 60


def test_a_pause_of_minutes_is_shortened_and_the_pedal_with_it():
    played = Performance.from_notes(
        pitch=[60, 62, 64],
        velocity=64,
        onset=[0, 1, 401],
        duration=[0.5, 100, 0.5],
        pedal=[(0.9, 1.2), (300, 401.1), (401.2, 402)],
    )
    keyed = unpack(pack(played), fold_pedal=False)
    assert keyed.onset_ms.tolist() == [0, 1000, 1000 + LIMIT_MS]
    assert keyed.duration_ms.tolist() == [500, LIMIT_MS, 500]
    shift = 400_000 - LIMIT_MS
    assert keyed.pedal_ms.tolist() == [900, 1200, 1000 + LIMIT_MS, *(ms - shift for ms in (401_100, 401_200, 402_000))]
    assert keyed.pedal_down.tolist() == [1, 0] * 3


def test_only_the_piano_is_kept():
    played = Performance.from_notes(
        pitch=[60, 40, 72], velocity=64, onset=[0, 1, 2], duration=1, channel=[0, 9, 1], programs=[(0, 0), (1, 73)]
    )
    assert pack(played).notes["pitch"].tolist() == [60]


def test_nothing_is_nothing():
    packed = Packed(notes=np.empty(0, NOTE), pedal=np.empty(0, PEDAL))
    for fold in (True, False):
        assert len(unpack(packed, fold_pedal=fold)) == 0
