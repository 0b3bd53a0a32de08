"""How good predictions are, and how sure one may be of it.

Knows accuracy and macro-F1 (section 4.1), and percentile intervals from resampling whole pieces: two recordings of a
piece are no two observations. Refuses to know where predictions come from.

    >>> truth, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    >>> score(truth, predicted, classes=2, pieces=np.arange(4)).accuracy
    0.75

Shape legend: n examples, R resamples, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]
Estimate = tuple[float, Interval]
"""A value and its 95 % interval."""

RESAMPLES: Final = 2000
_EDGES: Final = (2.5, 97.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Accuracy and macro-F1 (0..1) of `examples` examples, each with its 95 % interval."""

    examples: int
    accuracy: float
    accuracy_interval: Interval
    macro_f1: float
    macro_f1_interval: Interval


def score(truth: Ints, predicted: Ints, *, classes: int, pieces: Ints, seed: int = 0) -> Score:
    """Judge predicted class numbers [n]; `pieces` [n] are resampled together.

    Macro-F1 is the mean over the classes that are among the truth or the predictions; in resamples likewise.
    """
    weight_Rn = np.concatenate([np.ones((1, len(truth))), resampled(pieces, seed)])
    accuracy_R = _accuracy(truth, predicted, weight_Rn)
    f1_R = _macro_f1(truth, predicted, classes, weight_Rn)
    return Score(
        examples=len(truth),
        accuracy=float(accuracy_R[0]),
        accuracy_interval=interval(accuracy_R[1:]),
        macro_f1=float(f1_R[0]),
        macro_f1_interval=interval(f1_R[1:]),
    )


def share(hits: Floats, *, pieces: Ints, seed: int = 0) -> Estimate:
    """The mean of hits (0..1) [n] and its interval; `pieces` [n] are resampled together."""
    weight_Rn = np.concatenate([np.ones((1, len(hits))), resampled(pieces, seed)])
    share_R = weight_Rn @ hits / weight_Rn.sum(1)
    return float(share_R[0]), interval(share_R[1:])


def accuracy_differences(truth: Ints, a: Ints, b: Ints, *, pieces: Ints, seed: int = 0) -> Floats:
    """Accuracy of predictions `a` less that of `b` on the same examples [1 + R]: as it is, then in each resample."""
    weight_Rn = np.concatenate([np.ones((1, len(truth))), resampled(pieces, seed)])
    return _accuracy(truth, a, weight_Rn) - _accuracy(truth, b, weight_Rn)


def resampled(pieces: Ints, seed: int) -> Floats:
    """How often each example stands in each resample [R, n]."""
    names, piece_of = np.unique(pieces, return_inverse=True)
    drawn_Rp = np.random.default_rng(seed).multinomial(len(names), np.full(len(names), 1 / len(names)), RESAMPLES)
    return drawn_Rp[:, piece_of].astype(np.float64)


def _accuracy(truth: Ints, predicted: Ints, weight_Rn: Floats) -> Floats:
    return weight_Rn @ (truth == predicted) / weight_Rn.sum(1)


def _macro_f1(truth: Ints, predicted: Ints, classes: int, weight_Rn: Floats) -> Floats:
    is_C, said_C = (np.arange(classes)[:, None] == labels for labels in (truth, predicted))
    hits_RC = weight_Rn @ (is_C & said_C).T
    # 2 TP / (2 TP + FP + FN): the mean size of what is there and what was said.
    sizes_RC = weight_Rn @ (is_C.astype(np.float64) + said_C).T
    f1_RC = np.divide(2 * hits_RC, sizes_RC, out=np.full(sizes_RC.shape, np.nan), where=sizes_RC > 0)
    return np.nanmean(f1_RC, axis=1)


def interval(values_R: Floats) -> Interval:
    """The middle 95 % of values, of resamples say."""
    low, high = np.percentile(values_R, _EDGES)
    return float(low), float(high)
