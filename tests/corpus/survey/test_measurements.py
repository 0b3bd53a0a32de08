"""Every measurement equals what its definition gives when it is followed word by word, slowly."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import permutations
from math import log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.corpus.survey.measurements import COLUMNS, PITCH_WINDOWS_S, RATE_WINDOWS_S, Measurements, measure
from partimento.midi.instruments import INSTRUMENTS
from partimento.midi.performance import Performance
from partimento.midi.reader import read

NS = 1_000_000_000


@st.composite
def performances(draw) -> Performance:
    """Up to 60 notes with gaps from nothing to longer than the longest window, chords, few pitches, pedal."""
    n = draw(st.integers(1, 60))
    gaps = draw(st.lists(st.sampled_from([0, 1, 30, 250, 1000, 2999, 3000, 20_000, 60_000]), min_size=n, max_size=n))
    of = {"min_size": n, "max_size": n}
    edges = sorted(draw(st.sets(st.integers(0, 200_000), max_size=8)))
    even = len(edges) // 2 * 2
    return Performance.from_notes(
        onset=(np.cumsum(gaps) + draw(st.integers(0, 5000))) / 1000,
        duration=np.array(draw(st.lists(st.integers(1, 9000), **of))) / 1000,
        pitch=draw(st.lists(st.integers(58, 64), **of)),
        velocity=draw(st.lists(st.integers(1, 127), **of)),
        channel=draw(st.lists(st.sampled_from([0, 1, 9]), **of)),
        programs=((0, 0), (1, 40)),
        pedal=[(a / 1000, b / 1000) for a, b in zip(edges[:even:2], edges[1:even:2], strict=True)],
    )


def measured(performance: Performance) -> Measurements:
    return measure(performance, np.zeros(len(performance), np.int64))


def entropy(values) -> float:
    counts = Counter(values)
    return -sum(c / len(values) * log2(c / len(values)) for c in counts.values()) if counts else 0.0


def binned(nanoseconds) -> list[int]:
    return [min((int(t) + 5_000_000) // 10_000_000, 500) for t in nanoseconds]


@settings(max_examples=80)
@given(performances())
def test_numbers_of_the_whole_file(p):
    m = measured(p)
    onset, pitch, velocity = p.onset.tolist(), p.pitch.tolist(), p.velocity.tolist()
    end = max(o + d for o, d in zip(onset, p.duration.tolist(), strict=True))
    assert m.notes == len(p)
    assert m.seconds == pytest.approx((end - onset[0]) / NS)
    assert m.notes_per_second == pytest.approx(len(p) / m.seconds)
    assert m.unique_pitches == len(set(pitch))
    assert m.pitch_entropy == pytest.approx(entropy(pitch), abs=1e-9)
    assert m.duration_entropy == pytest.approx(entropy(binned(p.sounding_duration())), abs=1e-9)
    assert m.interval_entropy == pytest.approx(entropy(binned(np.diff(onset))), abs=1e-9)
    mean = sum(velocity) / len(velocity)
    assert m.velocity_mean == pytest.approx(mean)
    assert m.velocity_std == pytest.approx((sum((v - mean) ** 2 for v in velocity) / len(velocity)) ** 0.5, abs=1e-9)
    classes = {INSTRUMENTS[i] for i in p.instrument}
    assert set(m.instruments) == classes and list(m.instruments) == sorted(classes, key=INSTRUMENTS.index)
    assert m.piano_notes == sum(INSTRUMENTS[i] == "piano" for i in p.instrument)


@settings(max_examples=80)
@given(performances())
def test_the_busiest_windows(p):
    m = measured(p)
    for seconds in RATE_WINDOWS_S:
        inside = [(p.onset >= start) & (p.onset < start + seconds * NS) for start in p.onset]
        most = max(int(w.sum()) for w in inside)
        most_of_one = max(max(Counter(p.pitch[w].tolist()).values()) for w in inside)
        assert getattr(m, f"peak_notes_per_second_{seconds}s") == pytest.approx(most / seconds)
        assert getattr(m, f"peak_pitch_notes_per_second_{seconds}s") == pytest.approx(most_of_one / seconds)


@settings(max_examples=80)
@given(performances())
def test_the_poorest_windows(p):
    """Windows are tried wherever their contents can change: at, just after, and ending just after every onset."""
    m = measured(p)
    first, end = int(p.onset[0]), int((p.onset + p.duration).max())
    for seconds in PITCH_WINDOWS_S:
        length = seconds * NS
        starts = {first, end - length, *(int(o) + d - e for o in p.onset for d in (-1, 0, 1) for e in (0, length))}
        possible = [s for s in starts if first <= s <= end - length]
        windows = [p.pitch[(p.onset >= s) & (p.onset < s + length)] for s in possible] or [p.pitch]
        assert getattr(m, f"min_unique_pitches_{seconds}s") == min(len(set(w.tolist())) for w in windows)


@settings(max_examples=60)
@given(performances())
def test_silence_and_pedal_millisecond_by_millisecond(p):
    m = measured(p)
    first, end = int(p.onset[0]) // 1_000_000, int((p.onset + p.duration).max()) // 1_000_000
    sounds = np.zeros(end + 400_000, np.bool_)
    for onset, duration in zip(p.onset // 1_000_000, p.sounding_duration() // 1_000_000, strict=True):
        sounds[onset : onset + duration] = True
    heard = np.flatnonzero(sounds)
    assert m.longest_silence == pytest.approx((np.diff(heard).max(initial=1) - 1) / 1000)
    pedal = np.zeros(end, np.bool_)
    for down, up in zip(p.pedal_down // 1_000_000, p.pedal_up // 1_000_000, strict=True):
        pedal[down:up] = True
    assert m.pedal_share == pytest.approx(pedal[first:].mean(), abs=1e-9)


@settings(max_examples=60)
@given(performances())
def test_repetition_is_the_largest_divergence_between_fifths(p):
    n = len(p)
    chunks = [p.pitch[k * n // 5 : (k + 1) * n // 5].tolist() for k in range(5)]
    shares = [[(Counter(c)[pitch] + 0.5) / (len(c) + 64) for pitch in range(128)] for c in chunks]
    largest = max(
        sum(a * log2(a / b) for a, b in zip(one, other, strict=True)) for one, other in permutations(shares, 2)
    )
    assert measured(p).repetition == pytest.approx(largest, abs=1e-9)


def test_a_loop_repeats_and_a_journey_does_not():
    seconds = np.arange(1000) / 4
    loop = Performance.from_notes(onset=seconds, duration=0.2, velocity=60, pitch=60 + np.arange(1000) % 7)
    journey = Performance.from_notes(onset=seconds, duration=0.2, velocity=60, pitch=30 + np.arange(1000) // 15)
    assert measured(loop).repetition < 0.05 and measured(journey).repetition > 1


def test_a_file_without_notes_is_all_zeros():
    p = Performance.from_notes(onset=[], duration=[], pitch=[], velocity=[])
    assert measured(p) == Measurements(**{name: () if name == "instruments" else 0 for name in COLUMNS})


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=40), st.sampled_from([0, 13, 24, 96, 100, 480, 500, 960]))
def test_the_grid_share_by_its_definition(ticks, ticks_per_beat):
    """Two onsets stand on one grid if their distance is within a tick of a multiple of a twelfth of a beat."""
    p = Performance.from_notes(onset=np.zeros(len(ticks)), duration=1, pitch=60, velocity=60)
    p = replace(p, source=replace(p.source, ticks_per_beat=ticks_per_beat))
    share = measure(p, np.array(sorted(ticks), np.int64)).grid_share
    if ticks_per_beat == 0:
        assert share == 0
        return
    step = ticks_per_beat / 12

    def near(a: int, b: int) -> bool:
        off = (a - b) / step
        return abs(off - round(off)) * step < 1 - 1e-9

    best = max(sum(near(tick, phase) for tick in ticks) for phase in ticks)
    assert share == pytest.approx(1 if ticks_per_beat < 24 else best / len(ticks))


@pytest.mark.parametrize("phase", [0, 0.037])
def test_scores_lie_on_a_grid_and_hands_do_not(phase):
    rng = np.random.default_rng(5)
    beats = np.sort(rng.integers(0, 4000, 600)) / 12
    played = {"duration": 0.1, "pitch": rng.integers(30, 90, 600), "velocity": 60}

    def share(onset) -> float:
        reading = read(Performance.from_notes(onset=onset, **played).to_midi())
        return measure(Performance.of(reading), reading.onset_ticks).grid_share

    assert share(beats * 0.5 + phase) > 0.99
    assert share(np.maximum(beats * 0.5 + rng.normal(0, 0.02, 600), 0)) < 0.2
