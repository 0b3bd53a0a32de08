"""A loader of a tiny repetitive corpus, with the same shape and state as that of the real corpus."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray


class CyclingLoader:
    """Rows of `length` + 1 ids cut from a short cycle, at offsets that a counter decides; the last ids are padding."""

    def __init__(self, cycle: list[int], *, length: int, batch: int, pad: int, padded: int = 2) -> None:
        self._cycle = np.array(cycle, dtype=np.int32)
        self._length, self._batch, self._pad, self._padded = length, batch, pad, padded
        self._position = 0

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        while True:
            self._position += 1
            starts = np.random.default_rng(self._position).integers(0, len(self._cycle), self._batch)
            rows = self._cycle[(starts[:, None] + np.arange(self._length + 1)) % len(self._cycle)]
            rows[0, self._length + 1 - self._padded :] = self._pad
            yield rows

    def state_dict(self) -> dict[str, Any]:
        return {"position": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._position = state["position"]
