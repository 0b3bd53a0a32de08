"""Slices follow each other without gap or overlap; of many, those that are read are spread evenly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partimento.embed.slicing import PUBLISHED, SUITING, Slicing
from partimento.errors import UserError


@given(st.integers(0, 3000), st.integers(1, 700))
def test_all_slices_cover_every_note_once(count, notes):
    bounds = Slicing(notes=notes).bounds(count)
    assert [note for first, last in bounds for note in range(first, last)] == list(range(count))
    assert all(last - first == notes for first, last in bounds[:-1])


@given(st.integers(0, 3000), st.integers(1, 700), st.integers(1, 20))
def test_some_of_them_are_some_of_all(count, notes, most):
    every, some = Slicing(notes=notes).bounds(count), Slicing(notes=notes, most=most).bounds(count)
    assert len(some) == min(most, len(every)) and some == sorted(set(some)) and set(some) <= set(every)
    if most >= len(every):
        assert some == every
    else:
        steps = np.diff([first // notes for first, _ in some])
        assert not len(steps) or steps.max() - steps.min() <= 1
        assert abs(some[0][0] // notes - (len(every) - 1 - some[-1][0] // notes)) <= 1


def test_the_published_ones_have_300_notes():
    assert PUBLISHED.bounds(650) == [(0, 300), (300, 600), (600, 650)] and PUBLISHED.bounds(0) == []


def test_a_model_that_learned_from_shorter_slices_gets_such():
    assert SUITING.suiting({}) == SUITING.suiting({"view_notes": 640}) == PUBLISHED
    assert Slicing(most=5).suiting({"view_notes": 80}) == Slicing(notes=80, most=5)
    assert PUBLISHED.suiting({"view_notes": 80}) == PUBLISHED
    with pytest.raises(UserError, match="view_notes"):
        SUITING.suiting({"view_notes": "many"})


def test_what_reads_nothing_is_refused():
    with pytest.raises(UserError, match="notes is 0"):
        Slicing(notes=0)
    with pytest.raises(UserError, match="most is 0"):
        Slicing(most=0)
