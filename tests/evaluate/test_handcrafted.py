"""Statistics that are counted by hand, and trees that use them."""

import numpy as np
import pytest

from partimento.evaluate.handcrafted import boosted, forest, groups, statistics
from partimento.midi.performance import Performance


def playing(seed, transpose=0, velocity=64, n=120):
    rng = np.random.default_rng(seed)
    return Performance.from_notes(
        pitch=rng.integers(48, 72, n) + transpose,
        velocity=np.clip(rng.normal(velocity, 8, n), 1, 127).astype(int),
        onset=np.cumsum(rng.choice([0.0, 0.2, 0.4], n)),
        duration=rng.uniform(0.1, 0.8, n),
        pedal=[(0.5, 2.5)],
    )


def test_groups_cover_every_column_once():
    columns = np.concatenate([np.arange(columns.start, columns.stop) for columns in groups().values()])
    (row,) = statistics([playing(1)])
    assert columns.tolist() == list(range(len(row)))
    assert np.isfinite(row).all()


def test_pitch_classes_and_intervals_are_shares():
    c_major = Performance.from_notes(pitch=[60, 64, 67, 72], velocity=[60] * 4, onset=range(4), duration=[0.5] * 4)
    (row,) = statistics([c_major])
    by_count = row[groups()["pitch"]][:12]
    assert by_count[[0, 4, 7]].tolist() == [0.5, 0.25, 0.25] and by_count.sum() == 1
    top = row[groups()["interval"]][:25]
    assert {int(i) - 12: share for i, share in enumerate(top) if share} == pytest.approx({4: 1 / 3, 3: 1 / 3, 5: 1 / 3})


def test_each_group_knows_its_own_and_no_other():
    plain = statistics([playing(1)])[0]
    for changed, group in ((playing(1).change_velocity(20), "velocity"), (playing(1).transpose(5), "pitch")):
        (row,) = statistics([changed])
        differing = {name for name, part in groups().items() if not np.allclose(row[part], plain[part], atol=1e-5)}
        # How loud high notes are is a matter of both.
        assert differing == {group}


def test_files_with_next_to_nothing_in_them_give_numbers():
    none = Performance.from_notes(pitch=[], velocity=[], onset=[], duration=[])
    one = Performance.from_notes(pitch=[60], velocity=[60], onset=[1.0], duration=[1.0])
    rows = statistics([none, one])
    assert np.isfinite(rows).all() and not rows[0][groups()["pitch"]].any()


def test_trees_tell_loud_from_soft():
    def rows(seeds):
        y = np.array([seed % 2 for seed in seeds])
        return statistics(
            playing(seed, velocity=50 + 25 * int(is_loud)) for seed, is_loud in zip(seeds, y, strict=True)
        ), y

    (x, y), (val_x, val_y), (test_x, test_y) = rows(range(80)), rows(range(80, 100)), rows(range(100, 140))
    for trees in (boosted, forest):
        assert (trees(x, y, val_x, val_y, test_x) == test_y).mean() > 0.95
