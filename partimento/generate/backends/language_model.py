"""A network with its vocabulary and what it was trained to do: tokens are read into caches and give logits.

It knows how long its context is, how guidance mixes two readings, how many candidates it is searched with, and which
small model writes ahead for it. Refuses to know runs: what is made of it is `engine.py`'s.

    model = LanguageModel(backend, vocabulary, Abilities(infilling=True))
    logits_BRV = model.read([tokens], model.new_cache(len(tokens)))

Shape legend: B rows, R last positions of a reading, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partimento.errors import UserError
from partimento.generate.abilities import Abilities
from partimento.generate.decode.variation import Variation
from partimento.generate.prompt.start import LEAST_CONTEXT, Start, begin
from partimento.generate.settings import AS_THE_PROMPT, Guidance, Settings
from partimento.midi.performance import Performance
from partimento.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    from partimento.generate.backends.backend import Backend, Cache

_PART = 512  # tokens of a prefill in one pass: a third of a second of the bundled model
_FIRST_ROOM = 1024  # tokens beyond the prompt that a cache has room for, before it is doubled


class LanguageModel:
    """See the module; an `Engine` is one of which music can be asked."""

    def __init__(
        self,
        backend: Backend[Any],
        vocabulary: Vocabulary,
        abilities: Abilities | None = None,
        *,
        window: int | None = None,
        guidance: Guidance | None = None,
        draft: LanguageModel | None = None,
    ) -> None:
        """`window` bounds what the model sees to fewer latest tokens than its context: speed for long-windedness.

        `guidance` says that the back end is guided (as by `Engine.like`); `draft` is as in `Engine.drafted_by`.
        """
        if window is not None and not LEAST_CONTEXT <= window <= backend.config.context:
            raise UserError(f"a window must lie in {LEAST_CONTEXT}..{backend.config.context} tokens, not {window}")
        self.backend = backend
        self.vocabulary = vocabulary
        self.abilities = Abilities() if abilities is None else abilities
        self.context = backend.config.context if window is None else window
        self.draft = draft
        self.guidance = guidance

    def tokens_of(self, prompt: Performance, from_seconds: float | None) -> list[int]:
        """What a continuation of the prompt begins by reading, whatever its settings."""
        return Variation(self.start(prompt, from_seconds), Settings(), self.abilities.sampling, 0).tokens

    def read(
        self, ids_BT: Sequence[Sequence[int]], cache: Cache, *, chosen: int = 0, last: int = 1
    ) -> NDArray[np.float32]:
        """Logits [B, R, V] after each of the last R of the tokens, which follow those in the cache.

        `chosen` tokens were chosen before those that the first of these logits decide on.
        """
        logits_BRV = self.backend.read(ids_BT, cache, last=last)
        if self.guidance is None:
            return logits_BRV
        return np.stack([self.guidance.mix(logits_BRV[:, r], chosen + r) for r in range(last)], axis=1)

    def prefill(
        self, tokens: Sequence[int], cache: Cache, *, chosen: int = 0
    ) -> Generator[None, None, NDArray[np.float32]]:
        """As `read`, of one row, with a pause after every `_PART` tokens so that others can go on."""
        for start in range(0, len(tokens), _PART):
            if start:
                yield
            logits_1RV = self.read([tokens[start : start + _PART]], cache, chosen=chosen)
        return logits_1RV

    def settings(self, *, filling: bool = False, **asked: Any) -> Settings:
        """Settings by name (`Settings.of`); what is not asked for is what the model's file says."""
        settings = Settings.of(self.abilities.sampling, **asked)
        return replace(settings, candidates=self.candidates(settings, filling=filling))

    def candidates(self, settings: Settings, *, filling: bool = False) -> int:
        """Candidates for each segment: what is asked for, else what the model's file says; fillings have one.

        Raises `UserError` for wishes and drafts where there is no search, or no place for one.
        """
        if filling:
            return 1
        if self.draft is not None:
            if (settings.candidates or 1) > 1 or settings.wishes != AS_THE_PROMPT:
                raise UserError("a draft writes ahead of one candidate; leave out the draft, or candidates and wishes")
            return 1
        candidates = self.abilities.candidates if settings.candidates is None else settings.candidates
        if candidates == 1 and settings.wishes != AS_THE_PROMPT:
            raise UserError("a wish needs candidates to choose from; give 2 or more, 8 for example")
        return candidates

    def new_cache(self, tokens: int) -> Cache:
        """An empty cache of one row, with room beyond so many tokens."""
        return self.backend.cache(batch=1, capacity=min(tokens + _FIRST_ROOM, self.context))

    def start(self, prompt: Performance, from_seconds: float | None) -> Start:
        """The prompt as this model reads it."""
        return begin(
            self.vocabulary,
            prompt,
            context=self.context,
            pedal=self.abilities.pedal_tokens,
            from_seconds=from_seconds,
        )
