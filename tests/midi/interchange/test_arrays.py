"""Note arrays against partitura, piano rolls against pretty_midi's."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from partimento.errors import UserError
from partimento.midi.performance import Performance
from tests.midi.performances import MS, anything, build, separate
from tests.midi.smf_bytes import separate_keys

QUICK = settings(max_examples=15)
NOCTURNE = Performance.from_midi("examples/nocturne.mid")


@pytest.fixture(scope="module")
def partitura():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its own dependencies
        import partitura
    return partitura


@given(anything())
@QUICK
def test_a_note_array_has_every_nanosecond_of_the_notes(performance):
    back = Performance.from_note_array(performance.to_note_array())
    for name in ("pitch", "velocity", "onset", "duration", "channel"):
        assert np.array_equal(getattr(back, name), getattr(performance, name))


def test_what_a_note_array_has_no_place_for():
    """Pedal and programs: docs/interchange.md says so."""
    back = Performance.from_note_array(build([(0, MS, 60, 64, 1)], [(0, MS, 1)], {1: 40}).to_note_array())
    assert (len(back.pedal_down), back.programs, back.channel.tolist()) == (0, ((0, 0),), [1])


@given(separate())
@settings(max_examples=10)  # its objects are slow
def test_partitura_takes_the_array_and_gives_its_own(partitura, performance):
    assume(len(performance))
    mine = performance.to_note_array()
    theirs = partitura.performance.PerformedPart.from_note_array(mine).note_array()
    for name in ("pitch", "velocity", "channel", "track", "id"):
        assert theirs[name].tolist() == mine[name].tolist()
    for name in ("onset_sec", "duration_sec"):
        assert np.allclose(theirs[name], mine[name], rtol=1e-6)
    assert len(Performance.from_note_array(theirs)) == len(performance)


def test_the_array_of_a_file_is_that_of_partitura_which_folds_the_pedal(partitura):
    """There a key that is struck again ends the note before it, pedal or not; here it does not."""
    read = partitura.load_performance_midi("examples/nocturne.mid").note_array()
    theirs, mine = (
        np.sort(notes, order=["pitch", "onset_sec"]) for notes in (read, NOCTURNE.to_note_array(fold_pedal=True))
    )
    assert theirs["pitch"].tolist() == mine["pitch"].tolist()
    assert theirs["velocity"].tolist() == mine["velocity"].tolist()
    assert np.allclose(theirs["onset_sec"], mine["onset_sec"], atol=1e-5)
    until_struck = np.where(np.diff(mine["pitch"]) == 0, np.diff(mine["onset_sec"]), np.inf)
    expected = np.minimum(mine["duration_sec"], np.append(until_struck, np.inf))
    assert np.allclose(theirs["duration_sec"], expected, atol=1e-5)


def test_an_array_of_a_score_is_refused_in_words():
    with pytest.raises(UserError, match=r"needs the fields onset_sec, .*; onset_sec, duration_sec, velocity missing"):
        Performance.from_note_array(np.zeros(3, [("onset_beat", "f4"), ("pitch", "i4")]))


@given(
    arrays.arrays(np.uint8, st.tuples(st.just(128), st.integers(0, 12)), elements=st.sampled_from([0, 0, 1, 64, 127])),
    st.sampled_from([1, 20, 86.1328125, 100, 1000 / 3, 100_000]),
)
@QUICK
def test_a_roll_comes_back_as_it_was(roll, rate):
    back = Performance.from_piano_roll(roll, frames_per_second=rate).to_piano_roll(frames_per_second=rate)
    assert np.array_equal(back, roll[:, : back.shape[1]])
    assert not roll[:, back.shape[1] :].any()


@given(separate_keys(), st.lists(st.tuples(st.integers(1, 900), st.integers(1, 900)), max_size=5))
@QUICK
def test_a_roll_is_that_of_pretty_midi(keys, pedals):
    """On a grid of 32 frames a second, where its truncated floats are exact; of pedals, where something sounds."""
    second = 32
    steps = np.cumsum(np.array(pedals, np.int64).reshape(-1))
    performance = Performance.from_notes(
        pitch=[key.pitch for key in keys],
        velocity=[key.velocity for key in keys],
        onset=np.array([key.onset for key in keys]) / second,
        duration=np.array([key.duration for key in keys]) / second,
        pedal=list(zip(steps[::2] / second, steps[1::2] / second, strict=True)),
    )
    theirs, mine = performance.to_pretty_midi(), performance.to_piano_roll(frames_per_second=second)
    assert np.array_equal(mine, theirs.get_piano_roll(second, pedal_threshold=None)[:, : mine.shape[1]])
    mine, held = performance.to_piano_roll(frames_per_second=second, fold_pedal=True) > 0, theirs.get_piano_roll(second)
    width = min(mine.shape[1], held.shape[1])
    assert np.array_equal(mine[:, :width], held[:, :width] > 0)
    assert not held[:, width:].any() and not mine[:, width:].any()


def test_what_a_roll_does_with_short_loud_and_struck_again_keys():
    roll = build([
        (0, 100 * MS, 60, 40, 0), (50 * MS, 20 * MS, 60, 90, 0),  # one key twice: the louder shows
        (0, 1 * MS, 62, 30, 0),  # shorter than a frame: one frame
        (0, 20 * MS, 64, 50, 0), (20 * MS, 20 * MS, 64, 50, 0),  # struck again as loud: one long note of it
        (0, 20 * MS, 36, 50, 9),  # a drum
    ]).to_piano_roll(frames_per_second=100)  # fmt: skip
    assert roll[60].tolist() == [40] * 5 + [90] * 2 + [40] * 3
    assert roll[62].tolist() == [30] + [0] * 9
    assert len(Performance.from_piano_roll(roll[:, :4], frames_per_second=100)) == 3
    assert not roll[36].any()


def test_a_roll_of_true_and_false_has_notes_of_velocity_64():
    roll = np.zeros((128, 5), bool)
    roll[60, 1:3] = True
    (note,) = Performance.from_piano_roll(roll, frames_per_second=10)
    assert (note.pitch, note.velocity, note.onset_s, note.duration_s) == (60, 64, 0.1, 0.2)


@pytest.mark.parametrize(
    ("roll", "message"),
    [
        (np.zeros((5, 128)), r"numbers \[128, frames\], not float64 \[5, 128\]"),
        (np.full((128, 2), 200), "whole numbers from 0 to 127"),
        (np.full((128, 2), 0.5), "whole numbers from 0 to 127"),
        (np.full((128, 2), np.nan), "whole numbers from 0 to 127"),
        (np.full((128, 2), "a"), "numbers"),
    ],
)
def test_what_is_no_roll_is_refused(roll, message):
    with pytest.raises(UserError, match=message):
        Performance.from_piano_roll(roll, frames_per_second=10)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_frames_need_a_rate(rate):
    with pytest.raises(UserError, match="frames_per_second must be a positive number"):
        NOCTURNE.to_piano_roll(frames_per_second=rate)
