"""Search over segments: several candidates for the next few seconds, the best goes on, the others are dropped.

A small model is calibrated where it reads what pianists played, and drifts where it reads itself; a choice between
candidates every few seconds keeps it near, at the price of sampling them all. It knows when candidates have come to the
end of a segment and which is kept; how tokens are drawn is the variation's (`variation.py`), what is good is the
ranking's (`ranking.py`).

    search = Search(variation, candidates=8, wishes=AS_THE_PROMPT)
    rows = search.begin()                       # forks, which the engine advances until each has arrived
    search.arrive(row, cache, i)
    if search.complete:
        winner, cache, i = search.choose()
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from partimento.generate.decode.ranking import Ranking, notes_of
from partimento.generate.decode.sampling import seeded
from partimento.generate.settings import Wishes

if TYPE_CHECKING:
    from partimento.generate.backends.backend import Cache
    from partimento.generate.decode.variation import Variation

SEGMENT_S: Final = 5.0
"""How far candidates go before one is chosen."""
FIRST_SEGMENTS_S: Final = (1.5, 3.0)
"""The first ones are shorter, so that a listener does not wait."""
AT_ONCE_S: Final = 1.0
"""Where somebody is waiting for the first note, so much goes before them, without a choice."""
TOKENS_OF_A_SEGMENT: Final = 384
"""Room in the window that a segment is given before it begins: 25 notes a second."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A candidate at the end of its segment, and where its tokens have been read: a row of a cache."""

    row: Variation
    cache: Cache
    number: int


class Search:
    """The candidates of one variation."""

    def __init__(self, variation: Variation, *, candidates: int, wishes: Wishes) -> None:
        self.chosen, self._candidates = variation, candidates
        self._lengths_s = (AT_ONCE_S, *FIRST_SEGMENTS_S) if variation.start.at_once else FIRST_SEGMENTS_S
        self._segment = self._forks = 0
        self._arrivals: list[Arrival] = []
        self._until_ms = variation.start.from_ms
        prompt = notes_of(variation.start.vocabulary, variation.start.events, self._until_ms / 1000)
        self._ranking = Ranking(prompt, wishes)

    def begin(self) -> list[Variation]:
        """Candidates for the next segment, each with its own chance."""
        first, seed = self.chosen, self.chosen.settings.seed
        length = self._lengths_s[self._segment] if self._segment < len(self._lengths_s) else SEGMENT_S
        self._forks = 1 if first.start.at_once and not self._segment else self._candidates
        self._until_ms = max(self._until_ms, first.now_ms) + 1000 * length
        self._arrivals = []
        rows = []
        for candidate in range(self._forks):
            chance = seeded(seed, variation=first.number, segment=self._segment, candidate=candidate)
            rows.append(first.fork(chance, until_ms=self._until_ms))
        self._segment += 1
        return rows

    def arrive(self, row: Variation, cache: Cache, number: int) -> None:
        """A candidate that is done or has paused; row `number` of the cache holds its tokens."""
        self._arrivals.append(Arrival(row, cache, number))

    @property
    def complete(self) -> bool:
        """Whether all candidates have arrived."""
        return len(self._arrivals) == self._forks

    @property
    def alone(self) -> bool:
        """Whether the segment has one candidate, which needs no choice to be heard."""
        return self._forks == 1

    def choose(self) -> Arrival:
        """The best candidate, from which the next segment begins; one that came to an ending goes before others."""
        best = min(self._arrivals, key=lambda arrival: (not arrival.row.ended, self._cost(arrival.row)))
        self.chosen, self._arrivals = best.row, []
        return best

    def _cost(self, row: Variation) -> float:
        until_ms = min(self._until_ms, row.now_ms) if row.done else self._until_ms
        notes = notes_of(row.start.vocabulary, [*row.start.events, *row.events], until_ms / 1000)
        return self._ranking.ending_cost(notes) if row.ended else self._ranking.cost(notes)
