"""Which notes of a performance are read: consecutive slices, all of them or some.

It knows numbers of notes only; it refuses to know what reads them.

    >>> Slicing(notes=300).bounds(700)
    [(0, 300), (300, 600), (600, 700)]
    >>> Slicing(notes=100, most=2).bounds(700)
    [(100, 200), (500, 600)]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from partimento.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Slicing:
    """Consecutive slices, the last one of what is left; `suiting` a model before it says where they are."""

    notes: int | None = None
    """Notes of a slice; None: 300, as the published embedding model's, or fewer if the model learned from fewer."""
    most: int | None = None
    """Read so many slices of a file, spread evenly over it; None: all of them."""

    def __post_init__(self) -> None:
        for name in ("notes", "most"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"slicing: {name} is {value}; give at least 1")

    def __str__(self) -> str:
        count = "all" if self.most is None else f"at most {self.most}"
        return f"{count} slices of {self.notes or 'as many as suit the model'} notes"

    def suiting(self, metadata: Mapping[str, Any]) -> Self:
        """The same for the model whose file says this: `view_notes` is how many notes it was shown at a time."""
        if self.notes is not None:
            return self
        seen = metadata.get("view_notes", PUBLISHED_NOTES)
        if not isinstance(seen, int):
            raise UserError(f"the model file's 'view_notes' is {seen!r}; it must be a number of notes")
        return dataclasses.replace(self, notes=min(PUBLISHED_NOTES, seen))

    def bounds(self, count: int) -> list[tuple[int, int]]:
        """First note and last note + 1 of each slice that is read of `count` notes."""
        length = PUBLISHED_NOTES if self.notes is None else self.notes
        slices = -(-count // length)
        read = slices if self.most is None else min(self.most, slices)
        # The middles of as many equal parts as are read.
        firsts = [(2 * part + 1) * slices // (2 * read) * length for part in range(read)]
        return [(first, min(first + length, count)) for first in firsts]


PUBLISHED_NOTES: Final = 300
PUBLISHED: Final = Slicing(notes=PUBLISHED_NOTES)
SUITING: Final = Slicing()
