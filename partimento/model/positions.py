"""What every cache of keys and values counts alike, whoever computes them: rows, positions held, and room.

It refuses to know arrays: those are the cache's of the one transformer (`transformer.py`), or of its ONNX graph.

    class KVCache(Positions): ...
    cache.length, cache.batch, cache.capacity
"""

from __future__ import annotations

from partimento.model.config import ModelConfig


class Positions:
    """`capacity` positions there is room for in each of `batch` rows, all of which have the same `length`."""

    def __init__(self, config: ModelConfig, *, batch: int, capacity: int) -> None:
        if not 0 < capacity <= config.context:
            raise ValueError(f"cache capacity {capacity} is outside 1..{config.context}, the context of the model")
        if batch < 1:
            raise ValueError(f"cache batch is {batch}; at least one row is needed")
        self.config, self.batch, self.capacity = config, batch, capacity
        self._length = 0

    @property
    def length(self) -> int:
        """Positions held; the next token given to the model takes this position."""
        return self._length

    def rollback(self, length: int) -> None:
        """Forgets all positions from `length` on."""
        if not 0 <= length <= self._length:
            raise ValueError(f"cannot roll back to {length}: the cache holds {self._length} positions")
        self._length = length

    def advance(self, new: int) -> None:
        """Counts positions that have been written in every layer."""
        self._length += new

    def check_room(self, batch: int, new: int) -> None:
        """Raises `ValueError` unless so many more positions of so many rows fit."""
        if batch != self.batch:
            raise ValueError(f"tokens have {batch} rows but the cache has {self.batch}")
        if self._length + new > self.capacity:
            raise ValueError(
                f"{new} more positions do not fit a cache that holds {self._length} of {self.capacity}; "
                "roll it back or allocate a larger one"
            )

    def check_copy(self, capacity: int | None) -> int:
        """The capacity of a copy, by default the same; raises `ValueError` if it has no room for what is held."""
        capacity = self.capacity if capacity is None else capacity
        if capacity < self._length:
            raise ValueError(f"a cache of {capacity} positions cannot take in the {self._length} of this one")
        return capacity
