"""What can be measured of one performance: the numbers that filters look at.

Knows note columns, in one compiled pass each file; refuses to judge them (thresholds are `quality.py`'s). Every kind of
note is counted, drums and left-out instruments too: `piano_notes` beside `notes` says how much of it is piano.

    >>> file = read_file("nocturne.mid")                                                       # doctest: +SKIP
    >>> measure(Performance.of(file), file.onset_ticks).pitch_entropy                          # doctest: +SKIP
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from partimento.corpus.survey.clockwork import timing
from partimento.midi.instruments import INSTRUMENTS
from partimento.midi.performance import Performance

RATE_WINDOWS_S: Final = (3, 5, 10, 45)
PITCH_WINDOWS_S: Final = (30, 60, 120)
CHUNKS: Final = 5
SUBDIVISIONS: Final = 12
"""Grid points a beat: sixteenths and triplet eighths both lie on twelfths."""

_NS: Final = 1_000_000_000
_BIN_NS: Final = 10_000_000
_BINS: Final = 501
_PIANO: Final = INSTRUMENTS.index("piano")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """One performance in numbers, as docs/manifest.md explains them; all are 0 for a file without notes.

    The silence before the first note does not count, and deviations are the population's. `repetition` adds half a note
    to each of the 128 pitches, so that it is finite. `grid_share` is at the phase that suits a file best; files timed
    in SMPTE frames have 0, and clocks of fewer than 24 ticks a beat have 1, since they hold nothing but a grid. The
    last three are those of `clockwork.py`.
    """

    notes: int
    seconds: float
    notes_per_second: float
    peak_notes_per_second_3s: float
    peak_notes_per_second_5s: float
    peak_notes_per_second_10s: float
    peak_notes_per_second_45s: float
    peak_pitch_notes_per_second_3s: float
    peak_pitch_notes_per_second_5s: float
    peak_pitch_notes_per_second_10s: float
    peak_pitch_notes_per_second_45s: float
    pitch_entropy: float
    duration_entropy: float
    interval_entropy: float
    unique_pitches: int
    min_unique_pitches_30s: int
    min_unique_pitches_60s: int
    min_unique_pitches_120s: int
    longest_silence: float
    velocity_mean: float
    velocity_std: float
    repetition: float
    pedal_share: float
    instruments: tuple[str, ...]
    piano_notes: int
    grid_share: float
    unison_share: float
    legato_share: float
    pulse_clarity: float


_ARROW: Final = {"int": pa.int32(), "float": pa.float32(), "tuple[str, ...]": pa.list_(pa.string())}
COLUMNS: Final[dict[str, pa.DataType]] = {
    field.name: pa.int16() if "unique" in field.name else _ARROW[str(field.type)] for field in fields(Measurements)
}
"""Column type of each measurement in a manifest."""

_COUNTS: Final = frozenset(name for name, type_ in COLUMNS.items() if type_ == pa.int16())
_MEASURED: Final = tuple(COLUMNS)[1 : tuple(COLUMNS).index("instruments")]


def measure(performance: Performance, onset_ticks: npt.NDArray[np.int64]) -> Measurements:
    """Measure a performance; `onset_ticks` int64 [n] are its onsets on the file's metrical clock."""
    release = performance.onset + performance.duration
    numbers = _measure(
        performance.onset,
        release,
        performance.sounding_duration(),
        performance.pitch,
        performance.velocity,
        performance.pedal_down,
        performance.pedal_up,
    )
    unison, legato, pulse = timing(performance.onset, release)
    found = np.bincount(performance.instrument, minlength=len(INSTRUMENTS))
    values = {
        name: int(value) if name in _COUNTS else value for name, value in zip(_MEASURED, numbers.tolist(), strict=True)
    }
    return Measurements(
        notes=len(performance),
        instruments=tuple(name for name, count in zip(INSTRUMENTS, found, strict=True) if count),
        piano_notes=int(found[_PIANO]),
        grid_share=float(_grid_share(onset_ticks, performance.source.ticks_per_beat)),
        unison_share=float(unison),
        legato_share=float(legato),
        pulse_clarity=float(pulse),
        **values,
    )


@njit(cache=True)
def _measure(onset, release, sounding, pitch, velocity, pedal_down, pedal_up):
    """The numbers between `notes` and `instruments`, in the order of the fields: float64 [22]."""
    n = len(onset)
    out = np.zeros(22)
    if n == 0:
        return out
    first, end = onset[0], release.max()
    span = end - first
    out[0] = span / _NS
    out[1] = n / out[0]
    pitches = np.bincount(pitch, minlength=128)
    by_pitch = _onsets_by_pitch(onset, pitch, pitches)
    for k in range(len(RATE_WINDOWS_S)):
        window = RATE_WINDOWS_S[k] * _NS
        out[2 + k] = _most_in_window(onset, window) / RATE_WINDOWS_S[k]
        out[6 + k] = _most_of_one_pitch(by_pitch, pitches, window) / RATE_WINDOWS_S[k]
    out[10] = _entropy(pitches)
    out[11] = _entropy(_histogram(sounding))
    out[12] = _entropy(_histogram(onset[1:] - onset[:-1]))
    out[13] = np.count_nonzero(pitches)
    for k in range(len(PITCH_WINDOWS_S)):
        out[14 + k] = _fewest_pitches(onset, pitch, end, PITCH_WINDOWS_S[k] * _NS)
    out[17] = _longest_silence(onset, sounding) / _NS
    out[18] = velocity.mean()
    out[19] = np.sqrt(np.mean((velocity - out[18]) ** 2))
    out[20] = _repetition(pitch)
    out[21] = _covered(pedal_down, pedal_up, first, end) / span
    return out


