"""A prompt that a model has read, and that may change: only what differs is read again.

Knows: that a cache can go back to what two sequences begin with, and that a stream which is closed leaves its cache
behind. Refuses to know: how tokens are chosen, and what runs the network. For live play: the prompt is what was played
so far, it grows while one plays, and an answer that is cut short may become part of it.

    with engine.session(prompt) as session:
        for variation, note in session.stream(settings=Settings(seconds=10.0)):
            ...                                     # may stop at any note
        session.replace(longer_prompt)              # reads what is new, forgets what is no longer so
        session.continue_(settings=Settings(notes=50))

Shape legend: B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from partimento.generate.settings import Continuation, GeneratedNote, Settings
from partimento.midi.performance import Performance

if TYPE_CHECKING:
    from partimento.generate.backend import Cache
    from partimento.generate.engine import Engine

Notes = Generator[tuple[int, GeneratedNote]]


class PrefixCache:
    """One sequence in a cache of one row."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
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
            cache = self._engine.new_cache(len(tokens))
            if self._cache is not None and same:
                self._cache.rollback(same)
                cache = self._cache.take([0], capacity=cache.capacity)
            self._cache = cache
        self._cache.rollback(same)
        self._tokens = []  # whatever happens while reading, nothing wrong is believed to be there
        cache = self._cache
        logits_1RV = yield from self._engine.prefill(tokens[same:], cache)
        self._tokens = list(tokens)
        return cache, logits_1RV[:, -1], len(tokens) - same

    def keep(self, tokens: Sequence[int], cache: Cache) -> None:
        """Says that this cache, which may be the one that `read` gave out, holds these tokens by now."""
        self._tokens, self._cache = list(tokens), cache

    def forget(self) -> None:
        """Lets go of the memory."""
        self._tokens, self._cache = [], None


class Session:
    """A prompt at hand. At most one stream of it is open: another one, or another prompt, closes it."""

    def __init__(self, engine: Engine, prompt: Performance, *, from_seconds: float | None = None) -> None:
        self._engine, self._prefix_cache = engine, PrefixCache(engine)
        self._stream: Notes | None = None
        self.replace(prompt, from_seconds=from_seconds)

    def replace(self, prompt: Performance, *, from_seconds: float | None = None) -> int:
        """Another prompt instead, read from where it departs from what was read; how many tokens that were.

        What was generated counts as read: a prompt that takes it in goes on from there. `from_seconds` as in
        `Engine.stream`.
        """
        self._stop()
        self._prompt, self._from_seconds = prompt, from_seconds
        return self._prefix_cache.read(self._engine.tokens_of(prompt, from_seconds))[2]

    def stream(self, *, settings: Settings) -> Notes:
        """As `Engine.stream`; to be closed early, or left to the end."""
        self._stop()
        self._stream = self._engine.continuing(self._prompt, settings, self._from_seconds, self._prefix_cache).notes()
        return self._stream

    def continue_(
        self, *, settings: Settings, on_note: Callable[[int, GeneratedNote], None] | None = None
    ) -> list[Continuation]:
        """As `Engine.continue_`."""
        self._stop()
        return self._engine.continuing(self._prompt, settings, self._from_seconds, self._prefix_cache).complete(on_note)

    def close(self) -> None:
        """Ends what is streaming and lets go of all memory; a session that is used again reads its prompt again."""
        self._stop()
        self._prefix_cache.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _stop(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
