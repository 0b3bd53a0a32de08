"""How long a continuation gets, and when its ending is announced and allowed.

It turns what was asked for, in seconds or notes, with or without an ending, into moments on the model's clock. What an
ending sounds like is the model's and the search's.

    length = Length.of(settings, start)
    length.is_late(61_000), length.is_full(200), length.ending_is_due(now_ms=55_000, notes=180, latest=events)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from partimento.generate.prompt.events import Event
from partimento.generate.prompt.start import Start
from partimento.generate.settings import Settings
from partimento.midi.columns import NS_PER_S
from partimento.tokens.vocabulary import SEGMENT_MS

ENDING_BAND: Final = 0.2
"""Of the length asked for: how much earlier or later a piece may end."""
ENDING_TOKENS: Final = 120
"""Models learn the announcement 100 tokens before the end (section 3.2); a little earlier leaves time to find one, and
an end that comes too early is not let through."""

_TOKENS_PER_NOTE = 3
_RATE_MS = 15_000  # how much of the latest music says how many tokens a second takes
_USUAL_RATE = 0.025  # tokens a millisecond, eight notes a second, where the music says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """Moments in milliseconds on the model's clock (inf: none), and numbers of notes (None: none).

    `asked` is what was asked for; with an ending, the piece may end from `earliest` and `fewest` on. It is stopped at
    `end_ms` or with `most` notes.
    """

    asked_ms: float = math.inf
    earliest_ms: float = 0.0
    end_ms: float = math.inf
    asked: int | None = None
    fewest: int = 0
    most: int | None = None

    @classmethod
    def of(cls, settings: Settings, start: Start) -> Self:
        """What these settings ask for, behind this start."""
        band = ENDING_BAND if settings.end else 0.0
        if settings.seconds is not None:
            early, late = ((1 - band) * settings.seconds, (1 + band) * settings.seconds)
            return cls(
                asked_ms=_on_clock(start, settings.seconds),
                earliest_ms=_on_clock(start, early),
                end_ms=_on_clock(start, late),
            )
        assert settings.notes is not None
        return cls(
            asked=settings.notes,
            fewest=math.ceil(settings.notes * (1 - band)),
            most=math.floor(settings.notes * (1 + band)),
        )

    def is_late(self, ms: int) -> bool:
        """Whether what begins then belongs to it no more."""
        return ms >= self.end_ms

    def is_full(self, notes: int) -> bool:
        """Whether no more notes belong to it."""
        return self.most is not None and notes >= self.most

    def ending_is_allowed(self, *, now_ms: int, notes: int) -> bool:
        """Whether an announced ending may come."""
        return now_ms >= self.earliest_ms and notes >= self.fewest

    def ending_is_due(self, *, now_ms: int, notes: int, events: Sequence[Event]) -> bool:
        """Whether the end is to be announced, at the rate that the latest of all `events` go."""
        if self.asked is not None:
            return _TOKENS_PER_NOTE * (self.asked - notes) <= ENDING_TOKENS
        return (self.asked_ms - now_ms) * _rate(events, now_ms) <= ENDING_TOKENS


def _on_clock(start: Start, seconds: float) -> float:
    return (round((start.from_seconds + seconds) * NS_PER_S) - start.clock_ns) / 1e6


def _rate(events: Sequence[Event], now_ms: int) -> float:
    """Tokens a millisecond, as the latest music takes them."""
    since = max(0, now_ms - _RATE_MS)
    span_ms = now_ms - since
    if span_ms <= 2000:
        return _USUAL_RATE
    return _TOKENS_PER_NOTE * sum(event.ms >= since for event in events) / span_ms + 1 / SEGMENT_MS
