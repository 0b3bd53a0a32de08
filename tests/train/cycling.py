"""A loader of a tiny repetitive corpus, with the same shape and state as that of the real corpus."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


class CyclingLoader:
    """Rows of `length` + 1 tokens cut from a short cycle, at offsets that each row's own counter decides.

    The last tokens of global row 0 are padding. Process `rank` of `world` has its share of the rows of the global
    batch.
    """

    def __init__(
        self, cycle: list[int], *, length: int, batch: int, pad: int, padded: int = 2, rank: int = 0, world: int = 1
    ) -> None:
        self._cycle = np.array(cycle, dtype=np.int32)
        self._length, self._pad, self._padded = length, pad, padded
        share = batch // world
        self._position = dict.fromkeys(range(rank * share, (rank + 1) * share), 0)

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        while True:
            yield np.stack([self._window(row) for row in self._position])

    def _window(self, row: int) -> NDArray[np.int32]:
        self._position[row] += 1
        start = np.random.default_rng([row, self._position[row]]).integers(len(self._cycle))
        ids = self._cycle[(start + np.arange(self._length + 1)) % len(self._cycle)]
        if row == 0:
            ids[self._length + 1 - self._padded :] = self._pad
        return ids

    def state_dict(self) -> dict[str, Any]:
        return {"rows": {str(row): position for row, position in self._position.items()}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._position = {row: state["rows"][str(row)] for row in self._position}
