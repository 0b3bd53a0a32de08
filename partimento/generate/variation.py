"""One continuation in the making, or one filling of a gap: chooses tokens, completes events, decides when it is over.

Knows the grammar, the length asked for, the ending, loops that are taken back, the most that can begin at once, and the
window of latest events that the model sees; where a gap is filled, what follows it is in that window too. Refuses to
know the model: it is given logits and says which tokens follow. `stale` says that `tokens` were replaced (a loop taken
back, a window moved) and the model has to read them anew; `chosen` counts the tokens that were decided, also those
that were taken back; `proposed` and `accepted` count what a draft wrote ahead.

A filling is over with the first thing that would lie behind its gap. It is heard when it is whole: one in which a loop
had to be left standing, or the model held back from piling up notes, is made anew, and the best of three is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import copy
from itertools import zip_longest
from typing import Self

import numpy as np
from numpy.typing import NDArray

from partimento.generate.attempts import MOST_ATTEMPTS, Attempt, best, fallback
from partimento.generate.events import Event, spell
from partimento.generate.length import Length
from partimento.generate.loops import LoopWatch
from partimento.generate.sampling import Proposal, Sampling, accept_or_resample, draw, probabilities, seeded
from partimento.generate.settings import GeneratedNote, Settings
from partimento.generate.start import Start, window
from partimento.midi.columns import NS_PER_S
from partimento.tokens.grammar import Expect, Part, State, TokenRanges
from partimento.tokens.infill import arrange_hole
from partimento.tokens.vocabulary import SEGMENT_MS, Kind

_ROOM_FOR_EVENT = 8
_MOST_SILENT_SEGMENTS = 3
_MOST_RETRIES = 16
_HEAT = 1.3
_ONSET_EXPECTED = (Expect.NOTE_ONSET, Expect.LONE_ONSET)


class Variation:
    """State of one continuation; `tokens` is what the model has read of it.

    `looped` counts the events that went on with a loop when `retries` were used up, `crowded` the tokens where most of
    the
    probability was for more than can begin at once.
    """

    def __init__(self, start: Start, settings: Settings, sampling: Sampling, number: int) -> None:
        self.start, self.settings, self.sampling, self.number = start, settings, sampling, number
        self.events: list[Event] = []
        self.tokens: list[int] = []
        self.tokens_kept = 0
        self.note_count = 0
        self._state: State = start.grammar.start()
        self._segment = 0
        self._origin = 0
        self.retries = 0
        self.looped = self.crowded = 0
        self._attempts: list[Attempt] = []
        self.chosen = self.proposed = self.accepted = 0
        self.until_ms: float | None = None
        self.done = self.paused = False
        self.stale = False
        self._generator = seeded(settings.seed, variation=number)
        self._watch = LoopWatch()
        self._released = 0
        self._dim_at: int | None = None
        self.ended: bool | None = None
        self._hot_until = 0
        self._silent_segments = 0
        self._head, self._onset_ms = 0, 0
        self._length = Length.of(settings, start)
        whole = len(spell(start.vocabulary, start.prefix, start.events, origin=0))
        fits = whole <= start.context - start.context // 8 and not start.after
        self._open_window(whole if fits else start.context * 3 // 4)
        self.stale = False

    # -- what the engine does with it ---------------------------------------------------------------------------------

    def advance(self, logits_RV: NDArray[np.floating], proposals: Sequence[Proposal] = ()) -> int:
        """Decides the next token from logits [R, V], of which the first follow `tokens`; how many tokens were decided.

        The others follow `tokens` and proposals; each decides one more token as long as every proposal before it was
        accepted.
        """
        before = self.chosen
        for logits_V, proposal in zip_longest(logits_RV, proposals):
            token = self._choose(logits_V, proposal)
            self._push(token)
            self.chosen += 1
            if proposal is not None:
                self.proposed += 1
                self.accepted += token == proposal.token
            self.paused = self._has_come_to_pause()
            if not (self.done or self.stale or self.paused) and self._at_boundary:
                self.make_room(_ROOM_FOR_EVENT)
            if self.done or self.stale or self.paused or proposal is None or token != proposal.token:
                break
        return self.chosen - before

    def fork(self, generator: np.random.Generator, *, until_ms: float | None = None) -> Self:
        """The same so far, and from here on with its own chance: what either does changes nothing in the other.

        The fork pauses where it has come to `until_ms` on the model's clock.
        """
        other = copy(self)
        other.events, other.tokens, other._watch = self.events.copy(), self.tokens.copy(), self._watch.copy()
        other._attempts = self._attempts.copy()
        other._generator = generator
        other.until_ms, other.paused = until_ms, False
        return other

    @property
    def from_ms(self) -> float:
        """Where lengths count from, on the model's clock."""
        return 1000 * self.start.from_seconds - self.start.clock_ns / 1e6

    def make_room(self, tokens: int) -> None:
        """Moves the window on if it has no room for so many more tokens; the model then has to read it anew."""
        if len(self.tokens) + tokens > self.start.context:
            self._open_window(self.start.context // 2)

    def next_token_probabilities(
        self, logits_V: NDArray[np.floating], ahead: Sequence[int] = ()
    ) -> NDArray[np.float64]:
        """A guess at the probabilities [V] of the token behind `tokens` and tokens ahead of them: the grammar's
        alone.
        """
        state = self.start.grammar.run(ahead, self._state)
        return self._weighed(logits_V, state, self.start.grammar.allowed(state), self._banned(state))

    def tokens_read(self, length: int) -> list[int]:
        """Those of `tokens` that a cache of so many positions holds."""
        return self.tokens[: min(length, self.tokens_kept) if self.stale else length]

    def release(self) -> Iterator[GeneratedNote]:
        """The notes that are decided for good and were not released before, in order."""
        safe = len(self.events) if self.done else 0 if self.start.after else self._watch.safe
        while self._released < safe:
            event = self.events[self._released]
            self._released += 1
            if self.start.sounds(event):
                yield self.start.note(event)

    @property
    def until(self) -> float:
        """Up to where all is decided for good, in seconds on the prompt's clock; infinite where it is over."""
        if self.done:
            return math.inf
        if self.start.after:
            return self.start.from_seconds
        ms = self.events[self._released].ms if self._released < len(self.events) else self.now_ms
        return max(self.start.from_seconds, (self.start.clock_ns + 1_000_000 * ms) / NS_PER_S)

    def cut(self) -> None:
        """Forgets what has not been released."""
        del self.events[self._released :]
        if self._dim_at is not None and self._dim_at > len(self.events):
            self._dim_at = None

    def new_notes(self) -> list[GeneratedNote]:
        """All new notes."""
        return [self.start.note(event) for event in self.events if self.start.sounds(event)]

    def new_pedal(self) -> list[tuple[float, float]]:
        """The new pedal intervals, in seconds on the prompt's clock; empty where the model writes no pedal."""
        v = self.start.vocabulary
        final_ms = max((e.ms + int(v.ms_of[e.duration]) for e in self.events if e.duration is not None), default=0)
        if self.start.after:
            final_ms = min(final_ms, int(self._length.end_ms))  # behind the gap the pedal is as it was
        return self.start.pedal([event for event in self.events if not self.start.sounds(event)], final_ms)

    @property
    def fallback(self) -> str | None:
        """None where all went well; else, in plain words, what there is in place of what could not be had."""
        return fallback(self._as_attempt(), fillings=len(self._attempts), taken_back=self.retries)

    def final_tokens(self) -> tuple[list[int], int]:
        """Tokens of all that was given and made on one clock, and how many of them were given."""
        v, start = self.start.vocabulary, self.start
        given = spell(v, start.prefix, start.events, origin=0)
        whole = spell(v, start.prefix, self._all_events(), origin=0)
        if start.after:
            after = spell(v, (), start.after, origin=0)
            return arrange_hole(whole, after, v, closed=True), len(arrange_hole(given, after, v))
        return whole, len(given)

    # -- choosing ---------------------------------------------------------------------------------------------------

    @property
    def _at_boundary(self) -> bool:
        return self._state.expect is Expect.EVENT

    def _choose(self, logits_V: NDArray[np.floating], proposal: Proposal | None) -> int:
        if self._at_boundary and self._ending_is_due():
            return self.start.vocabulary.dim
        allowed, banned_V = self._allowed, self._banned(self._state)
        full_V = self.start.crowd.full(
            self._state, self._head, self.events, segment_ms=self._segment_ms, end_ms=self._length.end_ms
        )
        if full_V.any():
            free_V = self._weighed(logits_V, self._state, allowed, banned_V)
            self.crowded += bool(free_V[full_V].sum() > 0.5)
            banned_V = banned_V | full_V
        p_V = self._weighed(logits_V, self._state, allowed, banned_V)
        return draw(p_V, self._generator) if proposal is None else accept_or_resample(p_V, proposal, self._generator)

    def _has_come_to_pause(self) -> bool:
        return self.until_ms is not None and self._at_boundary and self.now_ms >= self.until_ms

    @property
    def _in_last_segment(self) -> bool:
        """Whether the gap ends in this segment."""
        return self._state.part is Part.STREAM and self._state.segments == 0

    @property
    def _allowed(self) -> TokenRanges:
        """What may come next: the grammar's, and whatever ends a filling since it would lie behind the gap."""
        v, state = self.start.vocabulary, self._state
        allowed = self.start.grammar.allowed(state)
        if not self._in_last_segment:
            return allowed
        if state.expect is Expect.EVENT:
            return *allowed, (v.segment, v.segment + 1)
        return ((state.onset, v.onset[1]),) if state.expect in _ONSET_EXPECTED else allowed

    def _banned(self, state: State) -> NDArray[np.bool_]:
        v, banned_V = self.start.vocabulary, self.start.banned_V
        if state.expect is Expect.EVENT:
            banned_V = banned_V.copy()
            banned_V[v.dim] = True
            banned_V[v.end] = not self._may_end()
            if self._silent_segments >= _MOST_SILENT_SEGMENTS:  # now something has to sound
                banned_V[[token for token in (v.segment, v.pedal_on, v.pedal_off) if token is not None]] = True
        return banned_V

    def _weighed(
        self, logits_V: NDArray[np.floating], state: State, allowed: TokenRanges, banned_V: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        v, sampling = self.start.vocabulary, self.sampling
        uncut: tuple[int, ...] = ()
        if len(self.events) < self._hot_until:
            sampling = sampling.heated(_HEAT)
        if state.expect is not Expect.EVENT:
            sampling = sampling.of_times()
        elif not sampling.cut_times:
            uncut = (v.segment, v.end)
        masked_V = np.where(banned_V, -np.inf, logits_V)
        return probabilities(masked_V, allowed, sampling, uncut=uncut)

    def _ending_is_due(self) -> bool:
        if not self.settings.end or self._dim_at is not None:
            return False
        events = [*self.start.events, *self.events]
        return self._length.ending_is_due(now_ms=self.now_ms, notes=self.note_count, events=events)

    def _may_end(self) -> bool:
        if self._dim_at is None:
            return bool(self.start.after)
        return self._length.ending_is_allowed(now_ms=self.now_ms, notes=self.note_count)

    @property
    def _segment_ms(self) -> int:
        return self._origin + self._segment * SEGMENT_MS

    @property
    def now_ms(self) -> int:
        """Where the music has come to on the model's clock: its latest event, or the segment that has begun."""
        last = self.events[-1] if self.events else self.start.events[-1] if self.start.events else None
        return max(last.ms if last else 0, self._segment_ms)

    # -- what a token does
    # ----------------------------------------------------------------------------------------------

    def _push(self, token: int) -> None:
        v = self.start.vocabulary
        kind = Kind(int(v.kind_of[token]))
        if self._in_last_segment and (
            kind == Kind.SEGMENT or (kind == Kind.ONSET and token >= (self._state.gap_end or v.onset[1]))
        ):
            self._finish()
            return
        self._state = self.start.grammar.step(self._state, token)
        self.tokens.append(token)
        if kind == Kind.SEGMENT:
            self._segment += 1
            self._silent_segments += 1
            if self._length.is_late(self._segment_ms):
                self._finish()
        elif kind == Kind.DIM:
            self._dim_at = len(self.events)
        elif kind == Kind.END:
            self._finish(by_itself=True)
        elif kind == Kind.ONSET:
            self._onset_ms = self._segment_ms + int(v.ms_of[token])
            if self._length.is_late(self._onset_ms):
                self._finish()
            elif self._at_boundary:
                self._complete(Event(head=self._head, ms=self._onset_ms))
        elif kind == Kind.DURATION:
            self._complete(Event(head=self._head, ms=self._onset_ms, duration=token))
        else:
            self._head = token

    def _complete(self, event: Event) -> None:
        if self.start.sounds(event):
            self._silent_segments = 0
        before = self.events[-1].ms if self.events else event.ms
        self.events.append(event)
        self.note_count += self.start.sounds(event)
        self._watch.add((self.start.key(event), event.ms - before, event.duration))
        keep = self._watch.loop
        if keep is not None and self.retries < _MOST_RETRIES * (1 + len(self._attempts)):
            self._take_back(keep)
            return
        self.looped += keep is not None
        if self._length.is_full(self.note_count):
            self._finish()

    def _finish(self, *, by_itself: bool = False) -> None:
        if self.start.after:
            self._attempts.append(self._as_attempt())
            kept = best(self._attempts)
            if kept.flaws and len(self._attempts) < MOST_ATTEMPTS:
                self._begin_anew()
                return
            self.events, self.looped, self.crowded = [*kept.events], kept.looped, kept.crowded
        self.done = True
        if self.settings.end:
            self.ended = by_itself
            self._dim_at = len(self.events) if self._dim_at is None else self._dim_at

    def _as_attempt(self) -> Attempt:
        return Attempt(events=tuple(self.events), looped=self.looped, crowded=self.crowded)

    # -- going back, moving on ----------------------------------------------------------------------------------------

    def _begin_anew(self) -> None:
        """The filling from its start, with other numbers drawn."""
        self.events = []
        self.note_count = self.looped = self.crowded = self._hot_until = self._silent_segments = 0
        self._watch = LoopWatch()
        self._open_window(self.start.context * 3 // 4)

    def _take_back(self, keep: int) -> None:
        self.retries += 1
        self._hot_until = 2 * len(self.events) - keep + 8
        del self.events[keep:]
        self.note_count = sum(map(self.start.sounds, self.events))
        self._watch.forget(keep)
        if self._dim_at is not None and self._dim_at > keep:
            self._dim_at = None
        self._open_window(self.start.context if self._origin == 0 else self.start.context // 2)

    def _open_window(self, room: int) -> None:
        before, opened = self.tokens, window(self.start, self._all_events(), room)
        self.tokens, self._origin, self._segment, self._state = (
            opened.tokens,
            opened.origin,
            opened.segment,
            opened.state,
        )
        # A <T> that led to what was taken back goes with it, so what is left begins what was read, or nothing does.
        self.tokens_kept = len(self.tokens) if before[: len(self.tokens)] == self.tokens else 0
        self.stale = True

    def _all_events(self) -> list[Event]:
        v, events = self.start.vocabulary, [*self.start.events, *self.events]
        if self._dim_at is not None:
            at = len(self.start.events) + self._dim_at
            events.insert(at, Event(head=v.dim, ms=events[at - 1].ms if at else 0, timed=False))
        if self.ended is not None:
            events.append(Event(head=v.end, ms=events[-1].ms, timed=False))
        return events
