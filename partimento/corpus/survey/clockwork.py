"""How much like a machine notes are timed: chords struck at once, keys let go as the next is struck, an even pulse.

Knows onsets and releases alone, so that it sees a sequencer behind any clock and any tempo map; refuses to know beats
(`measurements.py` has the share on a written grid) and to judge (`quality.py`).

    >>> second = 1_000_000_000
    >>> onset = np.arange(64, dtype=np.int64) * second // 4
    >>> timing(onset, onset + second // 4)
    (0.0, 0.984375, 1.0)

Sources: a pulse is found as the period whose multiples the onsets lie nearest to, by the length of their mean vector on
the circle of that period (Rayleigh's statistic, maximised over periods).
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

CHORD_NS: Final = 35_000_000
"""Notes that begin so soon after a chord's first are of the chord."""
AT_ONCE_NS: Final = 1_000_000
LEGATO_NS: Final = 6_000_000
_MOST_AHEAD: Final = 128
"""A key that is still down after so many later notes is not let go for one of them."""
_LEAST_PAIRS: Final = 10
_ENOUGH_NOTES: Final = 1000
"""Of so many releases, spread evenly, a share is known well enough."""

STRETCH: Final = 16
"""Onsets, chords counted once, of a stretch in which the tempo hardly moves."""
_MOST_STRETCHES: Final = 9
_SLOWEST: Final = 0.9
_STEP: Final = 0.025
_FREQUENCIES: Final = 125
"""Periods are looked for from a little more than the mean interval of a stretch to a fourth of it: 0.9 to 4 periods an
interval, with which the stretch has 0.4 of a period more each time."""

Times = npt.NDArray[np.int64]


@njit(cache=True)
def timing(onset: Times, release: Times) -> tuple[float, float, float]:
    """Share of chords' notes struck at once, share of exact legato, clarity of the pulse; each from 0 to 1.

    `onset` and `release`: int64 [n] of n notes in the order of onsets, in nanoseconds.
    """
    return _unison(onset), _legato(onset, release), _pulse(_chords(onset))


@njit(cache=True)
def _unison(onset):
    """Of the notes within a chord's time of the one before, those at once after it (of ten where there are fewer)."""
    near = 0
    at_once = 0
    for i in range(1, len(onset)):
        gap = onset[i] - onset[i - 1]
        near += gap < CHORD_NS
        at_once += gap < AT_ONCE_NS
    return at_once / max(near, _LEAST_PAIRS)


@njit(cache=True)
def _legato(onset, release):
    """Of all notes, or in a long file of every other one, every third ..., those that end as a later one begins."""
    n = len(onset)
    every = 1 + n // _ENOUGH_NOTES
    exact = 0
    for i in range(0, n, every):
        earliest, latest = release[i] - LEGATO_NS, release[i] + LEGATO_NS
        for j in range(i + 1, min(i + 1 + _MOST_AHEAD, n)):
            if onset[j] >= earliest:
                exact += onset[j] <= latest
                break
    return exact / max(-(-n // every), 1)


@njit(cache=True)
def _chords(onset):
    """When each chord begins, the mean of its notes: float64 [chords] in nanoseconds."""
    mean = np.empty(len(onset))
    chords = 0
    i = 0
    while i < len(onset):
        first = i
        late = np.int64(0)
        while i < len(onset) and onset[i] - onset[first] < CHORD_NS:
            late += onset[i] - onset[first]
            i += 1
        mean[chords] = onset[first] + late / (i - first)
        chords += 1
    return mean[:chords]


@njit(cache=True)
def _pulse(chords):
    """Upper quartile over stretches, spread evenly, of the longest mean vector; 0 where not one is full."""
    stretches = min(_MOST_STRETCHES, len(chords) // STRETCH)
    if stretches == 0:
        return 0.0
    longest = np.empty(stretches)
    for s in range(stretches):
        first = (len(chords) - STRETCH) * s // max(stretches - 1, 1)
        longest[s] = _longest_vector(chords[first : first + STRETCH])
    longest.sort()
    return longest[3 * stretches // 4]


@njit(cache=True)
def _longest_vector(at):
    """Length of the mean vector of the times `at` on the circle of the period for which it is longest."""
    middle, interval = (at[0] + at[-1]) / 2, (at[-1] - at[0]) / (STRETCH - 1)
    real, imaginary = np.empty(STRETCH), np.empty(STRETCH)
    turn_real, turn_imaginary = np.empty(STRETCH), np.empty(STRETCH)
    for i in range(STRETCH):
        angle = 2 * np.pi * (at[i] - middle) / interval
        real[i], imaginary[i] = np.cos(_SLOWEST * angle), np.sin(_SLOWEST * angle)
        turn_real[i], turn_imaginary[i] = np.cos(_STEP * angle), np.sin(_STEP * angle)
    longest = 0.0
    for _ in range(_FREQUENCIES):
        x = 0.0
        y = 0.0
        for i in range(STRETCH):
            x += real[i]
            y += imaginary[i]
            turned = real[i] * turn_real[i] - imaginary[i] * turn_imaginary[i]
            imaginary[i] = real[i] * turn_imaginary[i] + imaginary[i] * turn_real[i]
            real[i] = turned
        longest = max(longest, x * x + y * y)
    return np.sqrt(longest) / STRETCH
