"""What wins, ties and losses of one system against another show, and what they cannot show.

Knows the exact binomial test of section 4.2 of the paper ("a two-sided binomial test on non-tied comparisons"),
Wilson's interval, the power of the test, and a test of equivalence. It counts votes as independent; what one listener's
or one prompt's votes have in common is resampled in `strengths.py`. Refuses to know where votes come from.

    >>> binomial_test(15, 17)               # the paper's last row: the pianists' own continuations
    0.8600500659085...
    >>> round(power(32, 0.6), 2)            # 32 untied votes hardly ever tell 60 of 100 from 50
    0.12
    >>> round(equivalence_test(15, 17, margin=0.1), 2)      # so they are no evidence of "as good as"
    0.27

Shape legend: n + 1 the outcomes of n votes, 0 to n of them won.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from partimento.evaluate.metrics import Interval

ALPHA: Final = 0.05
"""How often a test may say that there is something where there is nothing."""
ENOUGH: Final = 0.8
"""The power that studies are planned for."""
MOST_VOTES: Final = 20_000
_Z: Final = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The votes on one system beside another one."""

    wins: int
    ties: int
    losses: int

    @property
    def untied(self) -> int:
        """Votes that prefer one of the two."""
        return self.wins + self.losses

    @property
    def votes(self) -> int:
        """All of them."""
        return self.untied + self.ties


def binomial_test(wins: int, losses: int) -> float:
    """How likely at least so uneven a result is if neither is better; exact, two-sided; 1 of no votes."""
    fewer = min(wins, losses)
    return min(1.0, 2 * float(_probabilities(wins + losses, 0.5)[: fewer + 1].sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values of several tests such that one in twenty families of tests finds what is not there (S. Holm, 1979)."""
    order = sorted(range(len(p_values)), key=lambda k: p_values[k])
    corrected, highest = [0.0] * len(p_values), 0.0
    for place, k in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[k]))
        corrected[k] = highest
    return corrected


def wilson(wins: int, losses: int) -> Interval:
    """The 95 % interval of the share of wins among untied votes (E. B. Wilson, 1927); 0 to 1 of no votes."""
    n = wins + losses
    if n == 0:
        return 0.0, 1.0
    share, z2 = wins / n, _Z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def power(votes: int, share: float) -> float:
    """How likely so many untied votes are to be significant at `ALPHA` if in truth this share of votes is a win."""
    lower = np.cumsum(_probabilities(votes, 0.5))
    significant = int(np.searchsorted(2 * lower, ALPHA, side="right"))  # results of fewer wins than this are
    of_share = _probabilities(votes, share)
    if significant == 0:
        return 0.0
    return float(of_share[:significant].sum() + of_share[-significant:].sum())


def equivalence_test(wins: int, losses: int, *, margin: float) -> float:
    """The p-value of "as good as": that the share of wins lies within 0.5 -+ `margin`; exact; 1 of no votes.

    Two one-sided tests (D. J. Schuirmann, 1987): the larger of how likely at least so many wins are at the lower edge,
    and at most so many at the upper one. Below `ALPHA` both edges are excluded. A large p-value of `binomial_test` is
    no such evidence.
    """
    n = wins + losses
    above = float(_probabilities(n, 0.5 - margin)[wins:].sum())
    below = float(_probabilities(n, 0.5 + margin)[: wins + 1].sum())
    return min(1.0, max(above, below))


def equivalence_power(votes: int, margin: float) -> float:
    """How likely so many untied votes are to show equivalence if both are in truth preferred equally often."""
    upper = np.cumsum(_probabilities(votes, 0.5 + margin))
    most = int(np.searchsorted(upper, ALPHA, side="left"))  # results of fewer wins than this exclude the upper edge
    fewest = votes - most + 1  # and of more than this, by symmetry, the lower one
    return float(_probabilities(votes, 0.5)[fewest:most].sum())


def votes_needed(share: float) -> int:
    """The fewest untied votes of which `ENOUGH` studies in ten find a share that is not 0.5; at most `MOST_VOTES`."""
    return _fewest(lambda votes: power(votes, share), (_Z + 0.8416) ** 2 / 4 / (share - 0.5) ** 2)


def votes_for_equivalence(margin: float) -> int:
    """The fewest untied votes of which `ENOUGH` studies in ten show equivalence where it is true."""
    return _fewest(lambda votes: equivalence_power(votes, margin), (1.6449 + 1.2816) ** 2 / 4 / margin**2)


def _fewest(power_of: Callable[[int], float], guess: float) -> int:
    """From well below an estimate upwards, since the power of a count goes up in teeth."""
    first = max(1, int(guess / 2))
    return next((n for n in range(first, MOST_VOTES) if power_of(n) >= ENOUGH), MOST_VOTES)


def _probabilities(n: int, share: float) -> NDArray[np.float64]:
    """How likely 0 to n wins of n votes are [n + 1], each to some 12 digits."""
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])
    k = np.arange(n + 1)
    ways = log_factorial[n] - log_factorial - log_factorial[::-1]
    return np.exp(ways + k * math.log(share) + (n - k) * math.log1p(-share))
