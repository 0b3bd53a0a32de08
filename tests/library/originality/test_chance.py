"""Ranks beside counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partimento.library.originality.chance import Chance


@given(st.lists(st.integers(0, 60), min_size=1, max_size=40), st.integers(0, 70))
def test_p_is_the_share_of_stretches_as_good(values, score):
    chance = Chance(best={45: {0: np.sort(values)}})
    as_good = sum(value >= score for value in values)
    assert chance.p(score, seconds=20, lasting=9) == pytest.approx((1 + as_good) / (1 + len(values)))


def test_music_is_compared_with_stretches_as_long():
    chance = Chance(best={15: {0: np.zeros(3, int)}, 45: {0: np.full(4, 30)}, 120: {0: np.full(5, 50)}})
    lengths = [chance.windows(seconds)[0] for seconds in (0, 15, 15.1, 45, 60, 120, 1000)]
    assert lengths == [15, 15, 45, 45, 120, 120, 120]
    assert chance.p(40, seconds=45, lasting=1) == 1 / 5 and chance.p(40, seconds=46, lasting=1) == 1


def test_what_lasts_is_compared_with_what_lasts():
    chance = Chance(best={45: {0: np.array([0, 40, 50, 60]), 5: np.array([0, 0, 0, 20])}})
    assert [chance.p(30, seconds=45, lasting=s) for s in (4.9, 5, 20)] == [4 / 5, 1 / 5, 1 / 5]


def test_a_table_is_read_as_it_was_written(tmp_path):
    chance = Chance(best={15: {0: np.array([0, 0, 21]), 5: np.array([0, 0, 0])}, 45: {0: np.array([0, 22, 40])}})
    chance.write(tmp_path / "chance.csv")
    again = Chance.read(tmp_path / "chance.csv")
    assert {
        seconds: {least: scores.tolist() for least, scores in of.items()} for seconds, of in again.best.items()
    } == {
        15: {0: [0, 0, 21], 5: [0, 0, 0]},
        45: {0: [0, 22, 40]},
    }


def test_the_table_of_the_package_has_two_thousand_stretches_of_each_length():
    chance = Chance.published()
    sizes = {(seconds, least): len(scores) for seconds, of in chance.best.items() for least, scores in of.items()}
    assert sizes == {(seconds, least): 2000 for seconds in (15, 45, 120, 300) for least in (0, 5)}
    assert chance.p(1000, seconds=45, lasting=10) == pytest.approx(1 / 2001)
