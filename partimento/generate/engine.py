"""Continues performances and fills gaps in them: a model, its vocabulary, and what may be asked of them.

It knows what a model can do and reads tokens with it; how rows share a cache is the run's (`run.py`), how tokens are
chosen the variation's (`decode/variation.py`).

    engine = Engine.load("bundled")
    for variation, note in engine.stream(prompt, settings=Settings(seconds=30.0)):
        ...                                              # as soon as each note is decided
    for number, continuation in enumerate(engine.continue_("x.mid", seconds=5, temperature=0.9, variations=4)):
        continuation.write_midi(f"x-{number}.mid")
    engine.fill("x.mid", 12.5, 20.0)[0].draw("x.png")
    session = engine.session(prompt)                     # a prompt that will change (prompt/session.py)
    engine = large.drafted_by(Engine.load("bundled"))    # the large one's music, several tokens in one pass

Shape legend: B rows, R last positions of a reading, V vocabulary, E channels of a vector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partimento.errors import UserError
from partimento.generate.abilities import Abilities
from partimento.generate.backends.engines import open_model
from partimento.generate.backends.language_model import LanguageModel
from partimento.generate.prompt.gap import Gap
from partimento.generate.prompt.prefix_cache import PrefixCache
from partimento.generate.prompt.session import Session
from partimento.generate.prompt.start import begin_gap
from partimento.generate.run import NoteHandler, Notes, Run
from partimento.generate.settings import Continuation, Guidance, Settings
from partimento.midi.performance import Performance

if TYPE_CHECKING:
    pass


class Engine(LanguageModel):
    """A model with its vocabulary and what it was trained to do, ready to continue."""

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

        `engine` forces what runs it (`partimento.generate.backends.engines.ENGINES`); `say` is told what does. Raises
        `UserError` if there is no such model, or no language model in it.
        """
        opened = open_model(name_or_path, engine, say=say)
        abilities = Abilities.from_metadata(opened.metadata, parameters=opened.backend.config.parameters)
        return cls(opened.backend, opened.vocabulary, abilities, window=window)

    def __repr__(self) -> str:
        config = self.backend.config
        can = "fills gaps, " if self.abilities.infilling else ""
        size = f"{config.parameters / 1e6:,.1f} M parameters, {len(self.vocabulary):,} tokens"
        return f"<Engine: {size}, {can}sees {self.context:,} tokens>"

    def stream(
        self,
        prompt: Performance | str | PathLike[str],
        *,
        settings: Settings | None = None,
        prompt_seconds: float | None = None,
        from_seconds: float | None = None,
        **asked: Any,
    ) -> Notes:
        """Yields (variation, note) as notes are decided, those of each variation in the order of their onsets.

        `prompt`: a performance or a MIDI file, of which `prompt_seconds` are the prompt (None: all). Instead of
        `settings`, any of their fields may be `asked` for, and those of `Sampling` and `Wishes`: `seconds=5`,
        `temperature=0.9`. A length in seconds counts from `from_seconds` on the prompt's clock, by default the end of
        its seconds or its last release.

        A note is held back only while the music repeats itself exactly, since such a repetition may be taken back.
        Closing it ends the work and frees its memory.
        """
        return self._asked(prompt, settings, prompt_seconds, from_seconds, asked).notes()

    def continue_(
        self,
        prompt: Performance | str | PathLike[str],
        *,
        settings: Settings | None = None,
        prompt_seconds: float | None = None,
        from_seconds: float | None = None,
        on_note: NoteHandler | None = None,
        **asked: Any,
    ) -> list[Continuation]:
        """All variations, complete; as `stream`, which `on_note` is called as."""
        return self._asked(prompt, settings, prompt_seconds, from_seconds, asked).complete(on_note)

    def _asked(
        self,
        prompt: Performance | str | PathLike[str],
        settings: Settings | None,
        prompt_seconds: float | None,
        from_seconds: float | None,
        asked: dict[str, Any],
    ) -> Run:
        if settings is not None and asked:
            raise UserError(f"give settings or their fields, not both: leave out settings, or {', '.join(asked)}")
        settings = self.settings(**asked) if settings is None else settings
        given = prompt if isinstance(prompt, Performance) else Performance.from_midi(prompt)
        if prompt_seconds is not None:
            given = given.slice_time(0, prompt_seconds)
            from_seconds = min(prompt_seconds, given.seconds) if from_seconds is None else from_seconds
        return self.continuing(given, settings, from_seconds)

    def fill(
        self,
        performance: Performance | str | PathLike[str],
        start_seconds: float,
        end_seconds: float,
        *,
        on_note: NoteHandler | None = None,
        **asked: Any,
    ) -> list[Continuation]:
        """What begins in [start, end) is taken out and replaced so that it joins what follows; the rest stays.

        New notes begin in [start, end) and may sound on. `asked`: `seed`, `variations`, and fields of `Sampling`.
        Raises `UserError` for a model that was not trained to fill, a gap of less than 0.1 s or more than 60 s, and
        where no note follows within 60 s of its start.
        """
        given = performance if isinstance(performance, Performance) else Performance.from_midi(performance)
        settings = self.settings(filling=True, **asked)
        return self.filling(given, start_seconds, end_seconds, settings).complete(on_note)

    def filling(self, performance: Performance, start_seconds: float, end_seconds: float, settings: Settings) -> Run:
        """What `fill` does, not begun; of the settings, seed, variations and sampling count. Raises as it does."""
        if self.vocabulary.delimiter is None:
            raise UserError("this model cannot fill gaps: its vocabulary has no <X>; take one trained with infilling")
        if not self.abilities.infilling:
            raise UserError("this model cannot fill gaps: it was not trained with infilling; take one that was")
        gap = Gap.open(performance, start_seconds, end_seconds)
        start = begin_gap(self.vocabulary, gap, context=self.context, pedal=self.abilities.pedal_tokens)
        seconds, seed, variations = end_seconds - start_seconds, settings.seed, settings.variations
        filling = Settings(seconds=seconds, seed=seed, variations=variations, sampling=settings.sampling)
        return Run(self, gap.kept, start, filling)

    @property
    def vector_size(self) -> int:
        """Numbers of the vectors that `like` takes; raises `UserError` for a model that takes none."""
        from partimento.generate.backends.guidance import vector_size

        return vector_size(self.backend)

    def like(self, vector_E: NDArray[np.floating], guidance: Guidance) -> Engine:
        """An engine that makes music in the manner of what this vector is of; it shares the model.

        Vectors are those of the embedding model that this one was trained with. Raises `UserError` for a model that
        takes no vectors, or some of another size.
        """
        from partimento.generate.backends.guidance import GuidedBackend

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
        guidance, window = self.guidance, self.context
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
        *,
        at_once: bool = False,
    ) -> Run:
        """A continuation that has not begun. It begins with what `prefix_cache` holds, and leaves it what it reads.

        `at_once`: for who waits for it; it begins at `from_seconds` or at most 0.4 s later (`Start`).
        """
        start = replace(self.start(prompt, from_seconds), at_once=at_once)
        return Run(self, prompt, start, settings, prefix_cache)
