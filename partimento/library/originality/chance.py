"""How long a passage people share with works that are not theirs: what is nothing to wonder at.

Knows the table `chance.csv`: of 2,000 stretches of human pieces of each length, how many notes of different passages
the longest stretch has that goes along with another work (`python -m benchmarks.library.chance` makes it, and its page
says of what). It refuses to know whose music is asked about.

    >>> Chance.published().p(60, seconds=45)   # doctest: +SKIP
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

COLUMNS = ("seconds", "different", "windows")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chance:
    """For stretches of so many seconds the `different` notes of each one's longest shared passage, int64, sorted."""

    longest: Mapping[int, npt.NDArray[np.int64]]

    @classmethod
    @cache
    def published(cls) -> Self:
        """The table that comes with the package."""
        return cls.read(Path(__file__).with_name("chance.csv"))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Self:
        """A table that `write` wrote."""
        found: dict[int, list[int]] = defaultdict(list)
        with Path(path).open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                found[int(row["seconds"])] += [int(row["different"])] * int(row["windows"])
        return cls(longest={seconds: np.sort(values) for seconds, values in sorted(found.items())})

    def write(self, path: str | os.PathLike[str]) -> None:
        """A row for every length and number of notes that occurs, and how often."""
        with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for seconds, values in self.longest.items():
                for different, windows in zip(*np.unique(values, return_counts=True), strict=True):
                    writer.writerow((seconds, different, windows))

    def windows(self, seconds: float) -> tuple[int, int]:
        """Length (s) and number of the stretches that music of `seconds` is compared with: as long ones, or longer.

        Music that is longer than all of them is compared with the longest.
        """
        fitting = [length for length in self.longest if length >= seconds]
        length = min(fitting, default=max(self.longest))
        return length, len(self.longest[length])

    def p(self, different: int, *, seconds: float) -> float:
        """The share of these stretches that go along with another work for as many different notes, or more.

        The music itself counts as one of them, so that it is never 0: of 2,000 at least 1 / 2,001.
        """
        length, count = self.windows(seconds)
        as_long = count - int(np.searchsorted(self.longest[length], different, side="left"))
        return (1 + as_long) / (1 + count)
