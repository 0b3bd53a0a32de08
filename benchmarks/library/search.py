"""How fast a large library answers, and how much of the exact answer its approximate index finds.

    python -m benchmarks.library.search VECTORS.parquet [--files 100000] [--slices 8] [--queries 200] [-o search.md]

VECTORS.parquet is what `partimento embed` makes. The library is made of copies of these vectors with noise: each of a
copy's slices is the file's vector with noise of its own, and the copy's vector is their mean. The noise of a copy is a
third of its length, that of slices as long as the vector itself, so that neighbours are many and near each other. A
query is one more such copy, under an id of its own, so that it is no file of the library.

Times are of whole calls of `find`, one after the other, except for reading a query's notes with the model; a query that
is a file of the library needs none. Those of the processor count the work of all its threads: on a machine with nothing
else to do, an answer takes no longer. Recall is beside all distances by numpy.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.common import Program, publish, table
from benchmarks.made_up import scratch
from partimento.embed.vectors import nearest, unit
from partimento.library import search, tables
from partimento.library.tables import FILES, SLICES, About, Tables, files_schema, slices_schema

COPIES_APART, SLICES_APART = 0.33, 1.0
AT_ONCE = 5_000
COMPOSERS = ("bach", "chopin", "liszt", "scarlatti", "schubert")


def copies(real: np.ndarray, count: int, slices: int, seed: int) -> np.ndarray:
    """float32 [count, slices, E]: slices of copies of the vectors `real`, in turn."""
    rng = np.random.default_rng(seed)
    size = real.shape[1]
    chosen = real[np.resize(rng.permutation(len(real)), count)]
    length = np.linalg.norm(chosen, axis=1)[:, None, None] / np.sqrt(size)
    apart = rng.standard_normal((count, 1, size), np.float32) * COPIES_APART
    apart = apart + rng.standard_normal((count, slices, size), np.float32) * SLICES_APART
    return (chosen[:, None] + apart * length).astype(np.float32)


def id_of(number: int) -> str:
    return f"{number:016x}"


def rows_of(first: int, vectors: np.ndarray) -> tuple[pa.Table, pa.Table]:
    count, slices, size = vectors.shape
    numbers = np.arange(first, first + count)
    ids = [id_of(number) for number in numbers]
    paths = [f"/music/{number}.mid" for number in numbers]
    known = {
        "id": ids,
        "path": paths,
        "composer": [COMPOSERS[number % len(COMPOSERS)] for number in numbers],
        "tags": [[]] * count,
        "reason": [""] * count,
        "places": [[{"path": path, "size": 1, "modified_ns": 1}] for path in paths],
        "embedding": column(vectors.mean(axis=1)),
    }
    of_slices = {
        "id": np.repeat(ids, slices),
        "slice": np.tile(np.arange(slices), count),
        "start": np.tile(np.arange(slices) * 30.0, count),
        "end": np.tile(np.arange(1, slices + 1) * 30.0, count),
        "embedding": column(vectors.reshape(-1, size)),
    }
    return filled(known, files_schema(size)), filled(of_slices, slices_schema(size))


def column(vectors: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel(), pa.float32()), vectors.shape[1])


def filled(columns: dict, schema: pa.Schema) -> pa.Table:
    """With nulls in the columns that are not said."""
    rows = len(columns["id"])
    return pa.table(
        [pa.array(columns[f.name], f.type) if f.name in columns else pa.nulls(rows, f.type) for f in schema], schema
    )


def build(folder: Path, real: np.ndarray, count: int, slices: int) -> Tables:
    made = Tables.create(folder, About(model="", sha256="", slice_notes=300, size=real.shape[1]))
    for first in range(0, count, AT_ONCE):
        made.write(*rows_of(first, copies(real, min(AT_ONCE, count - first), slices, seed=first + 1)))
        print(f"{first + AT_ONCE} files", flush=True)
    made.tidy()
    return made


def timed(ask: Callable[[search.Query], pa.Table], queries: list[search.Query]) -> tuple[list, list, list[list[str]]]:
    """Milliseconds of each query by the clock and of the processor, and the ids that it found."""
    ask(queries[0])
    wall, used, found = [], [], []
    for query in queries:
        begun, work = time.perf_counter(), time.process_time()
        answer = ask(query)
        wall.append(1000 * (time.perf_counter() - begun))
        used.append(1000 * (time.process_time() - work))
        found.append(answer["id"].to_pylist())
    return wall, used, found


def recall(found: list[list[str]], exact: list[list[str]]) -> float:
    return float(
        np.mean([len(set(mine) & set(theirs)) / len(theirs) for mine, theirs in zip(found, exact, strict=True)])
    )


def main(words: Sequence[str] | None = None) -> None:
    parser = Program(__file__, __doc__, quick="{vectors} --files 300 --slices 2 --queries 5 --indexed-from 256")
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--slices", type=int, default=8, help="of a file")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--limit", type=int, default=10)
    parser.add_argument("--indexed-from", type=int, default=tables.INDEXED_FROM)
    parser.add_argument("--keep", type=Path, help="make the library here, or use the one that was made here before")
    options = parser.parse_args(words)
    tables.INDEXED_FROM = options.indexed_from
    column = pq.read_table(options.vectors, columns=["embedding"])["embedding"].drop_null()
    real = np.stack(column.to_numpy(zero_copy_only=False)).astype(np.float32)
    folder = options.keep or scratch() / "library"
    begun, there = time.perf_counter(), folder.exists()
    library = Tables(folder) if there else build(folder, real, options.files, options.slices)
    made = "" if there else f" Made and indexed in {time.perf_counter() - begun:.0f} s."
    asked = copies(real, options.queries, options.slices, seed=0)
    seconds = np.column_stack([np.arange(options.slices) * 30.0, np.arange(1, options.slices + 1) * 30.0])
    queries = [search.Query(id="", vectors=vectors, seconds=seconds) for vectors in asked]
    limit = options.limit
    rows = []
    ids, vectors = ids_and_vectors(library, FILES)
    means = unit(asked.mean(axis=1))
    exact = [[ids[i] for i in row] for row in nearest(vectors, means, limit)[0]]
    some = np.array([int(id_, 16) % len(COMPOSERS) == 1 for id_ in ids])
    chosen = [id_ for id_, kept in zip(ids, some, strict=True) if kept]
    filtered = [[chosen[i] for i in row] for row in nearest(vectors[some], means, limit)[0]]
    ways = {
        "pieces": (lambda query: search.pieces(library, query, where={}, limit=limit), exact),
        "pieces, one composer of five": (
            lambda query: search.pieces(library, query, where={"composer": COMPOSERS[1]}, limit=limit),
            filtered,
        ),
        "moments": (
            lambda query: search.moments(library, query, where={}, limit=limit),
            moments(library, asked, limit),
        ),
    }
    for name, (ask, expected) in ways.items():
        wall, used, found = timed(ask, queries)
        times = [f"{ms:.1f}" for kind in (wall, used) for ms in np.percentile(kind, [50, 95])]
        rows.append((name, *times, f"{recall(found, expected):.4f}"))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    publish(
        options,
        "Searching a large library",
        f"{library.count(FILES):,} files with {library.count(SLICES):,} slices of {real.shape[1]} numbers, made of "
        f"{len(real):,} vectors with noise; {size / 1e9:.1f} GB; {len(queries)} queries; {tables.PROBES} of "
        f"{tables.PARTITIONS} parts are searched. Load average {os.getloadavg()[0]:.0f}.{made}",
        table(["question", "median ms", "p95 ms", "median ms of the processor", "p95", f"recall@{limit}"], rows),
        libraries=["lancedb"],
    )


def ids_and_vectors(library: Tables, name: str) -> tuple[list[str], np.ndarray]:
    found = library.rows(name, ["id", "embedding"])
    return found["id"].to_pylist(), unit(tables.matrix(found["embedding"], library.about.size))


def moments(library: Tables, asked: np.ndarray, limit: int) -> list[list[str]]:
    """Of each query's first slice the files of the nearest slices, each file once, by all distances."""
    ids, vectors = ids_and_vectors(library, SLICES)
    near = nearest(vectors, unit(asked[:, 0]), min(len(ids), limit * asked.shape[1]))[0]
    return [list(dict.fromkeys(ids[i] for i in row))[:limit] for row in near]


if __name__ == "__main__":
    main()
