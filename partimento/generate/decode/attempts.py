"""What counts against something that was made, which of several fillings is kept, and how that is said.

Knows two flaws: events that only went on with a loop, since no more loops could be taken back, and tokens at which
most of the probability was for more than can begin at once (`crowd.py`). Refuses to know how music is made. The fewest
flaws are best, and of equals the first.

    attempts = [Attempt(events=tuple(events), looped=0, crowded=3), ...]
    kept = best(attempts)
    said = fallback(kept, fillings=len(attempts), taken_back=16)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from partimento.generate.decode.crowd import MOST_AT_ONCE, MOST_OF_A_KEY
from partimento.generate.prompt.events import Event

MOST_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What was made, and its flaws."""

    events: tuple[Event, ...]
    looped: int
    crowded: int

    @property
    def flaws(self) -> int:
        """How many."""
        return self.looped + self.crowded


def best(attempts: Sequence[Attempt]) -> Attempt:
    """The one that is kept."""
    return min(attempts, key=lambda attempt: attempt.flaws)


def fallback(kept: Attempt, *, fillings: int, taken_back: int) -> str | None:
    """In plain words what there is in place of what could not be had; None where nothing is amiss."""
    said = []
    if kept.looped:
        said.append(f"{kept.looped} notes only go on with a loop, since {taken_back} had been taken back already")
    if kept.crowded:
        most = f"{MOST_AT_ONCE} notes, or {MOST_OF_A_KEY} of one key,"
        said.append(f"{kept.crowded} times the model wanted more than {most} at once and was held back")
    if said and fillings:
        said.append(f"the best of {fillings} fillings")
    return "; ".join(said) or None
