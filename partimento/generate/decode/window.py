"""What the model has read of one variation: prefix and latest events as tokens, moved on when they fill the context.

Knows where the clock of those tokens begins, and where the grammar stands behind them; around a gap, also what follows
it. Refuses to know how tokens are chosen. `stale` says that the tokens were replaced, so that the model has to read
them anew; of those before, the first `kept` begin the new ones.

    window = Window(start, start.events)
    window.push(token)
    if window.is_full(8): window.open(events, start.context // 2)
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Self

from partimento.generate.prompt.events import Event, around_gap, latest, spell
from partimento.generate.prompt.start import Start
from partimento.midi.columns import NS_PER_S
from partimento.tokens.grammar import Expect, State
from partimento.tokens.infill import delimiter_of
from partimento.tokens.vocabulary import GRID_MS, SEGMENT_MS, Kind


class Window:
    """`tokens`, the grammar's `state` behind them, and their clock: `origin` (ms) and `segment`, of the last one."""

    def __init__(self, start: Start, events: Sequence[Event]) -> None:
        self._start = start
        self.tokens: list[int] = []
        self.kept = 0
        self.origin = self.segment = 0
        self.state: State = start.grammar.start()
        whole = len(spell(start.vocabulary, start.prefix, events, origin=0))
        fits = whole <= start.context - start.context // 8 and not start.after
        self.open(events, whole if fits else start.context * 3 // 4)
        self.stale = False

    def copy(self) -> Self:
        """Another one with the same tokens."""
        other = copy(self)
        other.tokens = self.tokens.copy()
        return other

    @property
    def segment_ms(self) -> int:
        """When the segment that has begun did so, on the model's clock."""
        return self.origin + self.segment * SEGMENT_MS

    @property
    def at_boundary(self) -> bool:
        """Whether the next token begins an event."""
        return self.state.expect is Expect.EVENT

    def ends_gap(self, token: int) -> bool:
        """Whether this token would lie behind the gap."""
        v = self._start.vocabulary
        onset = v.kind_of[token] == Kind.ONSET and token >= (self.state.gap_end or v.onset[1])
        return self.state.in_last_segment and (token == v.segment or bool(onset))

    def is_full(self, tokens: int) -> bool:
        """Whether there is no room for so many more tokens."""
        return len(self.tokens) + tokens > self._start.context

    def push(self, token: int) -> None:
        """One more token."""
        self.state = self._start.grammar.step(self.state, token)
        self.tokens.append(token)
        self.segment += token == self._start.vocabulary.segment

    def open(self, events: Sequence[Event], room: int) -> None:
        """The latest of `events`, of which what is given comes first; around a gap it ends where they have come to."""
        start, before = self._start, self.tokens
        if start.after:
            self._open_around_gap(events, room)
        else:
            self.tokens, self.origin = latest(start.vocabulary, start.prefix, events, room)
            self.segment = self.tokens.count(start.vocabulary.segment)
            self.state = start.grammar.run(self.tokens)
            if start.at_once:
                self._go_to_start()
        # A <T> that led to what was taken back goes with it, so what is left begins what was read, or nothing does.
        self.kept = len(self.tokens) if before[: len(self.tokens)] == self.tokens else 0
        self.stale = True

    def _open_around_gap(self, events: Sequence[Event], room: int) -> None:
        start, v = self._start, self._start.vocabulary
        tokens, origin = around_gap(v, start.prefix, events, start.after, room, context=start.context)
        stream = tokens[len(tokens) - tokens[::-1].index(delimiter_of(v)) :]
        self.tokens, self.origin = tokens, origin
        self.segment = stream.count(v.segment)
        self.state = start.grammar.run(self.tokens)
        self._go_to_start()

    def _go_to_start(self) -> None:
        """Until the moment where what is new begins, nothing can follow but <T>, and then nothing earlier."""
        start, v = self._start, self._start.vocabulary
        from_ns = round(start.from_seconds * NS_PER_S) - start.clock_ns
        ahead, step = divmod(-(-(from_ns - self.origin * 1_000_000) // (GRID_MS * 1_000_000)), SEGMENT_MS // GRID_MS)
        due = ahead - self.segment
        for _ in range(due):
            self.push(v.segment)
        if due >= 0:
            self.state = replace(self.state, onset=max(self.state.onset, v.onset[0] + step))

    def read(self, length: int) -> list[int]:
        """Those of the tokens that a cache of so many positions holds."""
        return self.tokens[: min(length, self.kept) if self.stale else length]
