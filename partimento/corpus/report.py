"""A surveyed corpus and its selections as one web page: what there is, what each filter removed, and what is kept.

Knows what a reader wants to see first and in which words; refuses to know how files are judged. The page needs no other
file and no network.

    >>> write("corpus")  # doctest: +SKIP
    PosixPath('corpus/report.html')
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from partimento.corpus import selection, splits
from partimento.corpus.charts import Mark, bar, dot, histogram, number, page, rows
from partimento.corpus.manifest import READABLE, REFUSED, read_manifest
from partimento.corpus.quality import FILTERS, measured
from partimento.corpus.recipes import RECIPES
from partimento.corpus.selection import KEPT, Count, Selection
from partimento.errors import UserError
from partimento.files import replacing

REPORT: Final = "report.html"
KINDS: Final = ("composer", "period", "genre", "form", "collection")
"""What hours are shown by."""
_MOST_KINDS: Final = 15
_EXAMPLES: Final = 3
_REASONS: Final = {
    REFUSED: "not readable as MIDI (below, with reasons)",
    selection.EXACT_COPY: "the same bytes as another file",
    selection.UNIDENTIFIED: "neither opus nor piece number, of a composer with very many files that have one",
    selection.SAME_PERFORMANCE: "another file holds the same performance, transposed, re-timed, cut or re-encoded",
    selection.PER_PIECE: "enough other files of this piece",
}
_TAKES: Final = {"at least": "below", "at most": "above"}
_LOGARITHMIC: Final = {"seconds", "notes_per_second"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Corpus:
    """What the page is about: the manifest's n rows, their hours float64 [n], and the selections made of them."""

    rows: pa.Table
    hours: npt.NDArray[np.float64]
    selections: tuple[Selection, ...]
    outdated: tuple[str, ...]

    @classmethod
    def open(cls, corpus: Path) -> _Corpus:
        columns = {"path", "sha256", "verdict", "reason", "detail", "notes", "seconds", *KINDS}
        columns.update(column for filter_ in FILTERS.values() for column in filter_.columns)
        table = read_manifest(corpus, sorted(columns))
        now, outdated = [], []
        for name in sorted(path.stem for path in (corpus / "selections").glob("*.parquet")):
            try:
                chosen = Selection.open(corpus, name)
            except UserError:  # of another version of this program
                outdated.append(name)
                continue
            if chosen.table.column("sha256").equals(table.column("sha256")):
                now.append(chosen)
            else:
                outdated.append(name)
        named = list(RECIPES)
        now.sort(key=lambda chosen: named.index(chosen.recipe.name) if chosen.recipe.name in named else len(named))
        return cls(rows=table, hours=selection.hours_of(table), selections=tuple(now), outdated=tuple(outdated))


def write(corpus: str | os.PathLike[str]) -> Path:
    """Write `corpus`/report.html from the manifest and all selections of it; an earlier report is replaced whole."""
    folder = Path(corpus)
    about = _Corpus.open(folder)
    sections = [_overview(folder, about), _filters(about), _splits(about), _histograms(about)]
    sections += [_kinds(about), _refusals(about), _examples(about)]
    path = folder / REPORT
    with replacing(path) as part:
        part.write_text(page(f"Report on {folder.resolve().name}", sections), encoding="utf-8")
    return path


def _overview(folder: Path, about: _Corpus) -> str:
    readable = np.asarray(pc.equal(about.rows.column("verdict"), READABLE))
    notes = np.nansum(measured(about.rows, "notes"))
    tiles = [
        ("files looked at", f"{len(about.rows):,}"),
        ("readable", f"{readable.sum():,}"),
        ("hours of music", f"{about.hours.sum():,.1f}"),
        ("million notes", f"{notes / 1e6:,.1f}"),
    ]
    html = "".join(f'<div class="tile"><b>{value}</b>{name}</div>' for name, value in tiles)
    for i, chosen in enumerate(about.selections):
        kept = chosen.by_decision(about.hours)[KEPT]
        html += (
            f'<div class="tile"><b>{kept.files:,}</b>{dot(i)}kept by <i>{escape(chosen.recipe.name)}</i>, '
            f"{kept.hours:,.1f} h</div>"
        )
    note = ""
    if about.outdated:
        names = ", ".join(map(escape, about.outdated))
        note = f'<p class="faint">Not shown, since survey or program have changed after them: {names}.</p>'
    return (
        f"<h1>Report on <i>{escape(folder.resolve().name)}</i></h1>"
        "<p>Every file that was found was surveyed: read, measured, recognised. A recipe then decides on each file: "
        "it is kept, or removed by the first filter that it does not pass. This page shows both for all recipes that "
        f'were applied.</p>{note}<div class="tiles">{html}</div>'
    )


