"""Augmentation changes what it says and loses nothing."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.midi.instruments import DRUM
from partimento.tokens.augment import Draw, augment, draw
from partimento.tokens.notes import Notes
from tests.tokens.playing import performances

EMPTY_PEDAL = {"pedal_ms": np.empty(0, np.int64), "pedal_down": np.empty(0, np.uint8)}


def notes_of(onset, duration, pitch=60, velocity=64, instrument=0):
    n = len(onset)
    return Notes(
        onset_ms=np.array(onset, np.int64),
        duration_ms=np.array(duration, np.int64),
        pitch=np.full(n, pitch, np.uint8),
        velocity=np.full(n, velocity, np.uint8),
        instrument=np.full(n, instrument, np.uint8),
        **EMPTY_PEDAL,
    )


def rows(notes: Notes) -> list[tuple[int, ...]]:
    columns = (notes.onset_ms, notes.duration_ms, notes.pitch, notes.velocity, notes.instrument)
    return [tuple(int(column[i]) for column in columns) for i in range(len(notes))]


@settings(max_examples=80)
@given(performances(), st.integers(0, 2**32 - 1))
def test_no_note_is_lost_and_every_value_can_be_said(performance, seed):
    notes = Notes.from_performance(performance)
    drawn = draw(notes, np.random.default_rng(seed))
    assert 0.8 <= drawn.tempo <= 1.2 and -5 <= drawn.semitones <= 5 and drawn.velocity in (-10, 0, 10)
    changed = augment(notes, drawn)
    assert len(changed) == len(notes)
    assert (np.diff(changed.onset_ms) >= 0).all()
    assert not (changed.onset_ms % 10).any() and not (changed.duration_ms % 10).any()
    assert ((changed.velocity >= 10) & (changed.velocity <= 120) & (changed.velocity % 10 == 0)).all()
    wanted = np.sort(notes.pitch.astype(int) + drawn.semitones * (notes.instrument != DRUM))
    assert np.sort(changed.pitch).tolist() == wanted.tolist()
    assert rows(augment(notes, drawn)) == rows(changed)


@settings(max_examples=60)
@given(st.lists(st.integers(0, 127), min_size=1, max_size=30), st.integers(0, 2**32 - 1))
def test_the_draw_never_leaves_the_keyboard(pitches, seed):
    notes = replace(notes_of([0] * len(pitches), [100] * len(pitches)), pitch=np.array(pitches, np.uint8))
    semitones = draw(notes, np.random.default_rng(seed)).semitones
    assert min(pitches) + semitones >= 0 and max(pitches) + semitones <= 127


def test_the_draw_reaches_all_it_may():
    rng = np.random.default_rng(0)
    draws = [draw(notes_of([0], [10]), rng) for _ in range(400)]
    assert {d.semitones for d in draws} == set(range(-5, 6)) and {d.velocity for d in draws} == {-10, 0, 10}
    assert min(d.tempo for d in draws) < 0.82 and max(d.tempo for d in draws) > 1.18
    assert len({d.seed for d in draws}) == 400
    assert {draw(notes_of([0], [10], pitch=127), rng).semitones for _ in range(200)} == set(range(-5, 1))


def test_a_draw_that_changes_nothing_keeps_every_note():
    rng = np.random.default_rng(1)
    onset = np.sort(rng.integers(0, 50, 200)) * 10
    notes = Notes(
        onset_ms=onset,
        duration_ms=rng.integers(1, 500, 200) * 10,
        pitch=rng.integers(0, 128, 200, np.uint8),
        velocity=rng.integers(1, 13, 200).astype(np.uint8) * np.uint8(10),
        instrument=rng.choice(np.array([0, 4, DRUM], np.uint8), 200),
        **EMPTY_PEDAL,
    )
    changed = rows(augment(notes, Draw(seed=7)))
    assert sorted(changed) == sorted(rows(notes))
    assert changed != rows(notes) and changed != rows(augment(notes, Draw(seed=8)))


def test_a_chord_is_shuffled_into_every_order_about_equally_often():
    chord = replace(notes_of([50] * 3, [100, 200, 300]), pitch=np.array([60, 64, 67], np.uint8))
    orders = {}
    for seed in np.random.default_rng(2).integers(1, 2**63, 1200).tolist():
        order = tuple(rows(augment(chord, Draw(seed=seed))))
        orders[order] = orders.get(order, 0) + 1
    assert len(orders) == 6 and min(orders.values()) > 140 and max(orders.values()) < 260
    assert all(sorted(order) == [(50, 100, 60, 60, 0), (50, 200, 64, 60, 0), (50, 300, 67, 60, 0)] for order in orders)


@pytest.mark.parametrize("tempo", [0.75, 0.875, 1.0, 1.125])
def test_times_are_rounded_to_ten_milliseconds_half_to_even(tempo):
    ms = list(range(0, 4000, 7)) + list(range(4000, 9000, 5))
    notes = notes_of(sorted(ms), sorted(ms))
    wanted = [round(Fraction(t) * Fraction(tempo) / 10) * 10 for t in sorted(ms)]
    changed = augment(notes, Draw(tempo=tempo))
    assert changed.onset_ms.tolist() == wanted and changed.duration_ms.tolist() == wanted


def test_segments_follow_the_new_times():
    """Worked out by hand from onsets that lie either side of the segment boundaries."""
    onsets, durations = [0, 4990, 5000, 7500, 12_490], [100, 5000, 10, 2000, 5000]
    slower = augment(notes_of(onsets, durations), Draw(tempo=1.2))
    assert slower.onset_ms.tolist() == [0, 5990, 6000, 9000, 14_990]
    assert slower.duration_ms.tolist() == [120, 6000, 10, 2400, 6000]
    faster = augment(notes_of(onsets, durations), Draw(tempo=0.8))
    assert faster.onset_ms.tolist() == [0, 3990, 4000, 6000, 9990]
    assert faster.duration_ms.tolist() == [80, 4000, 10, 1600, 4000]


def test_drums_are_not_transposed():
    notes = replace(notes_of([0, 10, 20], [100] * 3, pitch=40), instrument=np.array([0, DRUM, 3], np.uint8))
    assert augment(notes, Draw(semitones=-5)).pitch.tolist() == [35, 40, 35]
    only = notes_of([0], [10], pitch=40, instrument=DRUM)
    assert draw(only, np.random.default_rng(0)).semitones == 0


def test_velocities_move_by_a_step_and_stay_in_range():
    velocities = np.array([1, 4, 12, 64, 120, 127], np.uint8)
    notes = replace(notes_of(range(0, 60, 10), [10] * 6), velocity=velocities)
    assert augment(notes, Draw(velocity=10)).velocity.tolist() == [20, 20, 20, 70, 120, 120]
    assert augment(notes, Draw(velocity=-10)).velocity.tolist() == [10, 10, 10, 50, 110, 110]
    assert augment(notes, Draw()).velocity.tolist() == [10, 10, 10, 60, 120, 120]


def test_the_pedal_is_stretched_with_the_notes():
    notes = replace(notes_of([0], [10]), pedal_ms=np.array([100, 1005]), pedal_down=np.array([1, 0], np.uint8))
    changed = augment(notes, Draw(tempo=0.5))
    assert changed.pedal_ms.tolist() == [50, 500] and changed.pedal_down.tolist() == [1, 0]


def test_nothing_can_be_augmented():
    empty = notes_of([], [])
    assert len(augment(empty, draw(empty, np.random.default_rng(0)))) == 0
