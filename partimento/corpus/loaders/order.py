"""Which file comes when, which rows are whose, and where random numbers come from.

Everything random in a loader is a function of a seed and of whole numbers that say what it is for, so any place of an
endless stream can be gone to directly, by any process. It refuses to know what is made of a file.

    >>> epochs = Epochs(np.arange(3), seed=0)
    >>> [epochs.at(position) for position in range(4)]
    [(0, 0), (0, 1), (0, 2), (1, 2)]
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.errors import UserError


class Purpose(IntEnum):
    """What random numbers are for: streams of different purposes have nothing in common."""

    ORDER = 1
    EXAMPLE = 2
    WINDOW = 3
    SUBSET = 4
    CONDITION = 5
    STRETCHES = 6


def generator(purpose: Purpose, seed: int, *place: int) -> np.random.Generator:
    """The random numbers for one purpose at one place."""
    return np.random.default_rng([purpose, seed, *place])


class Epochs:
    """All files in an order drawn for the first epoch, then all of them in another order, without end."""

    def __init__(self, files: npt.NDArray[np.int64], seed: int) -> None:
        self._files, self._seed = files, seed
        # Rows of a batch drift apart by their files' lengths, so that several epochs may be under way.
        self._order = lru_cache(maxsize=3)(self._draw)

    def __len__(self) -> int:
        return len(self._files)

    def at(self, position: int) -> tuple[int, int]:
        """Epoch and file at a position, counted from 0."""
        epoch, place = divmod(position, len(self._files))
        return epoch, int(self._order(epoch)[place])

    def _draw(self, epoch: int) -> npt.NDArray[np.int64]:
        return self._files[generator(Purpose.ORDER, self._seed, epoch).permutation(len(self._files))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Rows of a batch of `batch` rows that process `rank` of `world` makes: a stretch of equal length for each."""

    batch: int
    rank: int = 0
    world: int = 1

    def __post_init__(self) -> None:
        if self.batch < 1 or self.world < 1 or self.batch % self.world:
            raise UserError(f"a batch of {self.batch} rows cannot be shared evenly by {self.world} processes")
        if not 0 <= self.rank < self.world:
            raise UserError(f"rank is {self.rank}; it must lie in 0..{self.world - 1}")

    @property
    def rows(self) -> range:
        """Numbers of the rows, in the whole batch."""
        size = self.batch // self.world
        return range(self.rank * size, (self.rank + 1) * size)


def merge_states(states: list[dict[str, Any]]) -> dict[str, Any]:
    """The states of all processes' loaders as one, which loaders of any number of processes take.

    Raises `UserError` if they do not stand at the same place of one stream.
    """
    merged: dict[str, Any] = {}
    for state in states:
        for name, value in state.items():
            if isinstance(value, dict):
                merged.setdefault(name, {}).update(value)
            elif merged.setdefault(name, value) != value:
                raise UserError(f"loader states disagree: {name} is {merged[name]} in one and {value} in another")
    return merged
