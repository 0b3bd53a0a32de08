"""What is like this: the pieces and the moments of a library nearest to a performance, or to a stretch of it.

Knows that a piece is compared by the mean of its slices and a moment by one slice, and how answers are filtered.
Refuses to know how a query was read and how tables are stored.

    found = pieces(tables, Query(...), where={"composer": "chopin"}, limit=10)     # an Arrow table, the most like first
    found = moments(tables, Query(...), where={}, limit=10)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from partimento.embed.vectors import unit
from partimento.errors import UserError
from partimento.library.tables import FILES, SHOWN, SLICES, VECTOR, Tables, Vectors, matrix, one_of, quoted

FILTERS: Final = ("composer", "period", "form", "genre", "performer", "collection", "tag")
"""What answers can be filtered by."""
_SLICES_A_PIECE: Final = 8
"""How many slices are looked at first for each piece wanted: the nearest often lie in the same pieces."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Vectors [n, size] of what is looked for and, for each of them, seconds from where to where [n, 2] in its file.

    `id` is that of the same content in the library, which is no answer; "" if it is not there.
    """

    id: str
    vectors: Vectors
    seconds: npt.NDArray[np.float64]


def condition(where: Mapping[str, str]) -> str:
    """Filters as a condition in SQL; raises `UserError` for one that there is not."""
    conditions = []
    for name, value in where.items():
        if name not in FILTERS:
            raise UserError(f"no filter is called {name!r}; there are {', '.join(FILTERS)}")
        low = quoted(value.lower())
        conditions.append(f"array_has(tags, {quoted(value)})" if name == "tag" else f"lower({name}) = {low}")
    return " AND ".join(conditions)


def pieces(tables: Tables, query: Query, *, where: Mapping[str, str], limit: int) -> pa.Table:
    """The files whose vectors are nearest to the query's mean, each with the moment most like one of the query's."""
    mean = query.vectors.mean(axis=0)
    found = tables.nearest(FILES, mean, SHOWN, where=condition(where), limit=limit + 1)
    found = _without(found, query.id)[:limit]
    if not found.num_rows:
        return _answer(found, np.empty((0, 4)))
    slices = tables.by_id(SLICES, found["id"].to_pylist())
    alike = unit(matrix(slices[VECTOR], tables.about.size)) @ unit(query.vectors).T
    of_slice, ids = alike.argmax(axis=1), slices["id"].to_numpy()
    start, end = slices["start"].to_numpy(), slices["end"].to_numpy()
    times = []
    for id_ in found["id"].to_pylist():
        mine = np.flatnonzero(ids == id_)
        best = mine[alike[mine].max(axis=1).argmax()]
        times.append((start[best], end[best], *query.seconds[of_slice[best]]))
    return _answer(found, np.array(times))


def moments(tables: Tables, query: Query, *, where: Mapping[str, str], limit: int) -> pa.Table:
    """The slices nearest to the query's one vector, at most one of each file."""
    wanted, size = condition(where), _SLICES_A_PIECE * (limit + 1)
    total = tables.count(SLICES)
    while True:
        near = tables.nearest(SLICES, query.vectors[0], ("id", "start", "end"), where="", limit=size)
        order = list(dict.fromkeys(near["id"].to_pylist()))
        files = tables.rows(FILES, SHOWN, " AND ".join(filter(None, [wanted, one_of("id", order)]))) if order else None
        known = set() if files is None else set(files["id"].to_pylist()) - {query.id}
        chosen = [id_ for id_ in order if id_ in known][:limit]
        if len(chosen) == limit or size >= total:
            break
        size *= 8
    if files is None:
        files = tables.rows(FILES, SHOWN, "false")
    row_of = {id_: row for row, id_ in enumerate(files["id"].to_pylist())}
    first_of = {id_: row for row, id_ in reversed(list(enumerate(near["id"].to_pylist())))}
    best = near.take([first_of[id_] for id_ in chosen])
    found = files.take([row_of[id_] for id_ in chosen]).append_column("similarity", best["similarity"])
    times = np.column_stack([best["start"], best["end"], np.tile(query.seconds[0], (len(chosen), 1))])
    return _answer(found, times)


def _without(found: pa.Table, id_: str) -> pa.Table:
    return found.filter(pa.array([other != id_ for other in found["id"].to_pylist()], pa.bool_()))


def _answer(found: pa.Table, times: npt.NDArray[np.float64]) -> pa.Table:
    """The answer's columns: how alike, where in the file and where in the query, and what is known of the file."""
    names = ("start", "end", "query_start", "query_end")
    columns = {"similarity": found["similarity"]} | dict(zip(names, np.asarray(times, np.float64).T, strict=True))
    return pa.table(columns | {name: found[name] for name in SHOWN})
