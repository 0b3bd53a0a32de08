"""One sequence in a cache of one row: of the next one, only what differs is read.

Knows: that a cache can go back to what two sequences begin with. Refuses to know: what runs the network, and what the
tokens say.

    prefix_cache = PrefixCache(model)
    cache, logits_1V, read = prefix_cache.read(tokens)

Shape legend: V vocabulary, R last positions of a reading.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from partimento.generate.backends.language_model import LanguageModel

if TYPE_CHECKING:
    from partimento.generate.backends.backend import Cache


class PrefixCache:
    """See the module."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model
        self._tokens: list[int] = []
        self._cache: Cache | None = None

    def read(self, tokens: Sequence[int]) -> tuple[Cache, NDArray[np.float32], int]:
        """The cache, now of these tokens; logits [1, V] after the last of them; how many of them had to be read.

        It is at least one: nobody has kept the logits.
        """
        reading = self.reading(tokens)
        while True:
            try:
                next(reading)
            except StopIteration as done:
                return done.value

    def reading(self, tokens: Sequence[int]) -> Generator[None, None, tuple[Cache, NDArray[np.float32], int]]:
        """As `read`, with a pause after each part of a long reading."""
        same = 0
        while same < min(len(self._tokens), len(tokens) - 1) and self._tokens[same] == tokens[same]:
            same += 1
        if self._cache is None or len(tokens) > self._cache.capacity:
            cache = self._model.new_cache(len(tokens))
            if self._cache is not None and same:
                self._cache.rollback(same)
                cache = self._cache.take([0], capacity=cache.capacity)
            self._cache = cache
        self._cache.rollback(same)
        self._tokens = []  # whatever happens while reading, nothing wrong is believed to be there
        cache = self._cache
        logits_1RV = yield from self._model.prefill(tokens[same:], cache)
        self._tokens = list(tokens)
        return cache, logits_1RV[:, -1], len(tokens) - same

    def keep(self, tokens: Sequence[int], cache: Cache) -> None:
        """Says that this cache, which may be the one that `read` gave out, holds these tokens by now."""
        self._tokens, self._cache = list(tokens), cache

    def forget(self) -> None:
        """Lets go of the memory."""
        self._tokens, self._cache = [], None
