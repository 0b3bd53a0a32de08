"""Continues performances and fills gaps in them: one prefill, batches of variations, a stream of notes.

Knows how variations share the model's work: all begin as copies of one cache; one that has to go back, or whose window
moves, reads its ids anew in a cache of its own; one that another model drafts has a cache of its own from the start.
Refuses to know how ids are chosen (`variation.py`).

    engine = Engine.load("bundled")
    for variation, note in engine.stream(prompt, settings=Settings(seconds=30.0)):
        ...                                              # as soon as each note is decided
    for continuation in engine.continue_(prompt, settings=Settings(variations=4)):
        continuation.performance.write_midi(...)
    engine.fill(performance, 12.5, 20.0)[0].performance.write_midi(...)
    session = engine.session(prompt)                     # a prompt that will change (session.py)
    engine = large.drafted_by(Engine.load("bundled"))    # the large one's music, several ids in one pass

Shape legend: B rows, R last positions of a reading, V vocabulary, E channels of a vector.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from partimento.errors import UserError
from partimento.generate.abilities import Abilities
from partimento.generate.draft import Draft
from partimento.generate.engines import open_model
from partimento.generate.gap import Gap
from partimento.generate.sampling import Proposal, Sampling
from partimento.generate.session import Notes, Reading, Session
from partimento.generate.settings import Continuation, GeneratedNote, Guidance, Settings, Timings
from partimento.generate.start import LEAST_CONTEXT, Start, begin, begin_gap
from partimento.generate.variation import Variation
from partimento.generate.writer import as_performance
from partimento.midi.performance import Performance
from partimento.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    from partimento.generate.backend import Backend, Cache

_FIRST_ROOM = 1024  # tokens beyond the prompt that a cache has room for, before it is doubled

NoteHandler = Callable[[int, GeneratedNote], None]


@dataclass(slots=True)
class _Group:
    """Variations in step: one cache, one row for each; None where a variation is over or has left.

    A group with a draft has one row, and its logits are also those behind each of the proposals.
    """

    rows: list[Variation | None]
    cache: Cache
    logits_BRV: NDArray[np.float32]
    draft: Draft | None = None
    proposals: list[Proposal] = field(default_factory=list)


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
        return cls(opened.backend, opened.vocabulary, Abilities.from_metadata(opened.metadata), window=window)

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
        if self.vocabulary.delimiter is None:
            raise UserError("this model cannot fill gaps: its vocabulary has no <X>; take one trained with infilling")
        if not self.abilities.infilling:
            raise UserError("this model cannot fill gaps: it was not trained with infilling; take one that was")
        gap = Gap.open(performance, start_seconds, end_seconds)
        start = begin_gap(self.vocabulary, gap, context=self.context, pedal=self.abilities.pedal_tokens)
        settings = Settings(seconds=end_seconds - start_seconds, seed=seed, variations=variations, sampling=sampling)
        return _Run(self, gap.kept, start, settings).complete(on_note)

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
        """An engine that lets a smaller model propose the next ids and checks them in one pass; it shares both models.

        Ids are distributed exactly as without, but drawn with other numbers: a seed gives other music. It is made for
        one variation of a large model on a processor, where reading several ids costs little more than reading one;
        several variations are read one after another. Raises `UserError` for a draft with another vocabulary.
        """
        ours, theirs = self.vocabulary, draft.vocabulary
        if theirs != ours:
            raise UserError(
                f"the draft speaks another vocabulary of {len(theirs):,} ids, the model one of {len(ours):,}; "
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
        reading: Reading | None = None,
    ) -> _Run:
        """A continuation that has not begun. It begins with what `reading` has read, and leaves it what it reads."""
        return _Run(self, prompt, self._start(prompt, from_seconds), settings, reading)

    def ids_of(self, prompt: Performance, from_seconds: float | None) -> list[int]:
        """What a continuation of the prompt begins by reading, whatever its settings."""
        return Variation(self._start(prompt, from_seconds), Settings(), self.abilities.sampling, 0).ids

    def read(
        self, ids_BT: Sequence[Sequence[int]], cache: Cache, *, chosen: int = 0, last: int = 1
    ) -> NDArray[np.float32]:
        """Logits [B, R, V] after each of the last R of the ids, which follow those in the cache.

        `chosen` ids were chosen before those that the first of these logits decide on.
        """
        logits_BRV = self.backend.read(ids_BT, cache, last=last)
        if self._guidance is None:
            return logits_BRV
        return np.stack([self._guidance.mix(logits_BRV[:, r], chosen + r) for r in range(last)], axis=1)

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


class _Run:
    """One call: its variations, its groups, its clock."""

    def __init__(
        self, engine: Engine, given: Performance, start: Start, settings: Settings, reading: Reading | None = None
    ) -> None:
        self.engine, self.given = engine, given
        self._reading = reading
        sampling = settings.sampling or engine.abilities.sampling
        self.variations = [Variation(start, settings, sampling, number) for number in range(settings.variations)]
        self._prefill_s = self._decode_s = 0.0
        self._first_note_s: list[float | None] = [None] * settings.variations
        self._tokens = 0

    def complete(self, on_note: NoteHandler | None) -> list[Continuation]:
        """All variations to their ends."""
        for variation, note in self.notes():
            if on_note is not None:
                on_note(variation, note)
        return [self._result(variation) for variation in self.variations]

    def notes(self) -> Notes:
        """Each note with the number of its variation, as soon as it is decided for good."""
        began = time.perf_counter()
        groups = self._shared_prefill()
        group = groups[-1]
        self._prefill_s = time.perf_counter() - began
        try:
            while groups:
                group = groups.pop(0)
                before = time.perf_counter()
                self._advance(group)
                for row in filter(None, group.rows):
                    released = list(row.release())
                    if released and self._first_note_s[row.number] is None:
                        self._first_note_s[row.number] = time.perf_counter() - began
                    for note in released:
                        self._decode_s += time.perf_counter() - before
                        yield row.number, note
                        before = time.perf_counter()  # the listener's time is not ours
                groups += self._go_on(group)
                self._decode_s += time.perf_counter() - before
        finally:
            if self._reading is not None and len(self.variations) == 1:
                self._reading.keep(self.variations[0].ids_read(group.cache.length), group.cache)

    def _shared_prefill(self) -> list[_Group]:
        reading = Reading(self.engine) if self._reading is None else self._reading
        cache, logits_1V, _ = reading.read(self.variations[0].ids)
        logits_11V, batch = logits_1V[:, None], len(self.variations)
        if batch == 1:
            reading.forget()  # a single variation goes on in the cache itself
        if self.engine.draft is not None:
            caches = [cache.take([0]) for _ in self.variations[1:]] + [cache]
            drafts = [Draft(self.engine.draft, row) for row in self.variations]
            rows = zip(self.variations, caches, drafts, strict=True)
            return [_Group([row], own, logits_11V, draft) for row, own, draft in rows]
        if batch == 1:
            return [_Group([*self.variations], cache, logits_11V)]
        return [_Group([*self.variations], cache.take([0] * batch), np.repeat(logits_11V, batch, axis=0))]

    def _advance(self, group: _Group) -> None:
        """Every row decides its next id, or with a draft as many as it can; its cache forgets what was not kept."""
        before = group.cache.length - len(group.proposals)
        for i, row in enumerate(group.rows):
            if row is not None:
                decided = row.advance(group.logits_BRV[i], group.proposals)
                self._tokens += decided
                if group.proposals:
                    group.cache.rollback(before + decided - 1)

    def _go_on(self, group: _Group) -> list[_Group]:
        """The groups that take over from one whose rows have each decided an id, which the model has then read."""
        groups = []
        for i, row in enumerate(group.rows):
            if row is None:
                continue
            if row.done:
                group.rows[i] = None
            elif row.stale:
                row.stale = False
                groups.append(self._reread(i, group))
                group.rows[i] = None
        active = [row for row in group.rows if row is not None]
        if not active:
            return groups
        if group.draft is not None:
            group.proposals = group.draft.propose(self.engine.context - len(active[0].ids))
        ahead = [proposal.id for proposal in group.proposals]
        if group.cache.length + len(ahead) >= group.cache.capacity:
            kept = [i for i, row in enumerate(group.rows) if row is not None]
            room = min(2 * group.cache.capacity, self.engine.context)
            group.rows, group.cache = [*active], group.cache.take(kept, capacity=room)
        pad = self.engine.vocabulary.pad
        ids_BT = [[pad if row is None else row.ids[-1], *ahead] for row in group.rows]
        group.logits_BRV = self.engine.read(ids_BT, group.cache, chosen=active[0].chosen, last=1 + len(ahead))
        return [group, *groups]

    def _reread(self, number: int, group: _Group) -> _Group:
        """A group for one row whose ids were replaced: its cache rolled back if its ids begin so, else read anew."""
        row = group.rows[number]
        assert row is not None
        if 0 < row.ids_kept <= group.cache.length:
            cache = group.cache if len(group.rows) == 1 else group.cache.take([number])
            cache.rollback(len(row.ids) - 1)
            return _Group([row], cache, self.engine.read([row.ids[-1:]], cache, chosen=row.chosen), group.draft)
        cache = self.engine.new_cache(len(row.ids))
        return _Group([row], cache, self.engine.read([row.ids], cache, chosen=row.chosen), group.draft)

    def _result(self, variation: Variation) -> Continuation:
        generated = as_performance(self.given, variation.new_notes(), variation.new_pedal())
        ids, prompt_ids = variation.final_ids()
        return Continuation(
            performance=self.given.merge(generated),
            generated=generated,
            ids=tuple(ids),
            prompt_ids=prompt_ids,
            retries=variation.retries,
            timings=Timings(
                prefill_s=self._prefill_s,
                first_note_s=self._first_note_s[variation.number],
                tokens_per_s=self._tokens / self._decode_s if self._decode_s else 0.0,
                draft_kept=variation.kept / variation.tested if variation.tested else None,
            ),
        )
