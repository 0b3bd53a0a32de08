"""A data set for PyTorch gives the rows of the loader behind it, whoever makes them, and goes on where it stood."""

import json
from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from partimento import StoreDataset
from partimento.corpus.loaders.examples import LabelledLoader, ViewPairLoader
from partimento.corpus.loaders.packed import PackedLoader
from partimento.corpus.loaders.sequences import StretchLoader
from partimento.corpus.store.note_store import NoteStore
from partimento.errors import UserError
from partimento.tokens.vocabulary import Vocabulary
from tests.corpus.playable import noise, store_of
from tests.programs import run

V = Vocabulary.piano()
LABELS = {f"{i:02}.mid": {"split": "train", "composer": ("bach", "liszt")[i % 2]} for i in range(4)}
ROWS = {"length": 48, "batch": 4, "seed": 3}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return store_of(tmp_path_factory.mktemp("corpus"), [noise(i, 60 + 25 * i) for i in range(4)], LABELS).path


def turns_of(path, count, *, rank=0, world=1, loader=PackedLoader, **more):
    """Rows as the loader itself makes them, turn after turn."""
    return list(islice(loader(NoteStore(path), V, "train", rank=rank, world=world, **ROWS, **more), count))


def test_without_workers_the_rows_are_the_loaders(path):
    rows = list(islice(StoreDataset(path, V, **ROWS), 12))
    assert all(row.dtype == torch.int64 for row in rows)
    assert np.array_equal(torch.stack(rows), np.concatenate(turns_of(path, 3)))


def test_each_worker_makes_its_share_and_nothing_twice(path, tmp_path):
    run("tests.corpus.loaders.worker_rows", path, tmp_path / "rows.npy")
    batches = np.load(tmp_path / "rows.npy")  # of one worker and the other in turn
    for worker in (0, 1):
        expected = np.concatenate(turns_of(path, 3, rank=worker, world=2))
        assert np.array_equal(np.concatenate(batches[worker::2]), expected)
    assert sorted(np.concatenate(batches).tolist()) == sorted(np.concatenate(turns_of(path, 3)).tolist())


def test_so_does_each_process(path):
    rows = [list(islice(StoreDataset(path, V, rank=rank, world=4, **ROWS), 5)) for rank in range(4)]
    assert np.array_equal(np.stack([torch.stack(own) for own in rows], axis=1), np.stack(turns_of(path, 5)))


@pytest.mark.parametrize(
    ("loader", "more"), [(ViewPairLoader, {}), (LabelledLoader, {"label": "composer"}), (StretchLoader, {})]
)
def test_rows_of_every_loader(path, loader, more):
    rows = list(islice(StoreDataset(path, V, loader=loader, **ROWS, **more), 8))
    for turn, expected in enumerate(turns_of(path, 2, loader=loader, **more)):
        of_turn = rows[4 * turn : 4 * turn + 4]
        arrays = expected if isinstance(expected, dict) else {"ids": expected}
        for name, array in arrays.items():
            made = [row[name] if isinstance(row, dict) else row for row in of_turn]
            assert np.array_equal(torch.stack(made), array)


@pytest.mark.parametrize("loader", [PackedLoader, StretchLoader])
@pytest.mark.parametrize("taken", [0, 1, 4, 7])
def test_it_goes_on_where_it_stood(path, loader, taken):
    dataset = StoreDataset(path, V, loader=loader, **ROWS)
    rows = iter(dataset)
    for _ in range(taken):
        next(rows)
    state = json.loads(json.dumps(dataset.state_dict()))
    other = StoreDataset(path, V, loader=loader, **ROWS)
    other.load_state_dict(state)
    assert [row.tolist() for row in islice(other, 6)] == [row.tolist() for row in islice(rows, 6)]


def test_through_a_loader_without_workers_it_goes_on_after_whole_batches(path):
    dataset = StoreDataset(path, V, **ROWS)
    batches = iter(DataLoader(dataset, batch_size=3))
    next(batches)
    other = StoreDataset(path, V, **ROWS)
    other.load_state_dict(dataset.state_dict())
    assert torch.equal(next(iter(DataLoader(other, batch_size=3))), next(batches))


def test_each_iteration_begins_at_the_same_place(path):
    dataset = StoreDataset(path, V, **ROWS)
    assert [row.tolist() for row in islice(dataset, 6)] == [row.tolist() for row in islice(dataset, 6)]


def test_what_cannot_be_shared_out_or_gone_on_with_is_refused(path, tmp_path):
    with pytest.raises(UserError, match="4 rows cannot be shared evenly by 3 processes"):
        next(iter(StoreDataset(path, V, rank=0, world=3, **ROWS)))
    with pytest.raises(UserError, match="rank and world belong together"):
        StoreDataset(path, V, rank=0, **ROWS)
    with pytest.raises(UserError, match="no files in split 'validation'"):
        StoreDataset(path, V, "validation", **ROWS)
    dataset = StoreDataset(path, V, **ROWS)
    next(iter(dataset))
    with pytest.raises(UserError, match="the state has 4 streams"):
        StoreDataset(path, V, length=48, batch=2, seed=3).load_state_dict(dataset.state_dict())
