"""How long a passage people share with works that are not theirs: what is nothing to wonder at.

Knows the table `chance.csv`: for 2,000 stretches of human pieces of each length, how long the longest passage is that
goes along with another work, by its score (`Copy.score`), among all of it and among what lasts some seconds: quick
figures are in many works, but not for long (`python -m benchmarks.library.chance` makes it, and its page says of what).
It refuses to know whose music is asked about.

    >>> Chance.published().p(25, seconds=45, lasting=6.5)   # doctest: +SKIP
    0.0005
"""

from __future__ import annotations

import csv
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from partimento.files import replacing

COLUMNS = ("seconds", "lasting", "score", "windows")

Scores = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chance:
    """`best[seconds][lasting]`: of stretches of so many seconds the score of each one's best passage, sorted.

    Counted are passages that last at least `lasting` seconds; 0: there is none.
    """

    best: Mapping[int, Mapping[int, Scores]]

    @classmethod
    @cache
    def published(cls) -> Self:
        """The table that comes with the package."""
        return cls.read(Path(__file__).with_name("chance.csv"))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """A table that `write` wrote."""
        found: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        with Path(path).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                seconds, lasting, score, windows = (int(row[name]) for name in COLUMNS)
                found[seconds][lasting] += [score] * windows
        return cls(best={seconds: {lasting: np.sort(scores) for lasting, scores in sorted(of.items())}
                         for seconds, of in sorted(found.items())})  # fmt: skip

    def write(self, path: str | os.PathLike[str]) -> None:
        """A row for every length, least duration and score that occurs, and how often."""
        with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for seconds, of in self.best.items():
                for lasting, scores in of.items():
                    for score, windows in zip(*np.unique(scores, return_counts=True), strict=True):
                        writer.writerow((seconds, lasting, score, windows))

    def windows(self, seconds: float) -> tuple[int, int]:
        """Length (s) and number of the stretches that music of `seconds` is compared with: as long ones, or longer.

        Music that is longer than all of them is compared with the longest.
        """
        fitting = [length for length in self.best if length >= seconds]
        length = min(fitting, default=max(self.best))
        return length, len(self.best[length][0])

    def p(self, score: int, *, seconds: float, lasting: float) -> float:
        """The share of stretches that have as good a passage: as good a score, and lasting as long if this lasts long.

        The music itself counts as one of them, so that it is never 0: of 2,000 at least 1 / 2,001.
        """
        length, count = self.windows(seconds)
        scores = self.best[length][max(least for least in self.best[length] if least <= lasting)]
        return (1 + count - int(np.searchsorted(scores, score, side="left"))) / (1 + count)