@njit(cache=True)
def _most_in_window(onset, window):
    most = 0
    oldest = 0
    for newest in range(len(onset)):
        while onset[newest] - onset[oldest] >= window:
            oldest += 1
        most = max(most, newest - oldest + 1)
    return most


@njit(cache=True)
def _onsets_by_pitch(onset, pitch, pitches):
    """The onsets of the lowest pitch, then of the next ..., each in time order; `pitches` counts them."""
    place = np.cumsum(pitches) - pitches
    grouped = np.empty(len(onset), np.int64)
    for i in range(len(onset)):
        grouped[place[pitch[i]]] = onset[i]
        place[pitch[i]] += 1
    return grouped


@njit(cache=True)
def _most_of_one_pitch(by_pitch, pitches, window):
    most = 0
    first = 0
    for count in pitches:
        if count > most:
            most = max(most, _most_in_window(by_pitch[first : first + count], window))
        first += count
    return most


@njit(cache=True)
def _histogram(durations):
    counts = np.zeros(_BINS, np.int64)
    for duration in durations:
        counts[min((duration + _BIN_NS // 2) // _BIN_NS, _BINS - 1)] += 1
    return counts


@njit(cache=True)
def _entropy(counts):
    total = counts.sum()
    bits = 0.0
    for count in counts:
        if count > 0:
            bits -= count / total * np.log2(count / total)
    return bits


@njit(cache=True)
def _fewest_pitches(onset, pitch, end, window):
    """As a window slides, it loses pitches only when it passes an onset: those moments and the start are looked at."""
    held = np.zeros(128, np.int64)
    unique = 0
    ahead = 0
    fewest = 128
    latest_start = max(end - window, onset[0])
    for passed in range(len(onset) + 1):
        start = onset[0]
        if passed > 0:
            start = onset[passed - 1] + 1
            held[pitch[passed - 1]] -= 1
            if held[pitch[passed - 1]] == 0:
                unique -= 1
        if start > latest_start:
            break
        while ahead < len(onset) and (onset[ahead] < start + window or end - onset[0] <= window):
            if held[pitch[ahead]] == 0:
                unique += 1
            held[pitch[ahead]] += 1
            ahead += 1
        if passed == 0 or passed == len(onset) or onset[passed] >= start:
            fewest = min(fewest, unique)
    return fewest


@njit(cache=True)
def _longest_silence(onset, sounding):
    longest = np.int64(0)
    sounds_until = onset[0]
    for i in range(len(onset)):
        longest = max(longest, onset[i] - sounds_until)
        sounds_until = max(sounds_until, onset[i] + sounding[i])
    return longest


@njit(cache=True)
def _repetition(pitch):
    n = len(pitch)
    share = np.empty((CHUNKS, 128))
    for chunk in range(CHUNKS):
        first, last = chunk * n // CHUNKS, (chunk + 1) * n // CHUNKS
        share[chunk] = 0.5
        for i in range(first, last):
            share[chunk, pitch[i]] += 1
        share[chunk] /= last - first + 64
    bits = np.log2(share)
    largest = 0.0
    for one in range(CHUNKS):
        for other in range(CHUNKS):
            largest = max(largest, np.sum(share[one] * (bits[one] - bits[other])))
    return largest


@njit(cache=True)
def _covered(down, up, first, end):
    """Length of the union of intervals, sorted by start, inside first..end."""
    covered = np.int64(0)
    reached = first
    for i in range(len(down)):
        start, stop = max(down[i], reached), min(up[i], end)
        if stop > start:
            covered += stop - start
            reached = stop
    return covered


@njit(cache=True)
def _grid_share(ticks, ticks_per_beat):
    """Distance from the grid below one tick counts as on it: sequencers round what does not divide."""
    n = len(ticks)
    if n == 0 or ticks_per_beat == 0:
        return 0.0
    # A grid step is ticks_per_beat twelfths of a tick: positions are counted in these, around the circle of one step.
    reach = SUBDIVISIONS - 1
    size = ticks_per_beat
    if size < 2 * SUBDIVISIONS:
        return 1.0
    counts = np.zeros(size, np.int64)
    for tick in ticks:
        counts[tick * SUBDIVISIONS % size] += 1
    before = np.zeros(size + 2 * reach + 1, np.int64)
    for i in range(size + 2 * reach):
        before[i + 1] = before[i] + counts[(i - reach) % size]
    most = 0
    for phase in range(size):
        if counts[phase] > 0:
            most = max(most, before[phase + 2 * reach + 1] - before[phase])
    return most / n
