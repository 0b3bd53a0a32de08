"""A TOML file -> a frozen dataclass, or one line that names the table, the field and the mend.

It knows how tables become dataclasses of the same fields, and nothing else than those. It refuses to know what they
mean: what a dataclass says in `__post_init__` is passed on. A dataclass inside another one is a table inside a table,
and says for itself that it is exact:

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Splits:
        __pydantic_config__: ClassVar = EXACT

        seed: int

    read_toml(Path("splits.toml"), Splits, what="splits")
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import tomllib
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from partimento.errors import UserError

EXACT: Final = {"extra": "forbid", "strict": True}
"""No other fields, no other types."""

T = TypeVar("T")


def read_toml(path: Path, kind: type[T], *, what: str) -> T:
    """The dataclass in a file; a `UserError` that names file and field if there is none. `what` is the whole called."""
    try:
        return from_table(tomllib.loads(path.read_text(encoding="utf-8")), kind, what=what)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UserError(f"{path}: no readable TOML file ({error})") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def from_table(table: Mapping[str, Any], kind: type[T], *, what: str) -> T:
    """TOML's or JSON's tables as a dataclass; raises `UserError` for the first field that does not fit."""
    from pydantic import TypeAdapter, ValidationError  # only where such a file is read

    try:
        return TypeAdapter(kind).validate_json(json.dumps(table, default=str))
    except ValidationError as found:
        errors = sorted(found.errors(), key=lambda error: error["type"] != "missing")
        *where, key = (what, *map(str, errors[0]["loc"]))
        section = where[-1] if where else ""
        match errors[0]["type"]:
            case "missing":
                message = f"{section} lacks {key}"
            case "unexpected_keyword_argument":
                message = f"{section} has {unknown(key, _fields(kind, where[1:]))}"
            case "value_error":  # a dataclass's own, which names the field
                message = f"{key}.{errors[0]['ctx']['error']}" if section else str(errors[0]["ctx"]["error"])
            case _:
                message = f"{section}.{key} is {errors[0]['input']!r}; {errors[0]['msg'].lower()}"
        raise UserError(message) from found


def _fields(kind: Any, where: Iterable[str]) -> list[str]:
    """Names of the fields of the dataclass that stands in another one's field, in one of that one's, and so on."""
    for name in where:
        annotated = typing.get_type_hints(kind)[name]
        kind = next(part for part in (*typing.get_args(annotated), annotated) if dataclasses.is_dataclass(part))
    return [field.name for field in dataclasses.fields(kind)]


def unknown(name: str, known: Iterable[str]) -> str:
    """What is said of a name that is none of those there are."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"no {name!r}; " + (f"perhaps you meant {near[0]!r}" if near else f"there are {', '.join(known)}")
