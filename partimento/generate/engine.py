"""Continues performances and fills gaps in them: one prefill, batches of variations, a stream of notes.

Knows how variations share the model's work: all begin as copies of one cache; one that has to go back, or whose window
moves, reads its ids anew in a cache of its own. Refuses to know how ids are chosen (`variation.py`).

    engine = Engine.load("bundled")
    for variation, note in engine.stream(prompt, settings=Settings(seconds=30.0)):
        ...                                              # as soon as each note is decided
    for continuation in engine.continue_(prompt, settings=Settings(variations=4)):
        continuation.performance.write_midi(...)
    engine.fill(performance, 12.5, 20.0)[0].performance.write_midi(...)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from partimento.errors import UserError
from partimento.generate.abilities import Abilities
from partimento.generate.gap import Gap
from partimento.generate.sampling import Sampling
from partimento.generate.settings import Continuation, GeneratedNote, Settings, Timings
from partimento.generate.start import Start, begin, begin_gap
from partimento.generate.variation import Variation
from partimento.generate.writer import as_performance
from partimento.midi.performance import Performance
from partimento.model import checkpoint
from partimento.model.transformer import KVCache, Transformer
from partimento.tokens.vocabulary import Vocabulary

_FIRST_ROOM = 1024  # tokens beyond the prompt that a cache has room for, before it is doubled

NoteHandler = Callable[[int, GeneratedNote], None]


@dataclass(slots=True)
class _Group:
    """Variations in step: one cache, one row for each; None where a variation is over or has left."""

    rows: list[Variation | None]
    cache: KVCache
    logits_BV: NDArray[np.float32]


class Engine:
    """A model with its vocabulary and what it was trained to do, ready to continue."""

    def __init__(self, model: Transformer, vocabulary: Vocabulary, abilities: Abilities | None = None) -> None:
        self.model = model.eval()
        self.vocabulary = vocabulary
        self.abilities = Abilities() if abilities is None else abilities

    @classmethod
    def load(
        cls, name_or_path: str | Path = "bundled", *, dtype: torch.dtype = torch.float32, device: str = "cpu"
    ) -> Engine:
        """The engine of a bundled model or of a file; raises `UserError` if there is none."""
        stored = checkpoint.load(name_or_path, dtype=dtype, device=device)
        return cls(stored.model, stored.vocabulary, Abilities.from_metadata(stored.metadata))

    def stream(
        self, prompt: Performance, *, settings: Settings, from_seconds: float | None = None
    ) -> Iterator[tuple[int, GeneratedNote]]:
        """Yields (variation, note) as notes are decided, those of each variation in the order of their onsets.

        A length in seconds counts from `from_seconds` on the prompt's clock, by default the prompt's last release. A
        note is held back only while the music repeats itself exactly, since such a repetition may be taken back.
        """
        return self._continuing(prompt, settings, from_seconds).notes()

    def continue_(
        self,
        prompt: Performance,
        *,
        settings: Settings,
        from_seconds: float | None = None,
        on_note: NoteHandler | None = None,
    ) -> list[Continuation]:
        """All variations, complete; `on_note` is called as `stream` would yield."""
        return self._continuing(prompt, settings, from_seconds).complete(on_note)

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
        start = begin_gap(self.vocabulary, gap, context=self.model.config.context, pedal=self.abilities.pedal_tokens)
        settings = Settings(seconds=end_seconds - start_seconds, seed=seed, variations=variations, sampling=sampling)
        return _Run(self, gap.kept, start, settings).complete(on_note)

    def _continuing(self, prompt: Performance, settings: Settings, from_seconds: float | None) -> _Run:
        start = begin(
            self.vocabulary,
            prompt,
            context=self.model.config.context,
            pedal=self.abilities.pedal_tokens,
            from_seconds=from_seconds,
        )
        return _Run(self, prompt, start, settings)

    @torch.inference_mode()
    def _read(self, ids_BT: Sequence[Sequence[int]], cache: KVCache) -> NDArray[np.float32]:
        """Logits [B, V] after the last of the ids, which follow those in the cache."""
        device = self.model.lm_head.weight.device
        hidden_BTD = self.model.hidden(torch.tensor(ids_BT, device=device), cache)
        return self.model.lm_head(hidden_BTD[:, -1]).float().cpu().numpy()

    @torch.inference_mode()
    def _cache(self, batch: int, capacity: int) -> KVCache:
        weight = self.model.lm_head.weight
        capacity = min(capacity, self.model.config.context)
        return KVCache(self.model.config, batch=batch, capacity=capacity, dtype=weight.dtype, device=weight.device)

    @torch.inference_mode()
    def _expand(self, cache: KVCache, batch: int) -> KVCache:
        return cache.expand(batch)


class _Run:
    """One call: its variations, its groups, its clock."""

    def __init__(self, engine: Engine, given: Performance, start: Start, settings: Settings) -> None:
        self.engine, self.given = engine, given
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

    def notes(self) -> Iterator[tuple[int, GeneratedNote]]:
        """Each note with the number of its variation, as soon as it is decided for good."""
        began = time.perf_counter()
        groups = [self._shared_prefill()]
        self._prefill_s = time.perf_counter() - began
        while groups:
            group = groups.pop(0)
            before = time.perf_counter()
            active = [(i, row) for i, row in enumerate(group.rows) if row is not None]
            for i, row in active:
                row.advance(group.logits_BV[i])
            self._tokens += len(active)
            for _, row in active:
                released = list(row.release())
                if released and self._first_note_s[row.number] is None:
                    self._first_note_s[row.number] = time.perf_counter() - began
                for note in released:
                    self._decode_s += time.perf_counter() - before
                    yield row.number, note
                    before = time.perf_counter()  # the listener's time is not ours
            groups += self._go_on(group)
            self._decode_s += time.perf_counter() - before

    def _shared_prefill(self) -> _Group:
        ids, batch = self.variations[0].ids, len(self.variations)
        cache = self.engine._cache(1, len(ids) + _FIRST_ROOM)
        logits_BV = self.engine._read([ids], cache)
        if batch > 1:
            cache = self.engine._expand(cache, batch)
        return _Group([*self.variations], cache, np.repeat(logits_BV, batch, axis=0))

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
                group.rows[i] = None
                groups.append(self._reread(row, group))
        active = [row for row in group.rows if row is not None]
        if not active:
            return groups
        if group.cache.length == group.cache.capacity:
            wider = self.engine._cache(len(active), 2 * group.cache.capacity)
            return [_Group([*active], wider, self.engine._read([row.ids for row in active], wider)), *groups]
        pad = self.engine.vocabulary.pad
        group.logits_BV = self.engine._read([[pad if row is None else row.ids[-1]] for row in group.rows], group.cache)
        return [group, *groups]

    def _reread(self, row: Variation, group: _Group) -> _Group:
        """A group for one row whose ids were replaced: its cache rolled back if it was alone, else read anew."""
        alone = len(group.rows) == 1
        if alone and 0 < row.ids_kept <= group.cache.length:
            cache = group.cache
            cache.rollback(len(row.ids) - 1)
            return _Group([row], cache, self.engine._read([row.ids[-1:]], cache))
        cache = self.engine._cache(1, len(row.ids) + _FIRST_ROOM)
        return _Group([row], cache, self.engine._read([row.ids], cache))

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
            ),
        )
