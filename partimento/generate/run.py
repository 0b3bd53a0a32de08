"""One call of the engine: its variations, the batches they share, its clock.

It knows when rows of a cache may be shared, copied, rolled back or have to be read anew, and where candidates of a
search are followed by the best of them. How tokens are chosen is the variation's (`decode/variation.py`).

    run = Run(engine, prompt, start, settings)
    for variation, note in run.notes(): ...
    for decided in run.steps(): ...            # the same, with a pause after every step (batching.py)

Shape legend: B rows, R last positions of a reading, V vocabulary.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from partimento.generate.backends.draft import Draft
from partimento.generate.backends.language_model import LanguageModel
from partimento.generate.decode.search import TOKENS_OF_A_SEGMENT, Search
from partimento.generate.decode.variation import Variation
from partimento.generate.prompt.prefix_cache import PrefixCache
from partimento.generate.prompt.start import Start
from partimento.generate.prompt.writer import as_performance
from partimento.generate.settings import Continuation, GeneratedNote, Settings, Timings
from partimento.midi.performance import Performance

if TYPE_CHECKING:
    from partimento.generate.backends.backend import Cache
    from partimento.generate.decode.sampling import Proposal

Notes = Generator[tuple[int, GeneratedNote]]
NoteHandler = Callable[[int, GeneratedNote], None]
Decided = list[tuple[int, GeneratedNote]]
Steps = Generator[Decided]
T = TypeVar("T")


@dataclass(slots=True)
class _Group:
    """Variations in step: one cache, one row for each; None where a variation is over, waits or has left.

    A group with a draft has one row, and its logits are also those behind each of the proposals.
    """

    rows: list[Variation | None]
    cache: Cache
    logits_BRV: NDArray[np.float32]
    draft: Draft | None = None
    proposals: list[Proposal] = field(default_factory=list)


class Run:
    """One continuation, or one filling, in as many variations as asked for."""

    def __init__(
        self,
        engine: LanguageModel,
        given: Performance,
        start: Start,
        settings: Settings,
        prefix_cache: PrefixCache | None = None,
    ) -> None:
        self.engine, self.given = engine, given
        self._prefix_cache = prefix_cache
        sampling = settings.sampling or engine.abilities.sampling
        self.variations = [Variation(start, settings, sampling, number) for number in range(settings.variations)]
        candidates = engine.candidates(settings, filling=bool(start.after))
        self._searches: dict[int, Search] = {}
        if candidates > 1:
            self._searches = {
                row.number: Search(row, candidates=candidates, wishes=settings.wishes) for row in self.variations
            }
        self.from_seconds = start.from_seconds
        self._began = self._paused_s = self._prefill_s = self._decode_s = 0.0
        self._first_note_s: list[float | None] = [None] * settings.variations
        self._pedal_told = [0] * settings.variations
        self._tokens = 0
        self._decided: Decided = []

    def complete(self, on_note: NoteHandler | None) -> list[Continuation]:
        """All variations to their ends."""
        for variation, note in self.notes():
            if on_note is not None:
                on_note(variation, note)
        return self.results()

    def notes(self) -> Notes:
        """Each note with the number of its variation, as soon as it is decided for good."""
        with closing(self.steps()) as steps:
            for decided in steps:
                yield from decided

    def steps(self) -> Steps:
        """The same, with a pause after every step of the model or part of a prefill: a list of notes, often empty.

        Of several variations the one that is least far goes on, so the first is heard before the last has begun.
        """
        self._began = time.perf_counter()
        groups = yield from self._shared_prefill()
        group = groups[-1]
        self._prefill_s = self._worked_s
        try:
            while groups:
                group = min(groups, key=self._how_far)
                groups.remove(group)
                self._advance(group)
                for row in filter(self._goes_on, filter(None, group.rows)):
                    self.variations[row.number] = row
                    self._release(row)
                if self._decided:
                    yield from self._pause()
                groups += yield from self._go_on(group)
                yield from self._pause()
                self._decode_s = self._worked_s - self._prefill_s
        finally:
            if self._prefix_cache is not None and len(self.variations) == 1 and not self._searches:
                self._prefix_cache.keep(self.variations[0].window.read(group.cache.length), group.cache)

    def pedal(self) -> list[tuple[int, tuple[float, float]]]:
        """The pedal intervals (down, up) in seconds, with their variations, that were decided since the last call."""
        new: list[tuple[int, tuple[float, float]]] = []
        for number, variation in enumerate(self.variations if self.engine.abilities.pedal_tokens else ()):
            decided = [interval for interval in variation.new_pedal() if interval[1] <= variation.until]
            new += [(number, interval) for interval in decided[self._pedal_told[number] :]]
            self._pedal_told[number] = len(decided)
        return new

    def until(self) -> list[float]:
        """Up to where each variation is decided for good, in seconds on the prompt's clock; infinite if it is over."""
        return [variation.until for variation in self.variations]

    def results(self) -> list[Continuation]:
        """All variations as far as they are."""
        return [self._result(variation) for variation in self.variations]

    @property
    def fills(self) -> bool:
        """Whether it fills a gap: then nothing is decided before all is."""
        return bool(self.variations[0].start.after)

    def cut(self) -> None:
        """Forgets what has not been handed out: the variations end there."""
        for variation in self.variations:
            variation.cut()

    @property
    def _worked_s(self) -> float:
        return time.perf_counter() - self._began - self._paused_s

    def _pause(self) -> Generator[Decided]:
        """Hands out what was decided since the last time; how long the listener takes is not ours."""
        decided, self._decided = self._decided, []
        paused = time.perf_counter()
        for number, _ in decided:
            if self._first_note_s[number] is None:
                self._first_note_s[number] = paused - self._began
        yield decided
        self._paused_s += time.perf_counter() - paused

    def _how_far(self, group: _Group) -> tuple[float, int]:
        return min((self.variations[row.number].until, row.number) for row in group.rows if row is not None)

    def _shared_prefill(self) -> Generator[Decided, None, list[_Group]]:
        prefix_cache = PrefixCache(self.engine) if self._prefix_cache is None else self._prefix_cache
        cache, logits_1V, _ = yield from self._in_parts(prefix_cache.reading(self.variations[0].tokens))
        logits_11V, batch = logits_1V[:, None], len(self.variations)
        if self._searches:
            return [self._copied(search.begin(), cache, logits_11V) for search in self._searches.values()]
        if batch == 1:
            prefix_cache.forget()  # a single variation goes on in the cache itself
        if self.engine.draft is not None:
            caches = [cache.take([0]) for _ in self.variations[1:]] + [cache]
            drafts = [Draft(self.engine.draft, row) for row in self.variations]
            rows = zip(self.variations, caches, drafts, strict=True)
            return [_Group([row], own, logits_11V, draft) for row, own, draft in rows]
        if batch == 1:
            return [_Group([*self.variations], cache, logits_11V)]
        return [self._copied([*self.variations], cache, logits_11V)]

    def _in_parts(self, reading: Generator[None, None, T]) -> Generator[Decided, None, T]:
        """Lets others go on between the parts of a long reading."""
        while True:
            try:
                next(reading)
            except StopIteration as done:
                return done.value
            yield from self._pause()

    def _copied(self, rows: list[Variation], cache: Cache, logits_11V: NDArray[np.float32]) -> _Group:
        """A group whose rows all begin with the one row of a cache."""
        batch = len(rows)
        return _Group([*rows], cache.take([0] * batch), np.repeat(logits_11V, batch, axis=0))

    def _advance(self, group: _Group) -> None:
        """Every row decides its next token, or with a draft as many as it can; its cache forgets what was not kept."""
        before = group.cache.length - len(group.proposals)
        for i, row in enumerate(group.rows):
            if row is not None:
                decided = row.advance(group.logits_BRV[i], group.proposals)
                if self._goes_on(row):
                    self._tokens += decided
                if group.proposals:
                    group.cache.rollback(before + decided - 1)

    def _go_on(self, group: _Group) -> Generator[Decided, None, list[_Group]]:
        """The groups that take over from one whose rows have each decided a token, which the model has then read."""
        groups = []
        for i, row in enumerate(group.rows):
            if row is None:
                continue
            if row.done or row.paused:
                group.rows[i] = None
                groups += yield from self._arrived(row, group, i)
            elif row.stale:
                row.stale = False
                groups.append((yield from self._reread(i, group)))
                group.rows[i] = None
        active = [row for row in group.rows if row is not None]
        if not active:
            return groups
        if group.draft is not None:
            group.proposals = group.draft.propose(self.engine.context - len(active[0].tokens))
        ahead = [proposal.token for proposal in group.proposals]
        full = group.cache.length + len(ahead) >= group.cache.capacity
        if full or 2 * len(active) <= len(group.rows):
            kept = _even(group.rows)
            room = min((2 if full else 1) * group.cache.capacity, self.engine.context)
            group.rows, group.cache = [group.rows[i] for i in kept], group.cache.take(kept, capacity=room)
        pad = self.engine.vocabulary.pad
        ids_BT = [[pad if row is None else row.tokens[-1], *ahead] for row in group.rows]
        group.logits_BRV = self.engine.read(ids_BT, group.cache, chosen=active[0].chosen, last=1 + len(ahead))
        return [group, *groups]

    def _arrived(self, row: Variation, group: _Group, number: int) -> Generator[Decided, None, list[_Group]]:
        """What follows when a row is over, or has come to the end of its segment: the next segment, if all have."""
        search = self._searches.get(row.number)
        if search is None:
            return []
        search.arrive(row, group.cache, number)
        if not search.complete:
            return []
        best = search.choose()
        self._tokens += best.row.chosen - self.variations[row.number].chosen  # what was dropped is no music
        self.variations[row.number] = best.row
        self._release(best.row)  # before it is forked, or its candidates would release the same again
        if best.row.done:
            return []
        best.row.make_room(min(TOKENS_OF_A_SEGMENT, self.engine.context // 4))
        if best.row.stale:
            best.row.stale = False
            return [self._copied(search.begin(), *(yield from self._read_anew(best.row)))]
        rows, length = search.begin(), len(best.row.tokens)
        room = min(max(best.cache.capacity, length + TOKENS_OF_A_SEGMENT), self.engine.context)
        cache = best.cache.take([best.number] * len(rows), capacity=room)
        cache.rollback(length - 1)
        last_BT = [best.row.tokens[-1:]] * len(rows)
        return [_Group([*rows], cache, self.engine.read(last_BT, cache, chosen=best.row.chosen))]

    def _goes_on(self, row: Variation) -> bool:
        """Whether it is what will be heard, rather than one of several candidates."""
        search = self._searches.get(row.number)
        return search is None or search.alone

    def _release(self, row: Variation) -> None:
        self._decided += [(row.number, note) for note in row.release()]

    def _reread(self, number: int, group: _Group) -> Generator[Decided, None, _Group]:
        """A group for one row whose tokens were replaced: its cache rolled back if its tokens begin so, else read
        anew.
        """
        row = group.rows[number]
        assert row is not None
        if 0 < row.window.kept <= group.cache.length:
            cache = group.cache if len(group.rows) == 1 else group.cache.take([number])
            cache.rollback(len(row.tokens) - 1)
            return _Group([row], cache, self.engine.read([row.tokens[-1:]], cache, chosen=row.chosen), group.draft)
        return _Group([row], *(yield from self._read_anew(row)), group.draft)

    def _read_anew(self, row: Variation) -> Generator[Decided, None, tuple[Cache, NDArray[np.float32]]]:
        cache = self.engine.new_cache(len(row.tokens))
        return cache, (yield from self._in_parts(self.engine.prefill(row.tokens, cache, chosen=row.chosen)))

    def _result(self, variation: Variation) -> Continuation:
        generated = as_performance(self.given, variation.new_notes(), variation.new_pedal())
        tokens, prompt_tokens = variation.final_tokens()
        return Continuation(
            performance=self.given.merge(generated),
            given=self.given,
            generated=generated,
            filled=variation.gap,
            tokens=tuple(tokens),
            prompt_tokens=prompt_tokens,
            retries=variation.retries,
            fallback=variation.fallback,
            ended=variation.ended,
            timings=Timings(
                prefill_s=self._prefill_s,
                first_note_s=self._first_note_s[variation.number],
                tokens_per_s=self._tokens / self._decode_s if self._decode_s else 0.0,
                draft_accepted=variation.accepted / variation.proposed if variation.proposed else None,
            ),
        )


def _even(rows: Sequence[Variation | None]) -> list[int]:
    """Which rows to keep: those that go on, and where that is an odd number one that does not, if there is any.

    Kernels of ONNX Runtime sum the last row of an odd batch in another order (benchmarks/studio/rows.md).
    """
    kept = [i for i, row in enumerate(rows) if row is not None]
    return kept + [i for i, row in enumerate(rows) if row is None][: len(kept) % 2]
