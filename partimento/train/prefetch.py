"""Batches made ahead: while one is trained on, a thread makes the next two.

Knows: which position of the loader belongs to which batch, and how tensors are made ready for a device. Refuses to
know: what is in a batch, and what becomes of it. The loader belongs to the thread: do not touch it in between, and do
not ask it where it stands, for it has gone on.

    with Prefetcher(loader, pinned=True) as batches:
        batch, position = next(batches)          # position: what makes a loader go on after this very batch

A thread suffices: making a batch holds Python's lock for some milliseconds, and while a device computes the lock is
free. What the loader raises is raised where the batch would have come, with the loader's own traceback.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Protocol, Self

import torch
from numpy.typing import NDArray
from torch import Tensor

Arrays = NDArray | Mapping[str, NDArray]
"""A batch as loaders give it."""
Batch = Any
"""A batch as objectives take it: the same with tensors."""

AHEAD: Final = 2
"""Batches that are made or being made while another one is trained on."""


class Loader(Protocol):
    """An endless source of batches whose position is a JSON value. With several processes each has its own rows.

    A thread of its own may run it ahead; arrays that were handed out are not written to again.
    """

    def __iter__(self) -> Iterator[Arrays]:
        """Batches from the current position on."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The position of this process's rows, after the last batch handed out."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes to a position; takes those of all processes merged, however many they were."""
        ...


class Prefetcher:
    """An iterator of (batch as tensors, `state_dict` of the loader after it), in the loader's own order.

    `pinned`: in memory from which a GPU reads by itself, so that copying need not be waited for. Leaving it ends the
    thread, which finishes the batch it is at.
    """

    def __init__(self, loader: Loader, *, pinned: bool = False) -> None:
        self._loader, self._batches, self._pinned = loader, iter(loader), pinned
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._made = deque(self._worker.submit(self._make) for _ in range(AHEAD))

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> tuple[Batch, dict[str, Any]]:
        made = self._made.popleft().result()
        self._made.append(self._worker.submit(self._make))
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._worker.shutdown(cancel_futures=True)

    def _make(self) -> tuple[Batch, dict[str, Any]]:
        arrays = next(self._batches)
        return as_tensors(arrays, pinned=self._pinned), self._loader.state_dict()


def as_tensors(arrays: Arrays | Batch, *, pinned: bool = False) -> Batch:
    """The same memory as tensors, or copies in page-locked memory; what are tensors already stay so."""
    if isinstance(arrays, Mapping):
        return {name: as_tensors(array, pinned=pinned) for name, array in arrays.items()}
    tensor = arrays if isinstance(arrays, Tensor) else torch.from_numpy(arrays)
    return tensor.pin_memory() if pinned else tensor
