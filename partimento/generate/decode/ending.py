"""How one continuation comes to its end: announced, found by the model, or stopped.

Knows where <D> and <E> stand among the new events, and when they may come (`length.py` says at which moments). Refuses
to know what an ending sounds like.

    ending = Ending(start, Length.of(settings, start), wanted=settings.end)
    if ending.is_due(now_ms=55_000, notes=180, events=events): ending.announce(behind=len(events))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from partimento.generate.decode.length import Length
from partimento.generate.prompt.events import Event
from partimento.generate.prompt.start import Start


@dataclass(slots=True)
class Ending:
    """`announced_behind` so many new events (None: not yet); `by_itself`: whether the model ended it (None: open)."""

    start: Start
    length: Length
    wanted: bool
    announced_behind: int | None = None
    by_itself: bool | None = None

    def is_due(self, *, now_ms: int, notes: int, events: Sequence[Event]) -> bool:
        """Whether the model is to be told that the end is near."""
        if not self.wanted or self.announced_behind is not None:
            return False
        return self.length.ending_is_due(now_ms=now_ms, notes=notes, events=[*self.start.events, *events])

    def may_come(self, *, now_ms: int, notes: int) -> bool:
        """Whether <E> may come: behind an announcement when it is long enough, and always at the end of a gap."""
        if self.announced_behind is None:
            return bool(self.start.after)
        return self.length.ending_is_allowed(now_ms=now_ms, notes=notes)

    def announce(self, *, behind: int) -> None:
        """<D> came behind so many new events."""
        self.announced_behind = behind

    def close(self, *, behind: int, by_itself: bool) -> None:
        """It is over."""
        if self.wanted:
            self.by_itself = by_itself
            self.announced_behind = behind if self.announced_behind is None else self.announced_behind

    def forget(self, *, behind: int) -> None:
        """What came behind so many new events is taken back."""
        if self.announced_behind is not None and self.announced_behind > behind:
            self.announced_behind = None

    def among(self, events: Sequence[Event]) -> list[Event]:
        """What was given, the new events, and <D> and <E> in their places."""
        v, whole = self.start.vocabulary, [*self.start.events, *events]
        if self.announced_behind is not None:
            at = len(self.start.events) + self.announced_behind
            whole.insert(at, Event(head=v.dim, ms=whole[at - 1].ms if at else 0, timed=False))
        if self.by_itself is not None:
            whole.append(Event(head=v.end, ms=whole[-1].ms, timed=False))
        return whole
