"""A loader that works ahead in a thread while its batches are used; order and positions are as without it.

It knows any loader with `state_dict` and refuses to know what batches are. One thread suffices: a loader makes ids
many times faster than a model uses them (benchmarks/corpus/loaders.md), and one thread cannot change the order.

    >>> loader = Prefetched(PackedLoader(...))   # doctest: +SKIP
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, Protocol, TypeVar

Batch_co = TypeVar("Batch_co", covariant=True)
Batch = TypeVar("Batch")


class Resumable(Protocol[Batch_co]):
    """An endless loader whose position can be asked for and gone to."""

    def __next__(self) -> Batch_co:
        """The next batch."""

    def state_dict(self) -> dict[str, Any]:
        """The position after the last batch."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to a position."""


class Prefetched(Generic[Batch]):
    """The batches of `loader`, up to `ahead` of them made before they are asked for.

    `state_dict` is the position after the last batch that was handed out, whatever lies ready.
    """

    def __init__(self, loader: Resumable[Batch], *, ahead: int = 2) -> None:
        self._loader, self._ahead = loader, ahead
        self._state = loader.state_dict()
        self._worker = ThreadPoolExecutor(1)
        self._pending: deque[Future[tuple[Batch, dict[str, Any]]]] = deque()

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        while len(self._pending) <= self._ahead:
            self._pending.append(self._worker.submit(self._step))
        batch, self._state = self._pending.popleft().result()
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Position after the last batch handed out."""
        return self._state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go there; what lies ready is thrown away."""
        for future in self._pending:
            future.cancel()
        self._pending.clear()
        self._worker.submit(self._loader.load_state_dict, state).result()
        self._state = self._loader.state_dict()

    def _step(self) -> tuple[Batch, dict[str, Any]]:
        return next(self._loader), self._loader.state_dict()
