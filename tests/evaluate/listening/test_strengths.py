from itertools import combinations

import numpy as np
import pytest
from scipy.optimize import minimize

from partimento.evaluate.listening.strengths import bounded, fit, resamples, tallied
from partimento.evaluate.metrics import interval

STRENGTHS = np.array([0.8, 0.1, -0.2, -0.7])
TIE = -0.4
PAIRS = np.array(list(combinations(range(4), 2)))


def chances(first, second, strengths=STRENGTHS, tie=TIE):
    """Davidson's three probabilities, written as in his paper: with pi, and nu times the geometric mean."""
    a, b, nu = np.exp(strengths[first]), np.exp(strengths[second]), np.exp(tie)
    either = np.array([a, nu * np.sqrt(a * b), b])
    return either / either.sum()


def voted(rng, strengths=STRENGTHS, pairs=PAIRS, each=60):
    return np.array([rng.multinomial(each, chances(*pair, strengths)) for pair in pairs], np.float64)


def test_the_fit_is_the_top_of_davidsons_likelihood():
    counts = voted(np.random.default_rng(0))

    def loss(x):
        strengths = np.concatenate([x[:3], [-x[:3].sum()]])
        return -sum(count @ np.log(chances(*pair, strengths, x[3])) for pair, count in zip(PAIRS, counts, strict=True))

    best = minimize(loss, np.zeros(4), method="BFGS").x
    strength, tie = fit(PAIRS, counts[None], systems=4)
    assert strength[0] == pytest.approx([*best[:3], -best[:3].sum()], abs=2e-3)
    assert tie[0] == pytest.approx(best[3], abs=2e-3)


def test_two_systems_have_the_closed_form():
    """The logarithm of wins over losses, and of ties over the geometric mean of both."""
    strength, tie = fit(np.array([[0, 1]]), np.array([[[180.0, 90.0, 210.0]]]), systems=2)
    assert strength[0, 0] - strength[0, 1] == pytest.approx(np.log(180 / 210), abs=1e-4)
    assert tie[0] == pytest.approx(np.log(90 / np.sqrt(180 * 210)), abs=1e-3)


def test_all_rows_at_once_are_each_row_alone():
    rng = np.random.default_rng(1)
    counts = np.stack([voted(rng, each=10) for _ in range(5)])
    together = fit(PAIRS, counts, systems=4)[0]
    assert together == pytest.approx(np.concatenate([fit(PAIRS, one[None], systems=4)[0] for one in counts]), abs=1e-7)


def test_a_system_that_never_lost_has_no_bound_and_still_a_number():
    star = np.array([[0, 1], [0, 2]])
    counts = np.array([[10.0, 2.0, 5.0], [49.0, 0.0, 0.0]])
    assert not bounded(star, counts, systems=3)
    assert bounded(star, counts + np.array([[0, 0, 0], [0, 1, 0]]), systems=3)
    assert bounded(star, counts + np.array([[0, 0, 0], [0, 0, 1]]), systems=3)
    strength = fit(star, counts[None], systems=3)[0][0]
    assert np.isfinite(strength).all() and strength[0] - strength[2] > 3


def test_votes_are_counted_by_pair_and_answer():
    weights = np.array([[1.0, 1.0, 1.0], [0.0, 2.0, 3.0]])
    counts = tallied(np.array([0, 1, 1]), np.array([2, 0, 0]), pairs=2, weight_Rn=weights)
    assert counts.tolist() == [[[0, 0, 1], [2, 0, 0]], [[0, 0, 0], [5, 0, 0]]]


def test_resamples_draw_listeners_and_prompts_whole():
    listener, prompt = np.repeat(np.arange(6), 4), np.tile(np.arange(4), 6)
    weights = resamples(listener, prompt, seed=0)
    assert (weights[0] == 1).all() and weights[1:].any(axis=1).all()
    table = weights[1:].reshape(-1, 6, 4)
    assert np.array_equal(resamples(listener, prompt, seed=0), weights)
    for one in table[:50]:
        assert np.linalg.matrix_rank(one) == 1  # a factor for each listener times one for each prompt
    assert weights[1:].mean() == pytest.approx(1, abs=0.05)


def test_intervals_hold_known_strengths():
    """Listeners differ in taste and prompts suit systems differently: 95 % intervals must still hold the truth."""
    rng, held, all_ = np.random.default_rng(5), 0, 0
    for _ in range(6):
        listener, prompt, pair, said = [], [], [], []
        taste = rng.normal(0, 0.5, (30, 4))
        suits = rng.normal(0, 0.4, (8, 4))
        for person in range(30):
            for _trial in range(8):
                p, c = rng.integers(8), rng.integers(len(PAIRS))
                strengths = STRENGTHS + taste[person] + suits[p]
                listener.append(person)
                prompt.append(p)
                pair.append(c)
                said.append(rng.choice(3, p=chances(*PAIRS[c], strengths)))
        weights = resamples(np.array(listener), np.array(prompt), seed=0)[:301]
        strength, _ = fit(
            PAIRS, tallied(np.array(pair), np.array(said), pairs=len(PAIRS), weight_Rn=weights), systems=4
        )
        for k in range(4):
            low, high = interval(strength[1:, k])
            held += low <= STRENGTHS[k] <= high
            all_ += 1
    assert held >= 0.85 * all_
