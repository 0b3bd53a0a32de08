"""Machines are told from hands by the notes alone, and each measure is its definition, followed slowly."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.corpus.selection.recipes import selection_recipe
from partimento.corpus.survey.clockwork import CHORD_NS, timing
from partimento.corpus.survey.measurements import measure
from partimento.midi.performance import Performance
from partimento.midi.reader import read

MS = 1_000_000


def slowly(onset: list[int], release: list[int]) -> tuple[float, float, float]:
    n = len(onset)
    gaps = [b - a for a, b in pairwise(onset)]
    near = [gap for gap in gaps if gap < 35 * MS]
    unison = sum(gap < MS for gap in near) / max(len(near), 10)
    asked = range(0, n, 1 + n // 1000)
    legato = 0
    for i in asked:
        later = [at for at in onset[i + 1 : i + 129] if at >= release[i] - 6 * MS]
        legato += bool(later) and later[0] <= release[i] + 6 * MS
    chords: list[list[int]] = []
    for at in onset:
        if chords and at - chords[-1][0] < CHORD_NS:
            chords[-1].append(at)
        else:
            chords.append([at])
    middle = np.array([sum(chord) / len(chord) for chord in chords])
    stretches = min(9, len(middle) // 16)
    lengths = []
    for s in range(stretches):
        at = middle[(len(middle) - 16) * s // max(stretches - 1, 1) :][:16]
        interval = (at[-1] - at[0]) / 15
        periods = interval / np.linspace(0.9, 4.0, 125)
        lengths.append(np.abs(np.exp(2j * np.pi * (at - at[0])[:, None] / periods).mean(axis=0)).max())
    return unison, legato / max(len(asked), 1), sorted(lengths)[3 * stretches // 4] if stretches else 0.0


@st.composite
def notes(draw) -> tuple[list[int], list[int]]:
    n = draw(st.sampled_from([0, 1, 5, 40, 150, 1200]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    gaps = rng.choice([0, 1, MS - 1, MS, 20 * MS, 35 * MS - 1, 35 * MS, 100 * MS, 260 * MS, 3000 * MS], n)
    onset = np.cumsum(gaps)
    release = onset + rng.choice([1, MS, 94 * MS, 100 * MS, 106 * MS, 200 * MS, 9000 * MS], n)
    return onset.tolist(), release.tolist()


@settings(max_examples=50)
@given(notes())
def test_the_measures_are_their_definitions(drawn):
    onset, release = drawn
    assert timing(np.array(onset, np.int64), np.array(release, np.int64)) == pytest.approx(slowly(onset, release))


@pytest.mark.parametrize("tempo", [0.31, 1.0, 2.7])
def test_the_pulse_is_found_at_any_tempo(tempo):
    """A normal error of s turns on the circle of the right period leaves a mean vector of exp(-(2 pi s)^2 / 2)."""
    rng = np.random.default_rng(1)
    steps = np.cumsum(rng.choice([1, 1, 1, 2], 800))

    def clarity(error: float) -> float:
        onset = np.sort(np.round((steps + rng.normal(0, error, 800)) * 250e6 / tempo).astype(np.int64))
        return timing(onset, onset + MS)[2]

    assert clarity(0.0) > 0.96
    assert clarity(0.05) == pytest.approx(np.exp(-((2 * np.pi * 0.05) ** 2) / 2), abs=0.03)
    assert clarity(0.2) < 0.8


def sequenced(rng: np.random.Generator, bars: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Onsets and releases in s, and pitches: a tune in eighths and quarters over chords, a new tempo every 6 bars."""
    rows, bar_begins, eighth = [], 0.0, 0.0
    for bar in range(bars):
        eighth = 0.25 * rng.uniform(0.9, 1.1) if bar % 6 == 0 else eighth
        at = 0
        while at < 8:
            length = int(rng.choice([1, 1, 2]))
            rows.append((bar_begins + at * eighth, bar_begins + (at + length) * eighth, 72 + rng.integers(12)))
            at += length
        rows += [(bar_begins + half * eighth, bar_begins + (half + 4) * eighth, pitch) for half in (0, 4)
                 for pitch in (48, 52, 55)]  # fmt: skip
        bar_begins += 8 * eighth
    onset, release, pitch = np.array(rows).T
    return onset, release, pitch.astype(int)


def taken(onset, release, pitch, rng) -> set[str]:
    """The filters of timing, but for the written grid, that take this file once it is written and read again."""
    order = np.argsort(onset, kind="stable")
    duration = np.maximum(release - onset, 0.02)[order]
    velocity = rng.integers(40, 100, len(onset))
    made = Performance.from_notes(onset=onset[order], duration=duration, pitch=pitch[order], velocity=velocity)
    reading = read(made.to_midi())  # the writer's clock is constant and knows no bars
    found = measure(Performance.of(reading), reading.onset_ticks)
    bounds = selection_recipe("finetune").filters
    assert found.grid_share < bounds["synthesised"]
    columns = {"too-together": found.unison_share, "too-legato": found.legato_share, "too-even": found.pulse_clarity}
    return {name for name, value in columns.items() if value > bounds[name]}


@pytest.mark.parametrize("seed", range(3))
def test_a_sequencer_is_seen_on_another_clock_and_through_jitter_and_hands_are_not_taken_for_one(seed):
    rng = np.random.default_rng(seed)
    onset, release, pitch = sequenced(rng)
    assert taken(onset, release, pitch, rng) == {"too-together", "too-legato", "too-even"}

    def jittered(seconds: float) -> tuple[np.ndarray, np.ndarray]:
        return tuple(np.maximum(times + rng.normal(0, seconds, len(times)), 0) for times in (onset, release))

    assert taken(*jittered(0.005), pitch, rng) >= {"too-even"}
    late, long = jittered(0.03)
    assert taken(late, long + rng.uniform(-0.1, 0.1, len(long)), pitch, rng) == set()
    steps = [np.round(times, 2) for times in (late, long)]  # a transcriber's clock of 10 ms
    assert taken(*steps, pitch, rng) == set()
