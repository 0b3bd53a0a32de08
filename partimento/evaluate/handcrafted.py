"""What a practitioner would try first: statistics of the notes, and trees on them, boosted or at random.

Knows: some two hundred numbers of a performance in five groups (pitch, interval, timing, velocity, pedal), and how the
trees are fitted. Refuses to know which task they serve.

    >>> x = statistics([Performance.from_midi(path) for path in paths])             # doctest: +SKIP
    >>> predicted = boosted(x[train], y[train], x[validation], y[validation], x[test])  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from partimento.midi.columns import NS_PER_S
from partimento.midi.performance import Performance

Floats = npt.NDArray[np.float64]

_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
_CHORD_S: Final = 0.03
_TIMES: Final = np.geomspace(0.02, 5.0, 17)
"""Edges of the bins of times, in seconds: less than a third of an octave to the bin."""
_MOST_ROUNDS: Final = 200
_LEAVES: Final = (5, 20)


def groups() -> dict[str, slice]:
    """The columns of `statistics` by group: pitch, interval, timing, velocity, pedal."""
    empty = Performance.from_notes(pitch=[], velocity=[], onset=[], duration=[])
    edges = np.cumsum([0, *(len(part(empty)) for part in _GROUPS.values())]).tolist()
    return {name: slice(edges[i], edges[i + 1]) for i, name in enumerate(_GROUPS)}


def statistics(performances: Iterable[Performance]) -> npt.NDArray[np.float32]:
    """One row for each performance, float32 [n, k]; a performance without notes gives a row of zeros."""
    rows = [np.concatenate([part(performance) for part in _GROUPS.values()]) for performance in performances]
    return np.array(rows, np.float32)


def boosted(
    x: npt.NDArray, y: npt.NDArray, validation_x: npt.NDArray, validation_y: npt.NDArray, test_x: npt.NDArray
) -> npt.NDArray[np.int64]:
    """Class numbers for the rows of `test_x`; validation rows say when to stop, and how small leaves may be."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    models = [
        HistGradientBoostingClassifier(
            max_iter=_MOST_ROUNDS,
            early_stopping=True,
            n_iter_no_change=15,
            min_samples_leaf=leaf,
            class_weight="balanced",
            random_state=0,
        ).fit(x, y, X_val=validation_x, y_val=validation_y)
        for leaf in _LEAVES
    ]
    best = max(models, key=lambda model: model.validation_score_.max())
    return np.asarray(best.predict(test_x), np.int64)


def forest(
    x: npt.NDArray, y: npt.NDArray, validation_x: npt.NDArray, validation_y: npt.NDArray, test_x: npt.NDArray
) -> npt.NDArray[np.int64]:
    """The same from extremely randomised trees, which leave nothing to choose and so learn from validation rows too."""
    from sklearn.ensemble import ExtraTreesClassifier

    model = ExtraTreesClassifier(300, min_samples_leaf=2, class_weight="balanced", random_state=0)
    model.fit(np.concatenate([x, validation_x]), np.concatenate([y, validation_y]))
    return np.asarray(model.predict(test_x), np.int64)


def _pitch(performance: Performance) -> Floats:
    """Pitch classes by count, by time and counted from the longest of them, octaves, spread."""
    pitch, weight = performance.pitch.astype(np.int64), performance.duration_seconds
    by_count, by_time = (np.bincount(pitch % 12, weights, 12) for weights in (None, weight))
    turned = np.roll(by_time, -int(by_time.argmax()))
    return np.concatenate(
        [*map(_shares, (by_count, by_time, turned)), _shares(np.bincount(pitch // 12, minlength=11)), _spread(pitch)]
    )


def _interval(performance: Performance) -> Floats:
    """Between the highest notes of successive chords, between the lowest, and within chords; in semitones."""
    first = _chord_starts(performance)
    if not len(first):
        return np.zeros(25 + 25 + 13 + 6)
    pitch = performance.pitch.astype(np.int64)
    top, bottom = np.maximum.reduceat(pitch, first), np.minimum.reduceat(pitch, first)
    lines = [np.bincount(np.clip(np.diff(line), -12, 12) + 12, minlength=25) for line in (top, bottom)]
    spans = np.bincount(np.minimum(top - bottom, 36) // 3, minlength=13)
    sizes = np.bincount(np.minimum(np.diff(np.append(first, len(pitch))), 6) - 1, minlength=6)
    return np.concatenate([_shares(count) for count in (*lines, spans, sizes)])


def _timing(performance: Performance) -> Floats:
    """Times between chords, durations as keyed and with the pedal, their ratios, density, evenness."""
    first = _chord_starts(performance)
    onset = performance.onset_seconds[first]
    between, held = np.diff(onset), performance.duration_seconds
    sounding = performance.sounding_duration() / NS_PER_S
    ratio = np.log2(np.maximum(between[1:], 1e-3) / np.maximum(between[:-1], 1e-3))
    ratios = np.bincount(np.clip(np.rint(2 * ratio) + 6, 0, 12).astype(np.int64), minlength=13)
    seconds = max(performance.seconds, 1e-3)
    overall = [len(performance) / seconds, len(first) / seconds, np.log(seconds), np.log1p(len(performance))]
    overall = (
        [*overall, float(held.sum() / seconds), float(sounding.sum() / seconds)] if len(performance) else [0.0] * 6
    )
    binned = [_shares(np.histogram(np.clip(times, 0.0201, 4.999), _TIMES)[0]) for times in (between, held, sounding)]
    return np.concatenate([*binned, _shares(ratios), overall, _spread(between), _spread(held)])


def _velocity(performance: Performance) -> Floats:
    """How loud, how varied, how much louder than the note before, and whether high notes are louder."""
    velocity = performance.velocity.astype(np.float64)
    steps = np.abs(np.diff(velocity))
    return np.concatenate([
        _shares(np.bincount(performance.velocity // 8, minlength=16)),
        _spread(velocity),
        _spread(steps),
        [_correlation(velocity, performance.pitch.astype(np.float64)), float(len(np.unique(velocity)))],
    ])  # fmt: skip


def _pedal(performance: Performance) -> Floats:
    """How much of the time it is down, how often it is pressed, for how long."""
    length = (performance.pedal_up - performance.pedal_down) / NS_PER_S
    seconds = max(performance.seconds, 1e-3)
    return np.concatenate([[min(float(length.sum()) / seconds, 1.0), len(length) / seconds], _spread(length)])


_GROUPS: Final = {"pitch": _pitch, "interval": _interval, "timing": _timing, "velocity": _velocity, "pedal": _pedal}


def _chord_starts(performance: Performance) -> npt.NDArray[np.int64]:
    """Index of each note that begins later than `_CHORD_S` after the note before it."""
    onset = performance.onset_seconds
    return np.flatnonzero(np.diff(onset, prepend=-np.inf) > _CHORD_S)


def _shares(counts: npt.NDArray) -> Floats:
    return counts / max(counts.sum(), 1e-9)


def _spread(values: npt.NDArray) -> Floats:
    """Mean, deviation and quantiles; zeros for no values."""
    if not len(values):
        return np.zeros(2 + len(_QUANTILES))
    return np.array([values.mean(), values.std(), *np.quantile(values, _QUANTILES)])


def _correlation(a: Floats, b: Floats) -> float:
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
