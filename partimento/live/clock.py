"""What time it is, for everything that happens live: seconds since the playing began, which never go back.

Knows the machine's monotonic clock and a clock that goes where it is told, so that whatever is built on them can be run
through without waiting. Refuses to know the time of day.

    clock = MonotonicClock()
    clock.now()                         # 0.000012
"""

from __future__ import annotations

import time
from typing import Final, Protocol

_NS: Final = 1_000_000_000


class Clock(Protocol):
    """Seconds since it was made."""

    def now(self) -> float:
        """Seconds; never fewer than before."""


class MonotonicClock:
    """The machine's own, which no correction of the time of day moves."""

    def __init__(self) -> None:
        self._began = time.perf_counter_ns()

    def now(self) -> float:
        """Seconds since it was made."""
        return (time.perf_counter_ns() - self._began) / _NS


class VirtualClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self._now = 0.0

    def now(self) -> float:
        """Where it was moved to last."""
        return self._now

    def go_to(self, seconds: float) -> None:
        """Moves on; raises `ValueError` if that were back."""
        if seconds < self._now:
            raise ValueError(f"a clock at {self._now} s cannot go back to {seconds} s")
        self._now = seconds
