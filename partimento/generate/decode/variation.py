"""One continuation in the making, or one filling of a gap: chooses tokens, completes events, says when it is over.

Knows what was decided so far, loops that are taken back, and which of several fillings is kept; what may come next is
`rules.py`, what the model has read `window.py`, how it ends `ending.py`. Refuses to know the model: it is given logits
and says which tokens follow. `chosen` counts the tokens that were decided, also those that were taken back; `proposed`
and `accepted` count what a draft wrote ahead.

A filling is over with the first thing that would lie behind its gap. It is heard when it is whole: one in which a loop
had to be left standing, or the model held back from piling up notes, is made anew, and the best of three is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from itertools import zip_longest
from typing import Self

import numpy as np
from numpy.typing import NDArray

from partimento.generate.decode.attempts import MOST_ATTEMPTS, Attempt, best, fallback
from partimento.generate.decode.ending import Ending
from partimento.generate.decode.length import Length
from partimento.generate.decode.loops import LoopWatch
from partimento.generate.decode.rules import Rules
from partimento.generate.decode.sampling import Proposal, Sampling, accept_or_resample, draw, seeded
from partimento.generate.decode.window import Window
from partimento.generate.prompt.events import Event, spell
from partimento.generate.prompt.start import Start
from partimento.generate.settings import GeneratedNote, Settings
from partimento.midi.columns import NS_PER_S
from partimento.tokens.grammar import State
from partimento.tokens.infill import arrange_hole
from partimento.tokens.vocabulary import Kind

_ROOM_FOR_EVENT = 8
_MOST_SILENT_SEGMENTS = 3
_MOST_RETRIES = 16


class Variation:
    """State of one continuation.

    `looped` counts the events that went on with a loop when `retries` were used up, `crowded` the tokens where most of
    the probability was for more than can begin at once.
    """

    def __init__(self, start: Start, settings: Settings, sampling: Sampling, number: int) -> None:
        self.start, self.settings, self.number = start, settings, number
        self.rules = Rules(start, sampling)
        self.window = Window(start, start.events)
        self.ending = Ending(start, Length.of(settings, start), wanted=settings.end)
        self.events: list[Event] = []
        self.note_count = self.retries = self.looped = self.crowded = 0
        self.chosen = self.proposed = self.accepted = 0
        self.until_ms: float | None = None
        self.done = self.paused = False
        self._attempts: list[Attempt] = []
        self._generator = seeded(settings.seed, variation=number)
        self._watch = LoopWatch()
        self._released = self._hot_until = self._silent_segments = 0
        self._head, self._onset_ms = 0, 0

    # -- what the engine does with it ---------------------------------------------------------------------------------

    @property
    def tokens(self) -> list[int]:
        """What the model has read, or is to read if `stale`."""
        return self.window.tokens

    @property
    def stale(self) -> bool:
        """Whether the tokens were replaced and the model has to read them anew."""
        return self.window.stale

    @stale.setter
    def stale(self, value: bool) -> None:
        self.window.stale = value

    def advance(self, logits_RV: NDArray[np.floating], proposals: Sequence[Proposal] = ()) -> int:
        """Decides the next token from logits [R, V], of which the first follow `tokens`; how many were decided.

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
            self.paused = self.until_ms is not None and self.window.at_boundary and self.now_ms >= self.until_ms
            if not (self.done or self.stale or self.paused) and self.window.at_boundary:
                self.make_room(_ROOM_FOR_EVENT)
            if self.done or self.stale or self.paused or proposal is None or token != proposal.token:
                break
        return self.chosen - before

    def fork(self, generator: np.random.Generator, *, until_ms: float | None = None) -> Self:
        """The same so far, and from here on with its own chance: what either does changes nothing in the other.

        The fork pauses where it has come to `until_ms` on the model's clock.
        """
        other = copy(self)
        other.events, other._attempts = self.events.copy(), self._attempts.copy()
        other.window, other.ending, other._watch = self.window.copy(), replace(self.ending), self._watch.copy()
        other._generator = generator
        other.until_ms, other.paused = until_ms, False
        return other

    @property
    def now_ms(self) -> int:
        """Where the music has come to on the model's clock: its latest event, or the segment that has begun."""
        last = self.events[-1] if self.events else self.start.events[-1] if self.start.events else None
        return max(last.ms if last else 0, self.window.segment_ms)

    def make_room(self, tokens: int) -> None:
        """Moves the window on if it has no room for so many more tokens; the model then has to read it anew."""
        if self.window.is_full(tokens):
            self._open_window(self.start.context // 2)

    def next_token_probabilities(
        self, logits_V: NDArray[np.floating], ahead: Sequence[int] = ()
    ) -> NDArray[np.float64]:
        """A guess at the probabilities [V] of the token behind `tokens` and those ahead: the grammar's alone."""
        state = self.start.grammar.run(ahead, self.window.state)
        allowed, banned_V = self.start.grammar.allowed(state), self._banned(state)
        return self.rules.probabilities(logits_V, state, allowed, banned_V, hot=self._hot)

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
        self.ending.forget(behind=len(self.events))

    @property
    def gap(self) -> tuple[float, float] | None:
        """Start and end in seconds of the gap that is filled."""
        begin, length = self.start.from_seconds, self.settings.seconds
        return (begin, begin + length) if self.start.after and length is not None else None

    def new_notes(self) -> list[GeneratedNote]:
        """All new notes."""
        return [self.start.note(event) for event in self.events if self.start.sounds(event)]

    def new_pedal(self) -> list[tuple[float, float]]:
        """The new pedal intervals, in seconds on the prompt's clock; empty where the model writes no pedal."""
        v = self.start.vocabulary
        final_ms = max((e.ms + int(v.ms_of[e.duration]) for e in self.events if e.duration is not None), default=0)
        if self.start.after:
            final_ms = min(final_ms, int(self.ending.length.end_ms))  # behind the gap the pedal is as it was
        return self.start.pedal([event for event in self.events if not self.start.sounds(event)], final_ms)

    @property
    def ended(self) -> bool | None:
        """Whether the model ended it by itself; None while it is not over, or where no ending was asked for."""
        return self.ending.by_itself

    @property
    def fallback(self) -> str | None:
        """None where all went well; else, in plain words, what there is in place of what could not be had."""
        return fallback(self._as_attempt(), fillings=len(self._attempts), taken_back=self.retries)

    def final_tokens(self) -> tuple[list[int], int]:
        """Tokens of all that was given and made on one clock, and how many of them were given."""
        v, start = self.start.vocabulary, self.start
        given = spell(v, start.prefix, start.events, origin=0)
        whole = spell(v, start.prefix, self.ending.among(self.events), origin=0)
        if start.after:
            after = spell(v, (), start.after, origin=0)
            return arrange_hole(whole, after, v, closed=True), len(arrange_hole(given, after, v))
        return whole, len(given)

    # -- choosing ---------------------------------------------------------------------------------------------------

    def _choose(self, logits_V: NDArray[np.floating], proposal: Proposal | None) -> int:
        state = self.window.state
        if self.window.at_boundary and self.ending.is_due(
            now_ms=self.now_ms, notes=self.note_count, events=self.events
        ):
            return self.start.vocabulary.dim
        allowed, banned_V = self.rules.allowed(state), self._banned(state)
        full_V = self.start.crowd.full(
            state, self._head, self.events, segment_ms=self.window.segment_ms, end_ms=self.ending.length.end_ms
        )
        if full_V.any():
            free_V = self.rules.probabilities(logits_V, state, allowed, banned_V, hot=self._hot)
            self.crowded += bool(free_V[full_V].sum() > 0.5)
            banned_V = banned_V | full_V
        p_V = self.rules.probabilities(logits_V, state, allowed, banned_V, hot=self._hot)
        return draw(p_V, self._generator) if proposal is None else accept_or_resample(p_V, proposal, self._generator)

    def _banned(self, state: State) -> NDArray[np.bool_]:
        may_end = self.ending.may_come(now_ms=self.now_ms, notes=self.note_count)
        banned_V = self.rules.banned(state, may_end=may_end, must_sound=self._silent_segments >= _MOST_SILENT_SEGMENTS)
        if self.start.at_once and not self.events:
            return banned_V | self.rules.too_late(state, self.window.segment_ms)
        return banned_V

    @property
    def _hot(self) -> bool:
        """Whether the music has not come past the loop that was taken back."""
        return len(self.events) < self._hot_until

    # -- what a token does --------------------------------------------------------------------------------------------

    def _push(self, token: int) -> None:
        v = self.start.vocabulary
        kind = Kind(int(v.kind_of[token]))
        if self.window.ends_gap(token):
            self._finish()
            return
        self.window.push(token)
        if kind == Kind.SEGMENT:
            self._silent_segments += 1
            if self.ending.length.is_late(self.window.segment_ms):
                self._finish()
        elif kind == Kind.DIM:
            self.ending.announce(behind=len(self.events))
        elif kind == Kind.END:
            self._finish(by_itself=True)
        elif kind == Kind.ONSET:
            self._onset_ms = self.window.segment_ms + int(v.ms_of[token])
            if self.ending.length.is_late(self._onset_ms):
                self._finish()
            elif self.window.at_boundary:
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
        if self.ending.length.is_full(self.note_count):
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
        self.ending.close(behind=len(self.events), by_itself=by_itself)

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
        self.ending.forget(behind=keep)
        self._open_window(self.start.context if self.window.origin == 0 else self.start.context // 2)

    def _open_window(self, room: int) -> None:
        self.window.open(self.ending.among(self.events), room)
