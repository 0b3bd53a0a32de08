"""A surveyed corpus and its selections as one web page: what there is, what each filter removed, and what is kept.

Knows the numbers; how they are shown is `report.html`, a Jinja template, and how files are judged is `select.py`'s.
The page needs no other file and no network.

    >>> write("corpus")  # doctest: +SKIP
    PosixPath('corpus/report.html')
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from partimento.corpus.selection import select as selection
from partimento.corpus.selection.quality import FILTERS, measured
from partimento.corpus.selection.recipes import RECIPES
from partimento.corpus.selection.select import KEPT, Selection
from partimento.corpus.survey.manifest import READABLE, REFUSED, read_manifest
from partimento.errors import UserError
from partimento.files import replacing

REPORT: Final = "report.html"
KINDS: Final = ("composer", "period", "genre", "form", "collection")
"""What hours are shown by."""
_EXAMPLES: Final = 3
_REASONS: Final = {
    REFUSED: "not readable as MIDI (below, with reasons)",
    selection.EXACT_COPY: "the same bytes as another file",
    **{name: filter_.reason for name, filter_ in FILTERS.items()},
    selection.UNIDENTIFIED: "neither opus nor piece number, of a composer with very many files that have one",
    selection.SAME_PERFORMANCE: "another file holds the same performance, transposed, re-timed, cut or re-encoded",
    selection.PER_PIECE: "enough other files of this piece",
}
"""Every filter in the order in which they are applied."""
_LOGARITHMIC: Final = {"seconds", "notes_per_second"}
_BINS: Final = 48
_TAIL: Final = 0.2
"""Percent of the values at either end that may lie outside a picture."""


def write(corpus: str | os.PathLike[str]) -> Path:
    """Write `corpus`/report.html from the manifest and all selections of it; an earlier report is replaced whole."""
    from jinja2 import Environment, StrictUndefined

    folder = Path(corpus)
    columns = {"path", "sha256", "verdict", "reason", "detail", "notes", "seconds", *KINDS}
    columns.update(column for filter_ in FILTERS.values() for column in filter_.columns)
    rows = read_manifest(folder, sorted(columns))
    selections, outdated = _selections(folder, rows)
    hours = selection.hours_of(rows)
    shown = [_shown(chosen, hours) for chosen in selections]
    text = Path(__file__).with_name(REPORT).read_text(encoding="utf-8")
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = template.from_string(text).render(
        corpus=folder.resolve().name,
        outdated=outdated,
        files=len(rows),
        readable=pc.sum(pc.equal(rows["verdict"], READABLE)).as_py() or 0,
        hours=hours.sum(),
        notes=np.nansum(measured(rows, "notes")),
        selections=shown,
        filters={name: why for name, why in _REASONS.items() if any(name in each["decisions"] for each in shown)},
        most=max([1, *(count.files for each in shown for name, count in each["decisions"].items() if name != KEPT)]),
        groups=pc.value_counts(selections[0].table["split_group"]).field("counts").to_pylist() if selections else [],
        cards=_cards(rows, selections),
        kinds={kind: _hours_by(rows[kind], hours, selections) for kind in KINDS},
        refusals=_refusals(rows),
        number=_number,
    )
    path = folder / REPORT
    with replacing(path) as part:
        part.write_text(page, encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """How often which value occurs, and where bounds lie.

    An axis reaches from `low` to `high`, and places on it are given as shares of its length: `bars` (place, width,
    height from 0 to 1), `marks` (value, place, number of a colour).
    """

    low: float
    high: float
    bars: list[tuple[float, float, float]]
    marks: list[tuple[float, float, int]]


def histogram(
    values: npt.NDArray[np.float64], marks: Mapping[float, int], *, logarithmic: bool = False
) -> Histogram | None:
    """The histogram of values with marks (value -> colour); NaN are left out, with `logarithmic` 0 too.

    Heights are square roots of counts, so that rare values stay visible. The axis spans all but the outermost 0.2 % at
    either end, and every mark; values beyond it are counted at its ends. None where there are no values.
    """
    known = values[np.isfinite(values) & ((values > 0) if logarithmic else True)]
    if not len(known):
        return None
    shown = [*np.percentile(known, [_TAIL, 100 - _TAIL]), *marks]
    edges = _edges(known, min(shown), max(shown), logarithmic=logarithmic)
    counts, _ = np.histogram(np.clip(known, edges[0], edges[-1]), edges)
    heights = np.sqrt(counts / counts.max())

    def places(x: npt.ArrayLike) -> npt.NDArray[np.float64]:
        left, here, right = (np.log(at) if logarithmic else np.asarray(at) for at in (edges[0], x, edges[-1]))
        return (here - left) / (right - left)

    bars = zip(places(edges[:-1]), np.diff(places(edges)), heights, strict=True)
    return Histogram(
        low=min(shown),
        high=max(shown),
        bars=[(float(x), float(width), float(height)) for x, width, height in bars if height],
        marks=[(value, float(places(value)), colour) for value, colour in sorted(marks.items())],
    )


def _edges(known: npt.NDArray[np.float64], low: float, high: float, *, logarithmic: bool) -> npt.NDArray[np.float64]:
    """At most `_BINS` bins from low to high, of equal width on the axis; of whole numbers each has equally many."""
    if high <= low:
        low, high = (low / 2, low * 2) if logarithmic else (low - 0.5, low + 0.5)
    if logarithmic:
        return np.geomspace(low, high, _BINS + 1)
    if high - low > 2 and (known == np.round(known)).all():
        step = max(1, math.ceil((high - low + 1) / _BINS))
        return np.arange(math.floor(low) - 0.5, high + 0.5 + step, step)
    return np.linspace(low, high, _BINS + 1)


def _selections(corpus: Path, rows: pa.Table) -> tuple[list[Selection], list[str]]:
    """The selections of these rows of a manifest, and the names of others: of an earlier survey or program."""
    now, outdated = [], []
    for name in sorted(path.stem for path in (corpus / "selections").glob("*.parquet")):
        try:
            chosen = Selection.open(corpus, name)
        except UserError:
            outdated.append(name)
            continue
        if chosen.table["sha256"].equals(rows["sha256"]):
            now.append(chosen)
        else:
            outdated.append(name)
    named = list(RECIPES)
    now.sort(key=lambda chosen: named.index(chosen.recipe.name) if chosen.recipe.name in named else len(named))
    return now, outdated


def _shown(chosen: Selection, hours: npt.NDArray[np.float64]) -> dict[str, Any]:
    """What the page says of one selection."""
    recipe, table = chosen.recipe, chosen.table
    sign = {"at least": "≥", "at most": "≤"}
    bounds = {
        name: f"{sign[FILTERS[name].side]} {_number(bound)} {FILTERS[name].unit}"
        for name, bound in recipe.filters.items()
    }
    if recipe.composition is not None:
        which = "any piece" if recipe.composition.every_piece else "a crowded composer's piece"
        bounds[selection.UNIDENTIFIED] = f"composers with > {recipe.composition.crowded_above}"
        bounds[selection.PER_PIECE] = f"≤ {recipe.composition.per_piece} of {which}"
    examples = [
        row | {"found": _found(table, name, row["value"])}
        for name in chosen.filters_applied[1:]
        for row in table.filter(pc.equal(table["decision"], name))[:_EXAMPLES].to_pylist()
    ]
    decisions, splits = chosen.by_decision(hours), chosen.by_split(hours)
    return {"name": recipe.name, "decisions": decisions, "splits": splits, "bounds": bounds, "examples": examples}


def _found(table: pa.Table, name: str, value: float) -> str:
    if name in (selection.EXACT_COPY, selection.SAME_PERFORMANCE):
        return f"like {table['path'][int(value)]}"
    if name in FILTERS:
        return f"{_number(value)} {FILTERS[name].unit}"
    return f"number {value:,.0f} of its piece" if name == selection.PER_PIECE else f"one of {value:,.0f} and more"


def _cards(rows: pa.Table, selections: list[Selection]) -> list[dict[str, Any]]:
    """For each measurement that some selection bounds its filters, and the histogram of all readable files."""
    cards = []
    for column in dict.fromkeys(filter_.column for filter_ in FILTERS.values()):
        filters = [filter_ for filter_ in FILTERS.values() if filter_.column == column]
        used = [f for f in filters if any(f.name in chosen.recipe.filters for chosen in selections)]
        marks: dict[float, int] = {}
        for filter_ in used:
            for colour, chosen in enumerate(selections):
                if filter_.name in chosen.recipe.filters:
                    marks.setdefault(chosen.recipe.filters[filter_.name], colour)
        if used:
            picture = histogram(measured(rows, column), marks, logarithmic=column in _LOGARITHMIC)
            cards.append({"title": column.replace("_", " "), "filters": used, "histogram": picture})
    return cards


def _hours_by(
    names: pa.ChunkedArray, hours: npt.NDArray[np.float64], selections: list[Selection]
) -> list[dict[str, Any]]:
    """Hours of each name, all and kept by each selection, most first; the name is None where it is not known."""
    kept = {
        f"kept{i}": np.where(np.asarray(pc.equal(chosen.table["decision"], KEPT)), hours, 0.0)
        for i, chosen in enumerate(selections)
    }
    table = pa.table({"name": pc.fill_null(names, ""), "hours": hours, **kept})
    sums = table.group_by("name").aggregate([(column, "sum") for column in ("hours", *kept)])
    ranked = sums.sort_by([("hours_sum", "descending"), ("name", "ascending")]).to_pylist()
    return [
        {"name": row["name"] or None, "hours": row["hours_sum"], "kept": [row[f"{column}_sum"] for column in kept]}
        for row in ranked
    ]


def _refusals(rows: pa.Table) -> list[tuple[str, int, list[dict[str, Any]]]]:
    """Reason, number of files and some of them, the most frequent first."""
    refused = rows.filter(pc.equal(rows["verdict"], REFUSED))
    counts = {count["values"]: count["counts"] for count in pc.value_counts(refused["reason"]).to_pylist()}
    return [
        (reason, counts[reason], refused.filter(pc.equal(refused["reason"], reason)).slice(0, _EXAMPLES).to_pylist())
        for reason in sorted(counts, key=lambda reason: (-counts[reason], reason))
    ]


def _number(value: float) -> str:
    """For the eye: three figures, thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
