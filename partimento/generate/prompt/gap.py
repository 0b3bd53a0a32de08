"""A performance with a hole in it: what stays, and its two sides as a model reads them.

Knows what belongs to a gap: whatever begins in it. A note or pedal from before that lasts into it stays as it is; a
pedal pressed in it and lifted behind it is down from the gap's end on. So nothing outside changes. Refuses to know what
will fill it.

    gap = Gap.open(performance, 12.5, 20.0)
    filled = gap.kept.merge(new_notes)
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from partimento.errors import UserError
from partimento.midi.columns import NS_PER_S
from partimento.midi.performance import Performance

LEAST_SECONDS = 0.1
MOST_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """[start_ns, end_ns) on the performance's clock; `before` and `after` together are `kept`, on the same clock."""

    start_ns: int
    end_ns: int
    kept: Performance
    before: Performance
    after: Performance

    @classmethod
    def open(cls, performance: Performance, start_seconds: float, end_seconds: float) -> Gap:
        """Empties the stretch; raises `UserError` if it is none, too short (0.1 s) or too long (60 s)."""
        if not (math.isfinite(start_seconds) and math.isfinite(end_seconds) and 0 <= start_seconds < end_seconds):
            raise UserError(f"a gap needs 0 <= start < end in seconds, not {start_seconds}:{end_seconds}")
        start_ns, end_ns = round(start_seconds * NS_PER_S), round(end_seconds * NS_PER_S)
        if not LEAST_SECONDS * NS_PER_S <= end_ns - start_ns <= MOST_SECONDS * NS_PER_S:
            raise UserError(
                f"a gap must last from {LEAST_SECONDS} to {MOST_SECONDS:.0f} s, not {end_seconds - start_seconds:g} s"
            )
        onset, down, up = performance.onset, performance.pedal_down, performance.pedal_up
        earlier, later = down < start_ns, up > end_ns
        clipped = np.maximum(down, end_ns)
        return cls(
            start_ns=start_ns,
            end_ns=end_ns,
            kept=_with_pedal(
                performance.select((onset < start_ns) | (onset >= end_ns)),
                np.where(earlier, down, clipped),
                earlier | later,
            ),
            before=_with_pedal(performance.select(onset < start_ns), down, earlier),
            after=_with_pedal(performance.select(onset >= end_ns), clipped, later),
        )


def _with_pedal(performance: Performance, down: NDArray[np.int64], keep: NDArray[np.bool_]) -> Performance:
    order = np.argsort(down[keep], kind="stable")
    return replace(
        performance,
        pedal_down=down[keep][order],
        pedal_up=performance.pedal_up[keep][order],
        pedal_channel=performance.pedal_channel[keep][order],
    )
