"""What the compiled code makes of ticks, where a file cannot show it plainly; test_reader.py has the rest."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.midi.resolve import stable_order


@settings(max_examples=200)
@given(st.lists(st.lists(st.integers(0, 60), max_size=40).map(sorted), max_size=9), st.randoms(use_true_random=False))
def test_tracks_one_behind_the_other_are_sorted_stably(tracks: list[list[int]], random):
    keys = np.array([tick for track in tracks for tick in track], np.int64)
    for _ in range(random.randrange(6)):  # releases of a chord stand in any order
        if len(keys):
            i, j = random.randrange(len(keys)), random.randrange(len(keys))
            keys[i], keys[j] = keys[j], keys[i]
    np.testing.assert_array_equal(stable_order(keys), np.argsort(keys, kind="stable"))


def test_order_that_is_made_to_be_slow_is_still_found():
    n = 200_000
    for keys in (np.arange(n)[::-1].copy(), np.arange(n) % 11, np.arange(n) ^ 8, np.zeros(n, np.int64)):
        np.testing.assert_array_equal(stable_order(keys), np.argsort(keys, kind="stable"))
