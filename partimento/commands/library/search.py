"""`partimento library find|same`: what in a library is like a file, or is the same piece."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import Tag
from partimento.commands.library import Common
from partimento.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Find(Common):
    """The pieces of a library most like a file, or with --at the moments most like a stretch of it."""

    query: tyro.conf.Positional[str]
    """MIDI file, or the id of a file in the library."""
    at: str | None = None
    """START:END in seconds: look for moments like this stretch of the query."""
    limit: Annotated[int, tyro.conf.arg(aliases=["-n"])] = 10
    """Answers at most."""
    composer: str | None = None
    """Answers of this composer only."""
    period: str | None = None
    """Answers of this period only."""
    form: str | None = None
    """Answers of this form only."""
    tag: Tag = None

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise UserError(f"--limit is {self.limit}; give at least 1")


def find(argv: list[str]) -> int:
    """Run `library find`; returns the exit status."""
    options = parse(Find, argv, verb="library find")
    from partimento.library.library import Library

    at = None if options.at is None else _span(options.at)
    filters = {name: getattr(options, name) for name in ("composer", "period", "form", "tag")}
    where = {name: value for name, value in filters.items() if value is not None}
    rows = Library(options.library).find(options.query, at, where=where, limit=options.limit).to_pylist()
    _print(rows, "nothing in the library is like it", lambda row: f"{row['similarity']:.3f}", as_json=options.json)
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Same(Common):
    """Other performances of a piece, recognised note for note in any key and at any tempo."""

    query: tyro.conf.Positional[str]
    """MIDI file, or the id of a file in the library."""


def same(argv: list[str]) -> int:
    """Run `library same`; returns the exit status."""
    options = parse(Same, argv, verb="library same")
    from partimento.library.library import Library

    rows = Library(options.library).same(options.query).to_pylist()
    _print(rows, "no other performance of it in the library", _relation, as_json=options.json)
    return 0


def _relation(row: dict[str, Any]) -> str:
    said = "the same performance" if row["relation"] == "performance" else "the same piece"
    key = f", {row['transposition']:+d} semitones" if row["transposition"] else ""
    return f"{said}{key}, tempo x {row['tempo']:.2f}"


def _print(rows: Sequence[dict[str, Any]], none: str, said: Any, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        name = ", ".join(filter(None, [row["title"], row["composer"], row["form"], *row["tags"]]))
        times = (
            f"{_clock(row['start'])}-{_clock(row['end'])} like {_clock(row['query_start'])}-{_clock(row['query_end'])}"
        )
        print(f"{said(row)}  {times}  {row['path']}" + (f"  ({name})" if name else ""))
    if not rows:
        print(none)


def _span(text: str) -> tuple[float, float]:
    start, _, end = text.partition(":")
    try:
        return float(start), float(end)
    except ValueError:
        raise UserError(f"--at needs START:END in seconds, 30:45 for example, not {text!r}") from None


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"
