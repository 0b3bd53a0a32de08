"""Continues performances and fills gaps in them: a model, its vocabulary, and what may be asked of them.

It knows what a model can do and reads tokens with it; how rows share a cache is the run's (`run.py`), how tokens are
chosen the variation's (`variation.py`).

    engine = Engine.load("bundled")
    for variation, note in engine.stream(prompt, settings=Settings(seconds=30.0)):
        ...                                              # as soon as each note is decided
    for continuation in engine.continue_(prompt, settings=Settings(variations=4)):
        continuation.performance.write_midi(...)
    engine.fill(performance, 12.5, 20.0)[0].performance.write_midi(...)
    session = engine.session(prompt)                     # a prompt that will change (session.py)
    engine = large.drafted_by(Engine.load("bundled"))    # the large one's music, several tokens in one pass

Shape legend: B rows, R last positions of a reading, V vocabulary, E channels of a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partimento.errors import UserError
from partimento.generate.abilities import Abilities
from partimento.generate.engines import open_model
from partimento.generate.gap import Gap
from partimento.generate.run import NoteHandler, Run
from partimento.generate.sampling import Sampling
from partimento.generate.session import Notes, PrefixCache, Session
from partimento.generate.settings import AS_THE_PROMPT, Continuation, Guidance, Settings
from partimento.generate.start import LEAST_CONTEXT, Start, begin, begin_gap
from partimento.generate.variation import Variation
from partimento.midi.performance import Performance
from partimento.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    from partimento.generate.backend import Backend, Cache

_PART = 512  # tokens of a prefill in one pass: a third of a second of the bundled model
_FIRST_ROOM = 1024  # tokens beyond the prompt that a cache has room for, before it is doubled


class Engine:
    """A model with its vocabulary and what it was trained to do, ready to continue."""

    def __init__(
        self,
        backend: Backend[Any],
        vocabulary: Vocabulary,
        abilities: Abilities | None = None,
        *,
        window: int | None = None,
        guidance: Guidance | None = None,
        draft: Engine | None = None,
    ) -> None:
        """`window` bounds what the model sees to fewer latest tokens than its context: speed for long-windedness.

        `guidance` says that the back end is guided (`like` makes such an engine); `draft` is as in `drafted_by`.
        """
        if window is not None and not LEAST_CONTEXT <= window <= backend.config.context:
            raise UserError(f"a window must lie in {LEAST_CONTEXT}..{backend.config.context} tokens, not {window}")
        self.backend = backend
        self.vocabulary = vocabulary
        self.abilities = Abilities() if abilities is None else abilities
        self.context = backend.config.context if window is None else window
        self.draft = draft
        self._guidance = guidance

    @classmethod
    def load(
        cls,
        name_or_path: str | Path = "bundled",
        *,
        engine: str = "auto",
        window: int | None = None,
        say: Callable[[str], None] | None = None,
    ) -> Engine:
        """The engine of a bundled model, a file, a folder or a model of the hub (docs/models.md).

        `engine` forces what runs it (`partimento.generate.engines.ENGINES`); `say` is told what does. Raises
        `UserError` if there is no such model, or no language model in it.
        """
        opened = open_model(name_or_path, engine, say=say)
        abilities = Abilities.from_metadata(opened.metadata, parameters=opened.backend.config.parameters)
        return cls(opened.backend, opened.vocabulary, abilities, window=window)

    def stream(self, prompt: Performance, *, settings: Settings, from_seconds: float | None = None) -> Notes:
        """Yields (variation, note) as notes are decided, those of each variation in the order of their onsets.

        A length in seconds counts from `from_seconds` on the prompt's clock, by default the prompt's last release. A
        note is held back only while the music repeats itself exactly, since such a repetition may be taken back.
        Closing it ends the work and frees its memory.
        """
        return self.continuing(prompt, settings, from_seconds).notes()

    def continue_(
        self,
        prompt: Performance,
        *,
        settings: Settings,
        from_seconds: float | None = None,
        on_note: NoteHandler | None = None,
    ) -> list[Continuation]:
        """All variations, complete; `on_note` is called as `stream` would yield."""
        return self.continuing(prompt, settings, from_seconds).complete(on_note)

    def fill(
        self,
        performance: Performance,
        start_seconds: float,
        end_seconds: float,
        *,
        seed: int = 0,
        variations: int = 1,
        sampling: Sampling | None = None,
        on_note: NoteHandler | None = None,
    ) -> list[Continuation]:
        """What begins in [start, end) is taken out and replaced so that it joins what follows; the rest stays.

        New notes begin in [start, end) and may sound on. Raises `UserError` for a model that was not trained to fill,
        a gap of less than 0.1 s or more than 60 s, and where no note follows within 60 s of its start.
        """
        settings = Settings(seed=seed, variations=variations, sampling=sampling)
        return self.filling(performance, start_seconds, end_seconds, settings).complete(on_note)

    def filling(self, performance: Performance, start_seconds: float, end_seconds: float, settings: Settings) -> Run:
        """What `fill` does, not begun; of the settings, seed, variations and sampling count. Raises as it does."""
        if self.vocabulary.delimiter is None:
            raise UserError("this model cannot fill gaps: its vocabulary has no <X>; take one trained with infilling")
        if not self.abilities.infilling:
            raise UserError("this model cannot fill gaps: it was not trained with infilling; take one that was")
        gap = Gap.open(performance, start_seconds, end_seconds)
        start = begin_gap(self.vocabulary, gap, context=self.context, pedal=self.abilities.pedal_tokens)
        filling = Settings(
            seconds=end_seconds - start_seconds,
            seed=settings.seed,
            variations=settings.variations,
            sampling=settings.sampling,
        )
        return Run(self, gap.kept, start, filling)

    @property
    def vector_size(self) -> int:
        """Numbers of the vectors that `like` takes; raises `UserError` for a model that takes none."""
        from partimento.generate.guidance import vector_size

        return vector_size(self.backend)

    def like(self, vector_E: NDArray[np.floating], guidance: Guidance) -> Engine:
        """An engine that makes music in the manner of what this vector is of; it shares the model.

        Vectors are those of the embedding model that this one was trained with. Raises `UserError` for a model that
        takes no vectors, or some of another size.
        """
        from partimento.generate.guidance import GuidedBackend

        guided = GuidedBackend(self.backend, vector_E)
        window = min(self.context, guided.config.context)
        return Engine(guided, self.vocabulary, self.abilities, window=window, guidance=guidance, draft=self.draft)

    def drafted_by(self, draft: Engine) -> Engine:
        """An engine that lets a smaller model propose the next tokens and checks them in one pass; it shares both
        models.

        Tokens are distributed exactly as without, but drawn with other numbers: a seed gives other music. It is made
        for one variation of a large model on a processor, where reading several tokens costs little more than reading
        one; several variations are read one after another. Raises `UserError` for a draft with another vocabulary.
        """
        ours, theirs = self.vocabulary, draft.vocabulary
        if theirs != ours:
            raise UserError(
                f"the draft speaks another vocabulary of {len(theirs):,} tokens, the model one of {len(ours):,}; "
                "take a draft with the model's own"
            )
        guidance, window = self._guidance, self.context
        return Engine(self.backend, ours, self.abilities, window=window, guidance=guidance, draft=draft)

    def session(self, prompt: Performance, *, from_seconds: float | None = None) -> Session:
        """A prompt that has been read and can be replaced; what both begin with is not read again."""
        return Session(self, prompt, from_seconds=from_seconds)

    # -- what sessions and runs are made of ---------------------------------------------------------------------------

    def continuing(
        self,
        prompt: Performance,
        settings: Settings,
        from_seconds: float | None,
        prefix_cache: PrefixCache | None = None,
    ) -> Run:
        """A continuation that has not begun. It begins with what `prefix_cache` holds, and leaves it what it reads."""
        return Run(self, prompt, self._start(prompt, from_seconds), settings, prefix_cache)

    def tokens_of(self, prompt: Performance, from_seconds: float | None) -> list[int]:
        """What a continuation of the prompt begins by reading, whatever its settings."""
        return Variation(self._start(prompt, from_seconds), Settings(), self.abilities.sampling, 0).tokens

    def read(
        self, ids_BT: Sequence[Sequence[int]], cache: Cache, *, chosen: int = 0, last: int = 1
    ) -> NDArray[np.float32]:
        """Logits [B, R, V] after each of the last R of the tokens, which follow those in the cache.

        `chosen` tokens were chosen before those that the first of these logits decide on.
        """
        logits_BRV = self.backend.read(ids_BT, cache, last=last)
        if self._guidance is None:
            return logits_BRV
        return np.stack([self._guidance.mix(logits_BRV[:, r], chosen + r) for r in range(last)], axis=1)

    def prefill(
        self, tokens: Sequence[int], cache: Cache, *, chosen: int = 0
    ) -> Generator[None, None, NDArray[np.float32]]:
        """As `read`, of one row, with a pause after every `_PART` tokens so that others can go on."""
        for start in range(0, len(tokens), _PART):
            if start:
                yield
            logits_1RV = self.read([tokens[start : start + _PART]], cache, chosen=chosen)
        return logits_1RV

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

    def _start(self, prompt: Performance, from_seconds: float | None) -> Start:
        return begin(
            self.vocabulary,
            prompt,
            context=self.context,
            pedal=self.abilities.pedal_tokens,
            from_seconds=from_seconds,
        )
