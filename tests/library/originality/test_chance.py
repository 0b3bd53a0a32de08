"""Ranks beside counting."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partimento.library.originality.chance import Chance


@given(st.lists(st.integers(0, 60), min_size=1, max_size=40), st.integers(0, 70))
def test_p_is_the_share_of_stretches_as_long(values, different):
    chance = Chance(longest={45: np.sort(values)})
    as_long = sum(value >= different for value in values)
    assert chance.p(different, seconds=20) == pytest.approx((1 + as_long) / (1 + len(values)))


def test_music_is_compared_with_stretches_as_long():
    chance = Chance(longest={15: np.zeros(3, np.int64), 45: np.full(4, 30), 120: np.full(5, 50)})
    assert [chance.windows(seconds)[0] for seconds in (0, 15, 15.1, 45, 60, 120, 1000)] == [
        15,
        15,
        45,
        45,
        120,
        120,
        120,
    ]
    assert chance.p(40, seconds=45) == 1 / 5 and chance.p(40, seconds=46) == 1


def test_a_table_is_read_as_it_was_written(tmp_path):
    chance = Chance(longest={15: np.array([0, 0, 21]), 45: np.array([0, 22, 40])})
    chance.write(tmp_path / "chance.csv")
    again = Chance.read(tmp_path / "chance.csv")
    assert {k: v.tolist() for k, v in again.longest.items()} == {15: [0, 0, 21], 45: [0, 22, 40]}


def test_the_table_of_the_package_has_two_thousand_stretches_of_each_length():
    chance = Chance.published()
    assert {seconds: len(values) for seconds, values in chance.longest.items()} == dict.fromkeys(
        (15, 45, 120, 300), 2000
    )
    assert chance.p(1000, seconds=45) == pytest.approx(1 / 2001)
