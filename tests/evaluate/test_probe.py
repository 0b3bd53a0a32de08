"""Probes learn what is linear, whatever its scale, and are chosen on validation alone."""

import numpy as np
from sklearn.linear_model import LogisticRegression

from partimento.evaluate.probe import EPOCHS, probe


def clusters(seed, n=200):
    centres = np.random.default_rng(7).normal(size=(3, 12))
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    return (centres[y] + 1.6 * rng.normal(size=(n, 12))).astype(np.float32), y


def test_a_probe_comes_near_logistic_regression():
    (x, y), (val_x, val_y), (test_x, test_y) = clusters(1, 400), clusters(2), clusters(3, 1000)
    ours = (probe(x, y, val_x, val_y, classes=3).predict(test_x) == test_y).mean()
    reference = LogisticRegression(max_iter=1000).fit(x, y).score(test_x, test_y)
    assert reference < 0.97  # there is something to get wrong
    assert ours > reference - 0.03


def test_scale_and_seed_decide_nothing_they_should_not():
    x, y = clusters(1)
    val_x, val_y = clusters(2)
    test_x, _ = clusters(3)
    plain = probe(x, y, val_x, val_y, classes=3)
    again = probe(x, y, val_x, val_y, classes=3)
    assert np.array_equal(plain.weight_CE, again.weight_CE) and plain.epochs in EPOCHS
    far = probe(1000 * x + 5, y, 1000 * val_x + 5, val_y, classes=3)
    assert (far.predict(1000 * test_x + 5) == plain.predict(test_x)).mean() > 0.98


def test_a_channel_that_never_changes_is_harmless():
    x, y = clusters(1)
    x[:, 0] = 3.0
    fitted = probe(x, y, x, y, classes=3)
    assert np.isfinite(fitted.weight_CE).all() and (fitted.predict(x) == y).mean() > 0.6
