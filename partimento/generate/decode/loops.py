"""Notices when a continuation is stuck.

Knows: a figure of up to 32 events that comes back exactly, again and again (same keys, same distances, same
durations). Refuses to know models and tokens. While a figure comes back it says how far the events may already be
handed out, so that what was handed out never has to be taken back.

    watch = LoopWatch()
    watch.add((60, 120, 480))      # key, distance to the event before, duration
    watch.loop, watch.safe         # how many events to keep if stuck; how many can be handed out
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Self

LONGEST_FIGURE = 32
REPETITIONS = 4
LEAST_EVENTS = 24
"""An exact repetition shorter than this is music: repeated notes, an accompaniment figure."""


class LoopWatch:
    """Follows the events of one continuation."""

    def __init__(self) -> None:
        self._events: list[Hashable] = []
        self._matches = [0] * (LONGEST_FIGURE + 1)

    def __len__(self) -> int:
        return len(self._events)

    def copy(self) -> Self:
        """Another that has followed the same events."""
        copied = type(self)()
        copied._events, copied._matches = self._events.copy(), self._matches.copy()
        return copied

    def add(self, event: Hashable) -> None:
        """The next event."""
        self._events.append(event)
        n = len(self._events)
        for period in range(1, LONGEST_FIGURE + 1):
            same = n > period and self._events[n - 1 - period] == event
            self._matches[period] = self._matches[period] + 1 if same else 0

    @property
    def loop(self) -> int | None:
        """None, or how many events stand when all but two rounds of the figure that loops are taken back."""
        for period in range(1, LONGEST_FIGURE + 1):
            rounds = max(REPETITIONS, -(-LEAST_EVENTS // period))
            if self._matches[period] >= (rounds - 1) * period:
                return len(self) - self._matches[period] + period
        return None

    @property
    def safe(self) -> int:
        """How many events no `loop` that may still come can take back."""
        beyond = (self._matches[period] - period for period in range(1, LONGEST_FIGURE + 1))
        return len(self) - max(0, *beyond)

    def forget(self, keep: int) -> None:
        """Takes back all events but the first `keep`."""
        kept, self._events, self._matches = self._events[:keep], [], [0] * (LONGEST_FIGURE + 1)
        for event in kept:
            self.add(event)
