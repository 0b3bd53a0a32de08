"""Beside the closed form of a sine, and the signals of EBU Tech 3341 (a fifth as long) with what a meter must show."""

import numpy as np
import pytest

from partimento.audio.loudness import SILENT, loudness
from partimento.audio.samples import RATE


def tones(*parts, hertz=1000.0):
    """A sine on both sides: (seconds, peak in dBFS) one after the other."""
    level = np.concatenate([np.full(round(seconds * RATE), 10 ** (dbfs / 20)) for seconds, dbfs in parts])
    sine = level * np.sin(2 * np.pi * hertz * np.arange(len(level)) / RATE)
    return np.stack([sine, sine], axis=1)


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ([(4, -23)], -23),
        ([(4, -33)], -33),
        ([(2, -36), (12, -23), (2, -36)], -23),
        ([(2, -72), (2, -36), (12, -23), (2, -36), (2, -72)], -23),
        ([(4, -26), (4.02, -20), (4, -26)], -23),
    ],
)
def test_the_meter_shows_what_ebu_tech_3341_says(parts, shown):
    assert loudness(tones(*parts)) == pytest.approx(shown, abs=0.1)


def test_997_hz_at_full_scale_on_one_side_is_minus_3_01():
    """BS.1770-4: its constant of -0.691 makes this so."""
    one_side = tones((5, 0), hertz=997.0) * [1.0, 0.0]
    assert loudness(one_side) == pytest.approx(-3.01, abs=0.01)


def test_bass_counts_less_and_treble_more():
    at = {hertz: loudness(tones((3, -20), hertz=hertz)) for hertz in (40.0, 997.0, 8000.0)}
    assert at[40.0] < at[997.0] - 5 and at[8000.0] == pytest.approx(at[997.0] + 3.3, abs=0.3)


def test_twice_the_amplitude_is_6_db_more():
    noise = np.random.default_rng(0).normal(0, 0.01, (4 * RATE, 2))
    assert loudness(2 * noise) - loudness(noise) == pytest.approx(20 * np.log10(2))


def test_silence_and_what_is_too_short_have_no_loudness():
    for sound in (np.zeros((RATE, 2)), np.ones((RATE // 10, 2)), np.zeros((0, 2))):
        assert loudness(sound) == SILENT