def _filters(about: _Corpus) -> str:
    """A row for each filter, in the order in which they ask; columns for each selection."""
    asked = dict.fromkeys(name for chosen in about.selections for name in chosen.filters_applied)
    order = {name: place for place, name in enumerate((REFUSED, selection.EXACT_COPY, *FILTERS))}
    names = sorted(asked, key=lambda name: order.get(name, len(order)))
    counts = [chosen.by_decision(about.hours) for chosen in about.selections]
    most = max([1, *(count.files for each in counts for name, count in each.items() if name != KEPT)])
    body = []
    told = ""
    for name in names:
        reason = FILTERS[name].reason if name in FILTERS else _REASONS[name]
        cells = [f"<b>{name}</b>" + (f"<br><small>{reason}</small>" if reason != told else "")]
        told = reason
        for i, (chosen, count) in enumerate(zip(about.selections, counts, strict=True)):
            if name in chosen.filters_applied:
                cells.append(_amount(count[name]) + bar(count[name].files / most, i) + _bound(chosen, name))
            else:
                cells.append('<span class="faint">not used</span>')
        body.append(cells)
    kept = ["<b>kept</b>", *(f"<b>{_amount(count[KEPT])}</b>" for count in counts)]
    header = ["removed by", *(f"{dot(i)}{escape(chosen.recipe.name)}" for i, chosen in enumerate(about.selections))]
    return (
        "<h2>What each filter removed</h2><p>From top to bottom in the order of asking; a file is counted where it was "
        "removed first. Below each bar what a file must be to pass.</p>" + rows(header, [*body, kept])
    )


def _bound(chosen: Selection, name: str) -> str:
    composition = chosen.recipe.composition
    if name in chosen.recipe.filters:
        sign = "≥" if FILTERS[name].side == "at least" else "≤"
        bound = f"{sign} {number(chosen.recipe.filters[name])} {FILTERS[name].unit}"
        return f"<small>{bound.replace(' ', '&nbsp;')}</small>"
    if name == selection.UNIDENTIFIED and composition is not None:
        return f"<small>composers with &gt;&nbsp;{composition.crowded_above}</small>"
    if name == selection.PER_PIECE and composition is not None:
        which = "any piece" if composition.every_piece else "a crowded composer's piece"
        return f"<small>≤&nbsp;{composition.per_piece} of {which}</small>"
    return ""


def _splits(about: _Corpus) -> str:
    body = []
    for i, chosen in enumerate(about.selections):
        count = chosen.by_split(about.hours)
        total = max(1, sum(each.files for each in count.values()))
        for name in splits.SPLITS:
            mine = count[name]
            label = f"{dot(i)}{escape(chosen.recipe.name)}" if name == splits.SPLITS[0] else ""
            body.append([label, name, f"{mine.files:,}", f"{mine.hours:,.1f}", bar(mine.files / total, i)])
    groups = ""
    if about.selections and len(about.rows):
        sizes = np.bincount(about.selections[0].table.column("split_group").to_numpy())
        groups = f" Of {(sizes > 0).sum():,} groups that go together the largest has {sizes.max():,} files."
    return (
        "<h2>Splits of what is kept</h2><p>No piece and no near-duplicate stands on two sides, and all recipes hold "
        f"out the same pieces.{groups}</p>" + rows(["", "split", "files", "hours", "share"], body, numeric=(2, 3))
    )


def _histograms(about: _Corpus) -> str:
    """A card for each measurement that some selection bounds, over all readable files."""
    by_column: dict[str, list[str]] = defaultdict(list)
    for name, filter_ in FILTERS.items():
        if any(name in chosen.recipe.filters for chosen in about.selections):
            by_column[filter_.column].append(name)
    cards = []
    for column, names in by_column.items():
        marks: dict[float, Mark] = {}
        for name in names:
            for i, chosen in enumerate(about.selections):
                if name in chosen.recipe.filters:
                    value = chosen.recipe.filters[name]
                    marks.setdefault(value, Mark(value=value, colour=i))
        reasons = "; ".join(f"<b>{name}</b> ({_TAKES[FILTERS[name].side]}): {FILTERS[name].reason}" for name in names)
        picture = histogram(measured(about.rows, column), list(marks.values()), logarithmic=column in _LOGARITHMIC)
        cards.append(
            f'<div class="card"><h3>{column.replace("_", " ")} <small>({FILTERS[names[0]].unit})</small></h3>'
            f"<p>{reasons}</p>{picture}</div>"
        )
    legend = ", ".join(f"{dot(i)}{escape(chosen.recipe.name)}" for i, chosen in enumerate(about.selections))
    return (
        "<h2>Measurements and thresholds</h2><p>Bars: all readable files, whatever their decision, as square roots of "
        f"their number, so that a few can be seen beside many. Dashed lines: the bounds of {legend}; "
        f'a bound of several in the colour of the first.</p><div class="grid">{"".join(cards)}</div>'
    )


