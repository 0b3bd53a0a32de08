"""JSON from strangers -> checked values, or one line that says which field is wrong and what it may be.

Knows types and ranges. Refuses to know messages and music. A field that nobody asked for is refused too, so that a
misspelt one is noticed.

    fields = Fields.of_text('{"type": "stop", "id": "a1"}')
    name, id_ = fields.word("type"), fields.word("id")
    fields.nothing_else()
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from partimento.errors import UserError

_REQUIRED: Final = object()
_LONGEST_SHOWN: Final = 60


class ProtocolError(UserError):
    """A message that cannot be understood, or asks for what cannot be.

    `field` is a path such as `settings.seed`, `id` the take that the message was about, where either is known.
    """

    def __init__(self, message: str, *, field: str | None = None, id_: str | None = None) -> None:
        super().__init__(message)
        self.field, self.id = field, id_


class Fields:
    """The fields of one JSON object, each to be asked for once."""

    def __init__(self, value: object, path: str = "") -> None:
        """`path` is the field that holds the object, "" for a whole message. Raises `ProtocolError` if it is none."""
        self._path = path
        if not isinstance(value, Mapping):
            raise ProtocolError(f"{path or 'a message'} must be a JSON object, not {_shown(value)}", field=path or None)
        self._left: dict[str, Any] = dict(value)

    @classmethod
    def of_text(cls, text: str | bytes) -> Fields:
        """Those of a message as it came. Raises `ProtocolError` for what is no JSON."""
        try:
            return cls(json.loads(text, parse_constant=_refuse_constant))
        except RecursionError:
            raise ProtocolError("a message must not be nested so deeply") from None
        except ValueError as error:
            if isinstance(error, ProtocolError):
                raise
            raise ProtocolError(f"a message must be JSON: {error}") from None

    def __contains__(self, name: str) -> bool:
        return self._left.get(name) is not None

    def word(self, name: str, *, default: Any = _REQUIRED, most: int = 64) -> str:
        """A string of 1 to `most` characters."""
        value = self._take(name, default)
        if value is default:
            return default
        if not isinstance(value, str) or not 1 <= len(value) <= most:
            raise self._error(name, f"must be a string of 1 to {most} characters, not {_shown(value)}")
        return value

    def number(self, name: str, *, low: float, high: float, default: Any = _REQUIRED) -> float:
        """A finite number in low..high."""
        value = self._take(name, default)
        if value is default:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise self._error(name, f"must be a number in {low:g}..{high:g}, not {_shown(value)}")
        return float(value)

    def whole(self, name: str, *, low: int, high: int, default: Any = _REQUIRED) -> int:
        """An integer in low..high."""
        value = self._take(name, default)
        if value is default:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise self._error(name, f"must be a whole number in {low}..{high}, not {_shown(value)}")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        """true or false."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise self._error(name, f"must be true or false, not {_shown(value)}")
        return value

    def column(
        self, name: str, *, low: float, high: float, most: int, default: list[float] | None = None
    ) -> NDArray[np.float64]:
        """A list of at most `most` numbers in low..high: float64 [n]."""
        values = self._take(name, _REQUIRED if default is None else default)
        if not isinstance(values, list):
            raise self._error(name, f"must be a list of numbers, not {_shown(values)}")
        if len(values) > most:
            raise self._error(name, f"may hold at most {most:,} numbers, not {len(values):,}")
        for value in values:
            if type(value) not in (int, float) or not low <= value <= high:
                raise self._error(name, f"must hold numbers in {low:g}..{high:g}, found {_shown(value)}")
        return np.array(values, np.float64)

    def pairs(self, name: str, *, high: tuple[int, int], most: int) -> list[tuple[int, int]]:
        """A list, by default empty, of at most `most` pairs of integers from 0 to `high`."""
        values = self._take(name, [])
        if not isinstance(values, list) or len(values) > most:
            raise self._error(name, f"must be a list of at most {most} pairs")
        for pair in values:
            if not (isinstance(pair, list) and len(pair) == 2 and all(type(number) is int for number in pair)):
                raise self._error(name, f"must hold pairs of whole numbers, found {_shown(pair)}")
            if not all(0 <= number <= top for number, top in zip(pair, high, strict=True)):
                raise self._error(name, f"must hold pairs from 0, 0 to {high[0]}, {high[1]}, found {pair}")
        return [(first, second) for first, second in values]

    def object(self, name: str, *, optional: bool = False) -> Fields:
        """The fields of an object inside; of an empty one where it is optional and not there."""
        return Fields(self._take(name, {} if optional else _REQUIRED), self._inside(name))

    def nothing_else(self) -> None:
        """Refuses what is left."""
        if self._left:
            name = str(next(iter(self._left)))[:_LONGEST_SHOWN]
            raise ProtocolError(f"there is no field {self._inside(name)!r} here", field=self._inside(name))

    def _take(self, name: str, default: Any) -> Any:
        value = self._left.pop(name, None)
        if value is not None:
            return value
        if default is _REQUIRED:
            raise self._error(name, "is missing")
        return default

    def _inside(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def _error(self, name: str, what: str) -> ProtocolError:
        return ProtocolError(f"{self._inside(name)} {what}", field=self._inside(name))


def _shown(value: object) -> str:
    """A value, as short as a line bears."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    if isinstance(value, float) and not math.isfinite(value):
        return "an infinite number"
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**18 else "a huge number"
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."


def _refuse_constant(name: str) -> None:
    raise ProtocolError(f"{name} is no JSON number")
