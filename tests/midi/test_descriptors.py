"""Descriptors against closed forms and against music whose answer is known beforehand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento import Performance
from partimento.midi.descriptors import Stretch


def played(
    pitch: list[int], onset: list[float], duration: float | list[float] = 0.5, velocity: int = 64
) -> Performance:
    lengths = duration if isinstance(duration, list) else [duration] * len(pitch)
    return Performance.from_notes(pitch=pitch, velocity=[velocity] * len(pitch), onset=onset, duration=lengths)


def test_counts_of_a_scale():
    scale = Stretch.of(played([60, 62, 64, 65], [0, 1, 2, 3]), 0, 4)
    assert scale.density == 1.0 and scale.median_duration == 0.5 and scale.mean_velocity == 64
    assert scale.polyphony == 0.5 and scale.silence == 0.5


def test_the_pedal_lengthens():
    pedalled = Performance.from_notes(pitch=[60], velocity=[64], onset=[0], duration=[0.2], pedal=[(0.0, 3.0)])
    assert Stretch.of(pedalled, 0, 4).median_duration == pytest.approx(3.0)


def test_a_metronome_has_a_pulse_and_chance_has_little():
    beat = Stretch.of(played([60] * 24, [0.5 * i for i in range(24)], 0.1), 0, 12)
    onsets = np.sort(np.random.default_rng(0).uniform(0, 12, 60)).tolist()
    chance = Stretch.of(played([60] * 60, onsets, 0.01), 0, 12)
    assert beat.pulse > 0.9 and chance.pulse < 0.3


@pytest.mark.parametrize("tonic", range(12))
def test_keys_of_cadences(tonic):
    major = [60, 64, 67, 65, 69, 72, 67, 71, 74, 60, 64, 67]
    minor = [60, 63, 67, 65, 68, 72, 67, 71, 74, 60, 63, 67]
    for number, chords in enumerate((major, minor)):
        pitches = [pitch + tonic for pitch in chords]
        stretch = Stretch.of(played(pitches, [i // 3 for i in range(12)]), 0, 4)
        assert stretch.key == 12 * number + tonic


def test_repetition_is_none_in_a_scale_and_nearly_all_in_an_ostinato():
    scale = Stretch.of(played(list(range(40, 80)), [0.1 * i for i in range(40)]), 0, 4)
    ostinato = Stretch.of(played([60, 64, 67, 64] * 10, [0.1 * i for i in range(40)]), 0, 4)
    assert scale.repetition == 0.0
    assert ostinato.repetition == pytest.approx(1 - 4 / 35)


def test_densest_counts_a_cluster():
    assert Stretch.of(played([60 + i for i in range(9)], [1.0] * 8 + [1.2]), 0, 2).densest == 8


def test_nothing_is_silence():
    nothing = Stretch.of(played([60], [9.0]), 0, 4)
    assert (nothing.silence, nothing.density, nothing.pulse, nothing.repetition) == (1.0, 0.0, 0.0, 0.0)


@given(st.lists(st.tuples(st.integers(21, 108), st.floats(0, 9.9), st.floats(0.02, 3)), min_size=1, max_size=60))
@settings(max_examples=60)
def test_moving_in_time_changes_nothing(notes):
    notes.sort(key=lambda note: note[1])
    pitch, onset, duration = (list(column) for column in zip(*notes, strict=True))
    here = Stretch.of(played(pitch, onset, duration), 0, 10)
    later = Stretch.of(played(pitch, [t + 50 for t in onset], duration), 50, 60)
    for name in ("density", "median_duration", "polyphony", "silence", "repetition"):
        assert getattr(here, name) == pytest.approx(getattr(later, name), abs=1e-6)
    assert np.allclose(here.pitch_classes, later.pitch_classes) and 0 <= here.silence <= 1
