"""A prompt that a model has read, and that may change: only what differs is read again.

Knows: that a cache can go back to what two sequences begin with, and that a stream which is closed leaves its cache
behind. Refuses to know: how tokens are chosen, and what runs the network. For live play: the prompt is what was played
so far, it grows while one plays, and an answer that is cut short may become part of it.

    with engine.session(prompt) as session:
        for variation, note in session.stream(settings=Settings(seconds=10.0)):
            ...                                     # may stop at any note
        session.replace(longer_prompt)              # reads what is new, forgets what is no longer so
    session.answer(prompt, from_seconds=12.25, held=[41], settings=settings)    # somebody waits for it
        session.continue_(settings=Settings(notes=50))

Shape legend: B rows, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Self

from partimento.generate.backends.language_model import LanguageModel
from partimento.generate.decode.sampling import seeded
from partimento.generate.prompt.held import settled
from partimento.generate.prompt.prefix_cache import PrefixCache
from partimento.generate.run import NoteHandler, Notes, Run, Steps
from partimento.generate.settings import Continuation, Settings
from partimento.midi.performance import Performance


class Session:
    """A prompt at hand. At most one stream of it is open: another one, or another prompt, closes it."""

    def __init__(self, model: LanguageModel, prompt: Performance, *, from_seconds: float | None = None) -> None:
        self._model, self._prefix_cache = model, PrefixCache(model)
        self._stream: Notes | Steps | None = None
        self.replace(prompt, from_seconds=from_seconds)

    def replace(self, prompt: Performance, *, from_seconds: float | None = None) -> int:
        """Another prompt instead, read from where it departs from what was read; how many tokens that were.

        What was generated counts as read: a prompt that takes it in goes on from there. `from_seconds` as in
        `Engine.stream`.
        """
        self._stop()
        self._prompt, self._from_seconds = prompt, from_seconds
        return self._prefix_cache.read(self._model.tokens_of(prompt, from_seconds))[2]

    def stream(self, *, settings: Settings) -> Notes:
        """As `Engine.stream`; to be closed early, or left to the end."""
        self._stop()
        stream = self._stream = self._run(settings).notes()
        return stream

    def answer(
        self, prompt: Performance, *, from_seconds: float, held: Sequence[int] = (), settings: Settings
    ) -> Steps:
        """The steps of a continuation that begins at `from_seconds` or at most 0.4 s later, for who waits for it.

        `held`: positions of the notes of the prompt that still sound, however long that will be (`held.py`). A search
        begins behind the first second, which is played as it comes.
        """
        run = self.answering(prompt, from_seconds=from_seconds, held=held, settings=settings)
        stream = self._stream = run.steps()
        return stream

    def answering(
        self, prompt: Performance, *, from_seconds: float, held: Sequence[int] = (), settings: Settings
    ) -> Run:
        """What `answer` steps through, not begun; whoever does so ends it before the session is used again."""
        self._stop()
        chance = seeded(settings.seed, variation=0, draft=True)
        start = self._model.start(prompt, from_seconds)
        start = settled(self._model, self._prefix_cache, start, held=held, chance=chance)
        return Run(self._model, prompt, replace(start, at_once=True), settings, self._prefix_cache)

    def continue_(self, *, settings: Settings, on_note: NoteHandler | None = None) -> list[Continuation]:
        """As `Engine.continue_`."""
        self._stop()
        return self._run(settings).complete(on_note)

    def close(self) -> None:
        """Ends what is streaming and lets go of all memory; a session that is used again reads its prompt again."""
        self._stop()
        self._prefix_cache.forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, settings: Settings) -> Run:
        start = self._model.start(self._prompt, self._from_seconds)
        return Run(self._model, self._prompt, start, settings, self._prefix_cache)

    def _stop(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
