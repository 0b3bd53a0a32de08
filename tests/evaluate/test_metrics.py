"""Scores against scikit-learn's, and intervals against what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from partimento.evaluate.metrics import accuracy_differences, score

labels = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


@given(labels)
def test_scores_are_those_of_scikit_learn(pairs):
    truth, predicted = np.array(pairs).T
    found = score(truth, predicted, classes=5, pieces=np.arange(len(truth)))
    assert found.accuracy == pytest.approx(accuracy_score(truth, predicted))
    assert found.macro_f1 == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert found.accuracy_interval[0] <= found.accuracy_interval[1]


def test_an_interval_of_independent_examples_is_that_of_the_binomial():
    truth, predicted = np.zeros(400, np.int64), (np.arange(400) < 100).astype(np.int64)
    low, high = score(truth, predicted, classes=2, pieces=np.arange(400)).accuracy_interval
    half = 1.96 * np.sqrt(0.75 * 0.25 / 400)
    assert (low, high) == pytest.approx((0.75 - half, 0.75 + half), abs=0.01)


def test_recordings_of_one_piece_are_no_evidence_of_their_own():
    truth, predicted = np.zeros(400, np.int64), (np.arange(400) < 100).astype(np.int64)
    twenty = score(truth, predicted, classes=2, pieces=np.arange(400) // 20).accuracy_interval
    half = 1.96 * np.sqrt(0.75 * 0.25 / 20)
    assert twenty[1] - twenty[0] == pytest.approx(2 * half, rel=0.15)


def test_a_difference_is_judged_on_the_same_examples():
    truth = np.zeros(200, np.int64)
    a, b = (np.arange(200) < 90).astype(np.int64), (np.arange(200) < 100).astype(np.int64)
    difference, *resampled = accuracy_differences(truth, a, b, pieces=np.arange(200))
    low, high = np.percentile(resampled, (2.5, 97.5))
    assert difference == pytest.approx(0.05)
    # Ten of 200 differ and all in one direction: far surer than two accuracies of 0.55 and 0.5 apart.
    assert 0.015 < low < 0.05 < high < 0.09
