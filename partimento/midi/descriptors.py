"""What a stretch of piano music is like, in numbers: density, durations, pulse, pitch classes, key, repetition.

It only counts notes; it knows neither models nor what is good. Sampling ranks candidates by these numbers, and
evaluation compares continuations by them.

    >>> from partimento import Performance
    >>> scale = Performance.from_notes(pitch=[60, 62, 64, 65], velocity=[64] * 4, onset=[0, 1, 2, 3], duration=[1] * 4)
    >>> stretch = Stretch.of(scale, 0.0, 4.0)
    >>> stretch.density, stretch.median_duration, stretch.silence
    (1.0, 1.0, 0.0)

Shape legend: N notes, C the twelve pitch classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from partimento.midi.columns import NS_PER_S
from partimento.midi.performance import Performance

Floats = NDArray[np.float64]

FIGURE_NOTES: Final = 6
"""Notes of the figures whose repetition is counted."""
PULSE_SECONDS: Final = (0.2, 2.0)
"""Shortest and longest period of a pulse: 300 to 30 beats a minute."""
_BINS_PER_S: Final = 50
_LEAST_FOR_PULSE: Final = 8

# Probe-tone profiles: C. Krumhansl and E. Kessler, "Tracing the dynamic changes in perceived tonal organization", 1982.
_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
_PROFILES = np.array([np.roll(mode, tonic) for mode in (_MAJOR, _MINOR) for tonic in range(12)])
_PROFILES -= _PROFILES.mean(axis=1, keepdims=True)
_PROFILES /= np.linalg.norm(_PROFILES, axis=1, keepdims=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The notes [N] that begin in [start, end) seconds, by onset; durations are sounding ones, pedal included."""

    start: float
    end: float
    onset: Floats
    duration: Floats
    pitch: NDArray[np.int64]
    velocity: NDArray[np.int64]

    @classmethod
    def of(cls, performance: Performance, start: float, end: float) -> Self:
        """The stretch of a performance between two times in seconds."""
        inside = (performance.onset >= round(start * NS_PER_S)) & (performance.onset < round(end * NS_PER_S))
        return cls(
            start=start,
            end=end,
            onset=performance.onset[inside] / NS_PER_S,
            duration=performance.sounding_duration()[inside] / NS_PER_S,
            pitch=performance.pitch[inside].astype(np.int64),
            velocity=performance.velocity[inside].astype(np.int64),
        )

    def __len__(self) -> int:
        return len(self.onset)

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return self.end - self.start

    @property
    def density(self) -> float:
        """Notes that begin per second."""
        return len(self) / self.seconds

    @property
    def median_duration(self) -> float:
        """Seconds that half of the notes sound longer than; NaN without notes."""
        return float(np.median(self.duration)) if len(self) else float("nan")

    @property
    def mean_velocity(self) -> float:
        """Loudness as MIDI says it, 1 to 127; NaN without notes."""
        return float(self.velocity.mean()) if len(self) else float("nan")

    @property
    def polyphony(self) -> float:
        """How many of these notes sound at a time, on average over the stretch."""
        return float((np.minimum(self.onset + self.duration, self.end) - self.onset).sum()) / self.seconds

    @property
    def silence(self) -> float:
        """Share of the time in which none of these notes sounds."""
        if not len(self):
            return 1.0
        reach = np.maximum.accumulate(self.onset + self.duration)
        gaps = np.concatenate([[self.onset[0] - self.start], self.onset[1:] - reach[:-1], [self.end - reach[-1]]])
        return float(np.maximum(gaps, 0).sum()) / self.seconds

    @property
    def pulse(self) -> float:
        """Highest autocorrelation, up to 1, of the onsets at lags of 0.2 to 2 s; 0 for fewer than 8 notes."""
        if len(self) < _LEAST_FOR_PULSE:
            return 0.0
        bins = np.zeros(max(1, int(self.seconds * _BINS_PER_S)))
        np.add.at(bins, np.minimum(((self.onset - self.start) * _BINS_PER_S).astype(int), len(bins) - 1), 1)
        bins -= bins.mean()
        shortest, longest = (int(s * _BINS_PER_S) for s in PULSE_SECONDS)
        lags = range(shortest, min(longest, len(bins) - 1) + 1)
        power = float(bins @ bins)
        return max((float(bins[lag:] @ bins[:-lag]) / power for lag in lags), default=0.0) if power else 0.0

    @property
    def distinct_pitches(self) -> int:
        """How many different keys are struck."""
        return len(np.unique(self.pitch))

    @property
    def pitch_classes(self) -> Floats:
        """How often each pitch class [C] is struck, as a vector of length 1 (zeros without notes)."""
        counts_C = np.bincount(self.pitch % 12, minlength=12).astype(float)
        length = float(np.linalg.norm(counts_C))
        return counts_C / length if length else counts_C

    @property
    def key_fits(self) -> Floats:
        """Correlation of the pitch classes with the profile of each key [24]: 0 to 11 major from C up, then minor."""
        centred_C = self.pitch_classes - self.pitch_classes.mean()
        length = float(np.linalg.norm(centred_C))
        return _PROFILES @ centred_C / length if length else np.zeros(len(_PROFILES))

    @property
    def key(self) -> int:
        """The key that fits best: 0 to 11 major from C up, 12 to 23 minor."""
        return int(np.argmax(self.key_fits))

    @property
    def repetition(self) -> float:
        """Share of the figures of six successive pitches that occurred in the stretch before; 0 for fewer notes."""
        figures = [tuple(self.pitch[i : i + FIGURE_NOTES].tolist()) for i in range(len(self) - FIGURE_NOTES + 1)]
        return 1 - len(set(figures)) / len(figures) if figures else 0.0

    @property
    def densest(self) -> int:
        """Most notes that begin within 50 ms."""
        if not len(self):
            return 0
        return int((np.searchsorted(self.onset, self.onset + 0.05, side="left") - np.arange(len(self))).max())
