"""A survey and a recipe -> what is decided on every file, and which split it trains or tests.

A file is kept, or removed by the first filter that it does not pass; docs/corpus.md lists them in their order, says
which file stays of several, what one piece is, and why composers are counted before the quality filters and places of a
piece given after them. It refuses to know how files are read, measured, or recognised in one another.

    >>> selection = select(rows, relations, selection_recipe("pretrain"))  # doctest: +SKIP
    >>> selection.save("corpus")                                 # doctest: +SKIP

Source: section 3.2 of the paper for the rule about pieces.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from partimento.corpus.duplicates.components import components
from partimento.corpus.duplicates.relations import Relations
from partimento.corpus.selection import splits
from partimento.corpus.selection.quality import FILTERS, beyond, measured
from partimento.corpus.selection.recipes import Composition, SelectionRecipe
from partimento.corpus.selection.works import spread
from partimento.corpus.survey.manifest import READABLE, REFUSED
from partimento.errors import UserError
from partimento.files import refuse_existing, replacing

KEPT: Final = "kept"
EXACT_COPY: Final = "exact-copy"
UNIDENTIFIED: Final = "unidentified"
SAME_PERFORMANCE: Final = "same-performance"
PER_PIECE: Final = "per-piece"

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many files, and how long they last."""

    files: int
    hours: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Selection:
    """A recipe applied to a manifest.

    table: one row per row of the manifest, in its order; docs/corpus.md lists the columns.
    """

    recipe: SelectionRecipe
    table: pa.Table

    @property
    def filters_applied(self) -> tuple[str, ...]:
        """Everything that may have removed a file, in the order in which it was applied."""
        composition = self.recipe.composition is not None
        return (
            REFUSED,
            EXACT_COPY,
            *(name for name in FILTERS if name in self.recipe.filters),
            *((UNIDENTIFIED,) if composition else ()),
            *((SAME_PERFORMANCE,) if self.recipe.one_per_performance else ()),
            *((PER_PIECE,) if composition else ()),
        )

    def by_decision(self, hours: Floats) -> dict[str, Count]:
        """What each of the `filters_applied` removed, then what was kept; `hours` float64 [n] of the rows."""
        return self._count("decision", hours, (*self.filters_applied, KEPT))

    def by_split(self, hours: Floats) -> dict[str, Count]:
        """What each split got; `hours` float64 [n] of the rows."""
        return self._count("split", hours, splits.SPLITS)

    def _count(self, column: str, hours: Floats, names: Sequence[str]) -> dict[str, Count]:
        values = pc.index_in(self.table.column(column), pa.array(names))
        known = np.asarray(pc.is_valid(values))
        place = np.asarray(values.drop_null(), np.int64)
        files = np.bincount(place, minlength=len(names))
        sums = np.bincount(place, weights=hours[known], minlength=len(names))
        return {name: Count(files=int(files[i]), hours=float(sums[i])) for i, name in enumerate(names)}

    def save(self, corpus: str | os.PathLike[str]) -> Path:
        """Write `corpus`/selections/NAME.parquet, whole or not at all, over an earlier one of that name."""
        path = _path(corpus, self.recipe.name)
        path.parent.mkdir(exist_ok=True)
        with replacing(path) as part:
            pq.write_table(self.table.replace_schema_metadata({b"recipe": self.recipe.to_json().encode()}), part)
        return path

    @classmethod
    def open(cls, corpus: str | os.PathLike[str], name: str) -> Selection:
        """What `save` wrote; a `UserError` that lists the selections if there is none of that name."""
        path = _path(corpus, name)
        try:
            table = pq.read_table(path)
            table.schema.field("decision")
            return cls(recipe=SelectionRecipe.from_json(table.schema.metadata[b"recipe"].decode()), table=table)
        except FileNotFoundError as error:
            there = ", ".join(sorted(other.stem for other in path.parent.glob("*.parquet"))) or "none"
            message = f"{corpus}: no selection {name!r}, there are: {there}; make one with 'partimento select'"
            raise UserError(message) from error
        except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
            message = f"{path}: no readable selection ({error}); make it again with 'partimento select'"
            raise UserError(message) from error


def refuse_another(corpus: str | os.PathLike[str], recipe: SelectionRecipe, *, force: bool) -> None:
    """Raise `UserError` where another recipe's selection has the name of this one's; the same recipe's is renewed."""
    path = _path(corpus, recipe.name)
    try:
        same = path.exists() and Selection.open(corpus, recipe.name).recipe == recipe
    except UserError:
        same = False
    if not same:
        refuse_existing(path, force=force)


def needed_columns(recipe: SelectionRecipe) -> list[str]:
    """The columns of a manifest that `select` looks at."""
    always = "source path sha256 verdict notes seconds composer opus piece title audio_score declared_split"
    return sorted({*always.split(), *(column for name in recipe.filters for column in FILTERS[name].columns)})


def hours_of(rows: pa.Table) -> Floats:
    """How long each file lasts, float64 [n]; 0 for refused ones."""
    return np.nan_to_num(measured(rows, "seconds")) / 3600


