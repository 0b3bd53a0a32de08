"""A note store as a data set of PyTorch, for training loops that are not ours.

It knows how a `DataLoader` shares work out: each worker of each process opens the store and makes its share of the rows
of one of the loaders here, so that nothing is made twice and the rows are those of that loader, whoever makes them. It
refuses to know how a row is made. Nothing else in the corpus loads torch, and nothing here loads this.

    dataset = StoreDataset("STORE", Vocabulary.piano(), batch=16, length=1024, seed=0)
    for ids in DataLoader(dataset, batch_size=4, num_workers=2):    # int64 [4, 1025], without end
        ...
"""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch.utils.data import IterableDataset, get_worker_info

from partimento.corpus.loaders.packed import PackedLoader
from partimento.corpus.store.note_store import NoteStore
from partimento.errors import UserError
from partimento.tokens.vocabulary import Vocabulary

Row = torch.Tensor | dict[str, torch.Tensor]


class StoreDataset(IterableDataset[Row]):
    """Rows without end, one by one: int64 [length + 1] of `PackedLoader`; of a loader of mappings, mappings of rows.

    `batch` counts the rows that all workers of all processes make in a turn; it must be a multiple of their number, and
    has nothing to do with the `batch_size` of a `DataLoader`, which collects rows of one worker. `loader` is a class of
    this folder, and `more` what it is given: `length`, `seed`, `augment`, ... `rank` and `world` are those of
    `torch.distributed` where it runs, unless they are given. The same arguments, with the same number of workers, give
    the same rows; with another number the same rows too, in another order.

    Every iteration begins with the first row, or where `load_state_dict` says. Resumable where it is iterated without
    workers: `state_dict` says which rows were given out. The copies in a `DataLoader`'s workers have states of their
    own, which a plain `DataLoader` does not ask for.
    """

    def __init__(
        self,
        store: str | PathLike[str],
        vocabulary: Vocabulary,
        split: str = "train",
        *,
        batch: int,
        loader: type[Any] = PackedLoader,
        rank: int | None = None,
        world: int | None = None,
        **more: Any,
    ) -> None:
        NoteStore(store).split(split)  # refused here rather than in a worker
        if (rank is None) != (world is None):
            raise UserError("rank and world belong together: give both, or none for those of torch.distributed")
        self._store, self._vocabulary, self._split = store, vocabulary, split
        self._loader, self._batch, self._more = loader, batch, more
        self._process = rank, world
        self._start: dict[str, Any] = {"loader": None, "rows": 0}
        self._now = self._start

    def __iter__(self) -> Iterator[Row]:
        loader = self._of_this_worker()
        before, given = self._start["loader"], self._start["rows"]
        if before is not None:
            loader.load_state_dict(before)
        while True:
            before = loader.state_dict()
            for number, row in enumerate(_rows(next(loader))[given:], given + 1):
                self._now = {"loader": before, "rows": number}
                yield row
            given = 0

    def state_dict(self) -> dict[str, Any]:
        """How far the latest iteration is: JSON. Take it between two rows, or two batches of a `DataLoader`."""
        return self._now

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let iterations begin where `state_dict` stood; raises `UserError` for the state of another loader."""
        if state["loader"] is not None:
            self._of_this_worker().load_state_dict(state["loader"])
        self._start = self._now = state

    def _of_this_worker(self) -> Any:
        """The loader of this worker's share."""
        rank, world = self._process
        if rank is None or world is None:
            spread = torch.distributed.is_available() and torch.distributed.is_initialized()
            rank, world = (torch.distributed.get_rank(), torch.distributed.get_world_size()) if spread else (0, 1)
        worker = get_worker_info()
        number, workers = (worker.id, worker.num_workers) if worker is not None else (0, 1)
        return self._loader(
            NoteStore(self._store),
            self._vocabulary,
            self._split,
            batch=self._batch,
            rank=rank * workers + number,
            world=world * workers,
            **self._more,
        )


def _rows(batch: Any) -> list[Row]:
    """The rows of a loader's batch: an array, or arrays by name."""
    if isinstance(batch, dict):
        tensors = {name: _tensor(array) for name, array in batch.items()}
        size = len(next(iter(tensors.values())))
        return [{name: tensor[row] for name, tensor in tensors.items()} for row in range(size)]
    return list(_tensor(batch))


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array if array.dtype == np.bool_ else array.astype(np.int64))
