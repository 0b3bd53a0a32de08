"""Which notes of a performance are read: consecutive slices, all of them or some.

It knows numbers of notes only; it refuses to know what reads them.

    >>> Slicing(notes=300).bounds(700)
    [(0, 300), (300, 600), (600, 700)]
    >>> Slicing(notes=100, most=2).bounds(700)
    [(100, 200), (500, 600)]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from partimento.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Slicing:
    """Consecutive slices, the last one of what is left; the defaults are the published embedding model's."""

    notes: int = 300
    """Notes of a slice."""
    most: int | None = None
    """Read so many slices of a file, spread evenly over it; None: all of them."""

    def __post_init__(self) -> None:
        for name in ("notes", "most"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"slicing: {name} is {value}; give at least 1")

    @classmethod
    def suiting(cls, metadata: Mapping[str, Any]) -> Self:
        """For a model's file: the published slices, or shorter ones if it learned from such (`view_notes`)."""
        seen = metadata.get("view_notes", PUBLISHED.notes)
        if not isinstance(seen, int):
            raise UserError(f"the model file's 'view_notes' is {seen!r}; it must be a number of notes")
        return cls(notes=min(PUBLISHED.notes, seen))

    def __str__(self) -> str:
        return f"{'all' if self.most is None else f'at most {self.most}'} slices of {self.notes} notes"

    def bounds(self, count: int) -> list[tuple[int, int]]:
        """First note and last note + 1 of each slice that is read of `count` notes."""
        slices = -(-count // self.notes)
        read = slices if self.most is None else min(self.most, slices)
        # The middles of as many equal parts as are read.
        firsts = [(2 * part + 1) * slices // (2 * read) * self.notes for part in range(read)]
        return [(first, min(first + self.notes, count)) for first in firsts]


PUBLISHED: Final = Slicing()