def _kinds(about: _Corpus) -> str:
    blocks = []
    for kind in KINDS:
        names = pc.fill_null(about.rows.column(kind), "")
        hours = _sums(names, about.hours)
        kept = [
            _sums(names, np.where(np.asarray(pc.equal(chosen.table.column("decision"), KEPT)), about.hours, 0.0))
            for chosen in about.selections
        ]
        largest = sorted((name for name in hours if name), key=lambda name: (-hours[name], name))
        most = max([1e-9, *(hours[name] for name in largest)])
        body = [
            [
                escape(name),
                f"{hours[name]:,.1f}",
                bar(hours[name] / most) + "".join(bar(mine[name] / most, i) for i, mine in enumerate(kept)),
            ]
            for name in largest[:_MOST_KINDS]
        ]
        if "" in hours:
            body.append(['<span class="faint">unknown</span>', f"{hours['']:,.1f}", ""])
        rest = len(largest) - _MOST_KINDS
        more = f'<p class="faint">and {rest} more</p>' if rest > 0 else ""
        blocks.append(f"<div>{rows([kind, 'hours', ''], body, numeric=(1,))}{more}</div>")
    legend = "grey: surveyed; " + "; ".join(
        f"{dot(i)}kept by {escape(chosen.recipe.name)}" for i, chosen in enumerate(about.selections)
    )
    return f'<h2>Hours by kind</h2><p>{legend}.</p><div class="columns">{"".join(blocks)}</div>'


def _refusals(about: _Corpus) -> str:
    refused = about.rows.filter(pc.equal(about.rows.column("verdict"), REFUSED))
    if not len(refused):
        return "<h2>Files that could not be read</h2><p>None.</p>"
    body = []
    counts = _sums(refused.column("reason"), np.ones(len(refused)))
    for reason in sorted(counts, key=lambda reason: (-counts[reason], reason)):
        some = refused.filter(pc.equal(refused.column("reason"), reason)).slice(0, _EXAMPLES).to_pylist()
        for i, row in enumerate(some):
            first = [f"<b>{escape(reason)}</b>", f"{counts[reason]:,.0f}"] if i == 0 else ["", ""]
            body.append([*first, f"<code>{escape(row['path'])}</code>", escape(row["detail"])])
    table = rows(["reason", "files", "for example", "detail"], body, numeric=(1,))
    return f"<h2>Files that could not be read</h2>{table}"


def _examples(about: _Corpus) -> str:
    """For each selection some files that each filter removed, with what was measured."""
    html = "<h2>Examples of what was removed</h2>"
    for i, chosen in enumerate(about.selections):
        body = [
            [name, f"<code>{escape(row['path'])}</code>", _found(chosen, name, row["value"])]
            for name in chosen.filters_applied[1:]
            for row in chosen.table.filter(pc.equal(chosen.table.column("decision"), name))[:_EXAMPLES].to_pylist()
        ]
        html += (
            f"<details><summary>{dot(i)}{escape(chosen.recipe.name)}</summary>"
            + rows(["removed by", "file", "found"], body)
            + "</details>"
        )
    return html


def _found(chosen: Selection, name: str, value: float) -> str:
    if name in (selection.EXACT_COPY, selection.SAME_PERFORMANCE):
        return f"like <code>{escape(chosen.table.column('path')[int(value)].as_py())}</code>"
    if name in FILTERS:
        return f"{number(value)} {FILTERS[name].unit}"
    return f"number {value:,.0f} of its piece" if name == selection.PER_PIECE else f"one of {value:,.0f} and more"


def _amount(count: Count) -> str:
    return f"{count.files:,} files, {count.hours:,.1f} h"


def _sums(names: pa.ChunkedArray, amounts: npt.NDArray[np.float64]) -> dict[str, float]:
    table = pa.table({"name": names, "amount": amounts}).group_by("name").aggregate([("amount", "sum")])
    return dict(zip(table.column("name").to_pylist(), table.column("amount_sum").to_pylist(), strict=True))