def select(rows: pa.Table, relations: Relations, recipe: SelectionRecipe) -> Selection:
    """What the recipe decides on every row.

    `rows` [n]: a manifest's rows with the `needed_columns`. `relations`: [n], each refused row alone in its groups.
    """
    decisions = _Decisions(len(rows))
    contents = splits.content(rows)
    decisions.remove(REFUSED, np.asarray(pc.not_equal(rows.column("verdict"), READABLE)))
    works = spread(rows, relations.piece_group)
    identified = np.asarray(splits.identified(works))
    by_path = pc.sort_indices(rows, [("path", "ascending"), ("source", "ascending")]).to_numpy()
    best_copy = by_path[np.argsort(~np.asarray(splits.identified(rows))[by_path], kind="stable")]
    copies = splits.same_bytes(rows)
    decisions.remove_copies(EXACT_COPY, copies, best_copy)

    crowded = _crowded(works, identified & decisions.alive, recipe.composition)
    for name in FILTERS:
        if name in recipe.filters:
            decisions.remove(name, *beyond(rows, name, recipe.filters[name]), recipe.filters[name])
    if recipe.composition is not None:
        decisions.remove(UNIDENTIFIED, (crowded > 0) & ~identified, crowded, recipe.composition.crowded_above)
    if recipe.one_per_performance:
        longest = by_path[np.argsort(-measured(rows, "notes")[by_path], kind="stable")]
        decisions.remove_copies(SAME_PERFORMANCE, relations.performance_group.astype(np.int64), longest)
    if recipe.composition is not None:
        score = np.nan_to_num(measured(rows, "audio_score"), nan=-1.0)
        best = np.lexsort((contents, -score))
        pieces = np.where(crowded > 0, splits.same_piece(works), -1)
        if recipe.composition.every_piece:
            pieces = components([pieces, splits.same_piece(works, whole=True), relations.piece_group])
        place = _places(pieces, best, decisions.alive).astype(np.float64) + 1
        decisions.remove(PER_PIECE, place > recipe.composition.per_piece, place, recipe.composition.per_piece)

    together: list[npt.NDArray] = [copies, relations.performance_group, relations.piece_group]
    component = components([*together, splits.same_piece(rows), splits.same_title(rows)])
    split = splits.assign(component, contents, splits.declared(rows), recipe.splits)
    names = pa.DictionaryArray.from_arrays(pa.array(split, mask=~decisions.alive), pa.array(splits.SPLITS))
    table = pa.table(
        {
            **{name: rows.column(name) for name in ("source", "path", "sha256")},
            "decision": decisions.names(),
            "value": pa.array(decisions.value, from_pandas=True),
            "threshold": pa.array(decisions.bound, from_pandas=True),
            "split": names.cast(pa.string()),
            "performance_group": pa.array(relations.performance_group, pa.int32()),
            "piece_group": pa.array(relations.piece_group, pa.int32()),
            "split_group": pa.array(component, pa.int32()),
        }
    )
    return Selection(recipe=recipe, table=table)


class _Decisions:
    """What is decided on each of n rows while filter after filter removes some of those that are still there."""

    def __init__(self, n: int) -> None:
        self.alive = np.ones(n, np.bool_)
        self.value, self.bound = np.full(n, np.nan), np.full(n, np.nan)
        self._decision = np.zeros(n, np.int64)
        self._names = [KEPT]

    def remove(self, name: str, which: Bools, value: Floats | None = None, bound: float = np.nan) -> None:
        """Remove those of the rows `which` that are still there, by the filter `name`."""
        removed = which & self.alive
        self.alive &= ~removed
        self._names.append(name)
        self._decision[removed] = len(self._names) - 1
        self.bound[removed] = bound
        if value is not None:
            self.value[removed] = value[removed]

    def remove_copies(self, name: str, group: Ints, order: Ints) -> None:
        """Remove all but the first in `order` of each group's rows that are still there; their value is that row."""
        place = _places(group, order, self.alive)
        stays = np.full(int(group.max(initial=-1)) + 1, -1, np.int64)
        first = self.alive & (place == 0)
        stays[group[first]] = np.flatnonzero(first)
        self.remove(name, place > 0, stays[group].astype(np.float64))

    def names(self) -> pa.Array:
        """The decisions as text [n]."""
        return pa.DictionaryArray.from_arrays(pa.array(self._decision), pa.array(self._names)).cast(pa.string())


def _places(group: Ints, order: Ints, alive: Bools) -> Ints:
    """Each row's place, from 0, among the rows of its group that are alive, in `order`; -1 for others and group -1."""
    queue = order[(alive & (group >= 0))[order]]
    queue = queue[np.argsort(group[queue], kind="stable")]
    grouped = group[queue]
    starts = np.flatnonzero(np.diff(grouped, prepend=-1))
    place = np.full(len(group), -1, np.int64)
    place[queue] = np.arange(len(queue)) - np.repeat(starts, np.diff(np.append(starts, len(queue))))
    return place


def _crowded(rows: pa.Table, counted: Bools, composition: Composition | None) -> Floats:
    """For each row of a crowded composer how many of the composer's files are `counted` (those identified), else 0."""
    if composition is None:
        return np.zeros(len(rows))
    codes = pc.fill_null(rows.column("composer").combine_chunks().dictionary_encode().indices, -1)
    composer = np.asarray(codes, np.int64)
    # The last count is that of unknown composers.
    count = np.bincount(composer[counted & (composer >= 0)], minlength=int(composer.max(initial=-1)) + 2)
    mine = count[composer]
    return np.where((composer >= 0) & (mine > composition.crowded_above), mine, 0).astype(np.float64)


def _path(corpus: str | os.PathLike[str], name: str) -> Path:
    return Path(corpus) / "selections" / f"{name}.parquet"
