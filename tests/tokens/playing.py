"""Random performances as hypothesis strategies."""

import numpy as np
from hypothesis import strategies as st

from partimento.midi.performance import Performance

PROGRAMS = ((0, 0), (1, 40), (2, 73))


def _performance(rows: list[tuple[int, int, int, int, int]]) -> Performance:
    gaps, durations, pitches, velocities, channels = np.array(rows, np.int64).reshape(-1, 5).T
    return Performance.from_notes(
        pitch=pitches,
        velocity=velocities,
        onset=np.cumsum(gaps) / 10_000,
        duration=durations / 10_000,
        channel=channels,
        programs=PROGRAMS if channels.any() else ((0, 0),),
    )


def _rows(channels: st.SearchStrategy[int], pitches: st.SearchStrategy[int]) -> st.SearchStrategy:
    gap = st.one_of(st.just(0), st.integers(0, 3000), st.integers(0, 150_000))
    return st.lists(st.tuples(gap, st.integers(5, 80_000), pitches, st.integers(1, 127), channels), max_size=25)


def performances() -> st.SearchStrategy[Performance]:
    """Piano, strings, pipe and drums that the vocabulary can say; times of 0.1 ms, no pedal."""
    return _rows(st.sampled_from([0, 1, 2, 9]), st.integers(35, 81)).map(_performance)


def piano() -> st.SearchStrategy[Performance]:
    """Piano over the whole keyboard; times of 0.1 ms, no pedal."""
    return _rows(st.just(0), st.integers(0, 127)).map(_performance)
