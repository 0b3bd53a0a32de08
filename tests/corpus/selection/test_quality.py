"""Filters take what lies beyond a bound, and say what they measured."""

import numpy as np
import pytest

from partimento.corpus.selection.quality import FILTERS, LONG_FILE_S, beyond, measured
from partimento.corpus.selection.recipes import RECIPES, selection_recipe
from tests.corpus.manifests import GOOD, REFUSED, table

BROKEN = {
    "other-instruments": {"piano_notes": 100},
    "too-short": {"seconds": 5.0},
    "too-long": {"seconds": 30000.0},
    "too-sparse": {"notes_per_second": 0.4},
    "too-dense": {"notes_per_second": 300.0},
    **{f"dense-{s}s": {f"peak_notes_per_second_{s}s": 900.0} for s in (3, 5, 10, 45)},
    **{f"one-key-{s}s": {f"peak_pitch_notes_per_second_{s}s": 90.0} for s in (3, 5, 10, 45)},
    "few-pitches": {"unique_pitches": 2},
    **{f"few-pitches-{s}s": {f"min_unique_pitches_{s}s": 1} for s in (30, 60, 120)},
    "pitch-entropy": {"pitch_entropy": 1.0},
    "duration-entropy": {"duration_entropy": 0.5},
    "onset-entropy": {"interval_entropy": 0.5},
    "silence": {"longest_silence": 90.0},
    "too-soft": {"velocity_mean": 3.0},
    "too-loud": {"velocity_mean": 126.0},
    "flat-touch": {"velocity_std": 0.0},
    "repetitive": {"repetition": 0.01, "seconds": LONG_FILE_S},
    "synthesised": {"grid_share": 1.0},
    "too-together": {"unison_share": 1.0},
    "too-legato": {"legato_share": 0.9},
    "too-even": {"pulse_clarity": 0.99},
    "poor-recording": {"audio_score": 0.1},
}


def test_every_filter_is_broken_by_a_file_of_its_own():
    assert set(BROKEN) == set(FILTERS)


@pytest.mark.parametrize("name", FILTERS)
def test_a_filter_takes_the_file_that_breaks_it_and_no_other_does(name):
    bounds = {**selection_recipe("finetune").filters, "onset-entropy": 2.0}
    rows = table({}, BROKEN[name], {})
    takers = {other: beyond(rows, other, bound)[0].tolist() for other, bound in bounds.items()}
    assert takers == {other: [False, other == name, False] for other in bounds}
    value = 100 / GOOD["piano_notes"] if name == "other-instruments" else BROKEN[name][FILTERS[name].column]
    assert beyond(rows, name, bounds[name])[1][1] == pytest.approx(value)


@pytest.mark.parametrize("name", FILTERS)
def test_a_file_exactly_on_the_bound_and_one_without_the_measurement_pass(name):
    column = FILTERS[name].column
    bound = 40.0 if "unique" in column else 0.3  # 0.3 is another number in 32 bits than in 64
    if column == "piano_share":
        rows = table({"notes": 100, "piano_notes": 30}, {"notes": None}, {"notes": 0, "piano_notes": 0})
    else:
        rows = table({"seconds": LONG_FILE_S, column: bound}, {column: None})
    assert not beyond(rows, name, bound)[0].any()


def test_only_long_files_are_called_repetitive():
    rows = table(*({"repetition": 0.0, "seconds": s} for s in (LONG_FILE_S - 1, LONG_FILE_S)))
    assert beyond(rows, "repetitive", 0.2)[0].tolist() == [False, True]


@pytest.mark.parametrize("name", RECIPES)
def test_no_named_recipe_takes_a_good_file_and_none_trips_over_refused_ones(name):
    for filter_, bound in selection_recipe(name).filters.items():
        assert not beyond(table({}, REFUSED), filter_, bound)[0].any()


def test_measurements_come_as_numbers_with_nan_for_unknown():
    rows = table({"notes": 10, "piano_notes": 4}, REFUSED)
    np.testing.assert_array_equal(measured(rows, "notes"), [10, np.nan])
    np.testing.assert_array_equal(measured(rows, "piano_share"), [0.4, np.nan])
