"""A library's folder: two LanceDB tables, of files and of slices, and a note of which model made their vectors.

Knows what stands in the folder, how it is opened, and in which order rows are written, so that a kill at any moment
leaves a library that reads well and that the next writer tidies up. Refuses to know how rows come about (`adding.py`)
and what is asked of them (`search.py`).

    library.json     which model, how many numbers a vector has
    files.lance      a row for each content: what is known of it, its places on disk, vector, fingerprint
    slices.lance     a row for each slice: vector, where it begins and ends
    passages/        the index of `same`, made again whenever the files have changed (`recognition.py`)

The slices of files are written before the files they are of: a slice without a file is what a kill left, is shown to
nobody, and goes when somebody writes again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from partimento.corpus.survey.manifest import METADATA
from partimento.errors import UserError
from partimento.files import held_alone, new_folder

ABOUT_FILE: Final = "library.json"
FILES: Final = "files"
SLICES: Final = "slices"
VECTOR: Final = "embedding"
SHOWN: Final = ("id", "path", "title", "composer", "form", "period", "tags")
"""What answers say of a file."""
_FORMAT: Final = "partimento.library"
_VERSION: Final = 1
_LOCK: Final = ".lock"
INDEXED_FROM: Final = 20_000
"""Rows from which on a table has indexes; before, every vector is looked at, which is as fast."""
PARTITIONS: Final = 256
PROBES: Final = 8
"""Of so many parts of an indexed table the nearest to the query are searched, all vectors of them exactly; measured in
benchmarks/library/search.md."""
_SAMPLE_OF_PARTITION: Final = 64
_ROUNDS: Final = 20
"""How an index finds its parts: k-means of so many vectors for each, so many times; more found nothing better."""
_KEPT_FOR_READERS: Final = timedelta(hours=1)
"""How long what was replaced stays on disk: nobody reads one version of a table for longer."""

Vectors = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """Which model makes the vectors of a library: its name, SHA-256, notes of a slice and numbers of a vector."""

    model: str
    sha256: str
    slice_notes: int
    size: int


def files_schema(size: int) -> pa.Schema:
    """A row for each content; `embedding` is null and `reason` says why where a file has no vector."""
    place = pa.struct([("path", pa.string()), ("size", pa.int64()), ("modified_ns", pa.int64())])
    return pa.schema(
        [
            ("id", pa.string()),
            ("sha256", pa.string()),
            ("path", pa.string()),
            *((name, pa.string()) for name in METADATA),
            ("collection", pa.string()),
            ("tags", pa.list_(pa.string())),
            ("notes", pa.int32()),
            ("begins", pa.float64()),
            ("seconds", pa.float64()),
            ("slices", pa.int32()),
            ("reason", pa.string()),
            ("detail", pa.string()),
            ("places", pa.list_(place)),
            ("fingerprint", pa.binary()),
            (VECTOR, pa.list_(pa.float32(), size)),
        ]
    )


def slices_schema(size: int) -> pa.Schema:
    """A row for each slice of a file, by the file's id; seconds from the beginning of the file."""
    return pa.schema(
        [
            ("id", pa.string()),
            ("slice", pa.int32()),
            ("start", pa.float64()),
            ("end", pa.float64()),
            (VECTOR, pa.list_(pa.float32(), size)),
        ]
    )


class Tables:
    """The tables of a library that exists; every read sees what was written last."""

    def __init__(self, folder: Path) -> None:
        """Opens `folder`; raises `UserError`, in one line, if it is no library or a damaged one."""
        self.folder = folder
        self._opened: dict[str, Any] = {}
        try:
            said: dict[str, Any] = json.loads((folder / ABOUT_FILE).read_text(encoding="utf-8"))
            form, version = said.pop("format"), said.pop("version")
            if form != _FORMAT:
                raise ValueError(f"{ABOUT_FILE} is of something else")
            if version != _VERSION:
                raise UserError(f"{folder}: a library of version {version}, this program reads {_VERSION}; add anew")
            self.about = About(**said)
        except FileNotFoundError as error:
            raise UserError(
                f"{folder}: no library here; make one with: partimento library add FOLDER -l {folder}"
            ) from error
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise UserError(f"{folder}: not a library ({str(error).splitlines()[0]}); name another folder") from error
        for name, schema in self.schemas().items():
            with self._told():
                found = self.table(name).schema
            if not found.equals(schema):
                raise UserError(f"{folder}: the table {name} is not one of a library's; name another folder")

    @classmethod
    def create(cls, folder: Path, about: About) -> Tables:
        """An empty library, which appears whole or not at all; raises `UserError` if something is there already."""
        with new_folder(folder) as part:
            database = connect(part)
            database.create_table(FILES, schema=files_schema(about.size))
            database.create_table(SLICES, schema=slices_schema(about.size))
            facts = {"format": _FORMAT, "version": _VERSION} | asdict(about)
            (part / ABOUT_FILE).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
        return cls(folder)

    # -- reading ------------------------------------------------------------------------------------------------------

    def table(self, name: str) -> Any:
        """LanceDB's own table, which looks for a newer version at every read."""
        if name not in self._opened:
            self._opened[name] = self._database.open_table(name)
        return self._opened[name]

    def rows(self, name: str, columns: Sequence[str], where: str = "") -> pa.Table:
        """Some columns of the rows that a condition in SQL holds for, in no particular order."""
        with self._told():
            query = self.table(name).search().select(list(columns))
            query = query.where(where) if where else query
            return query.to_arrow().select(list(columns))

    def count(self, name: str) -> int:
        """How many rows a table has."""
        with self._told():
            return self.table(name).count_rows()

    def by_id(self, name: str, ids: Sequence[str]) -> pa.Table:
        """All columns of the rows of these files."""
        return self.rows(name, self.schemas()[name].names, one_of("id", ids))

    def nearest(self, name: str, vector: Vectors, columns: Sequence[str], *, where: str, limit: int) -> pa.Table:
        """The rows whose vectors are most like `vector` [size], the most like first, with `similarity` (the cosine)."""
        with self._told():
            query = self.table(name).search(vector, vector_column_name=VECTOR).distance_type("cosine").nprobes(PROBES)
            query = query.where(where, prefilter=True) if where else query
            found = query.select([*columns, "_distance"]).limit(limit).to_arrow()
        cosines = pc.subtract(1.0, found["_distance"]).cast(pa.float32())
        return found.select(list(columns)).append_column("similarity", cosines)

    # -- writing ------------------------------------------------------------------------------------------------------

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the library, which one process at a time may change; tidies up what a killed one left."""
        with held_alone(self.folder / _LOCK, f"{self.folder}: another process is writing this library; wait for it"):
            known = self.rows(FILES, ["id"])["id"]
            slices = pc.unique(self.rows(SLICES, ["id"])["id"])
            self.delete(SLICES, slices.filter(pc.invert(pc.is_in(slices, known))).to_pylist())
            yield

    def write(self, files: pa.Table, slices: pa.Table | None = None) -> None:
        """New and changed rows of files, by their id; the slices are those of the new ones."""
        with self._told():
            if slices is not None and slices.num_rows:
                self.table(SLICES).add(slices)
            if files.num_rows:
                merge = self.table(FILES).merge_insert("id").when_matched_update_all().when_not_matched_insert_all()
                merge.execute(files, on_bad_vectors="null")  # files without notes have none

    def delete(self, name: str, ids: Sequence[str]) -> None:
        """The rows of these files leave a table."""
        if ids:
            with self._told():
                self.table(name).delete(one_of("id", ids))

    def tidy(self) -> None:
        """Joins the small pieces that writing leaves; readers go on with what they have begun to read."""
        with self._told():
            for name in (FILES, SLICES):
                table = self.table(name)
                table.optimize(cleanup_older_than=_KEPT_FOR_READERS)  # brings new rows into the indexes, too
                if table.count_rows() >= INDEXED_FROM and not table.list_indices():
                    table.create_scalar_index("id")
                    table.create_index(
                        metric="cosine",
                        vector_column_name=VECTOR,
                        index_type="IVF_FLAT",
                        num_partitions=PARTITIONS,
                        sample_rate=_SAMPLE_OF_PARTITION,
                        max_iterations=_ROUNDS,
                    )

    def schemas(self) -> dict[str, pa.Schema]:
        """The tables by name."""
        return {FILES: files_schema(self.about.size), SLICES: slices_schema(self.about.size)}

    @cached_property
    def _database(self) -> Any:
        return connect(self.folder)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What LanceDB says of files that are not as it wrote them, in one line."""
        try:
            yield
        except (RuntimeError, ValueError, OSError, pa.ArrowException) as error:
            said = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(f"{self.folder}: a damaged library ({said}); make it anew from its files") from error


def connect(folder: Path) -> Any:
    """LanceDB at a folder. Raises `UserError` where it is not installed."""
    try:
        import lancedb
    except ImportError as error:
        raise UserError("a library needs LanceDB: pip install 'partimento[library]'") from error
    return lancedb.connect(folder, read_consistency_interval=timedelta(0))


def one_of(column: str, values: Sequence[str]) -> str:
    """The condition, in SQL, that a column has one of these values."""
    return f"{column} IN ({', '.join(map(quoted, values))})"


def quoted(value: str) -> str:
    """A value as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def matrix(column: pa.ChunkedArray, size: int) -> Vectors:
    """float32 [n, size] of a column of vectors, none of which is null."""
    flat = pc.list_flatten(column).combine_chunks() if len(column) else pa.array([], pa.float32())
    return flat.to_numpy(zero_copy_only=False).reshape(len(column), size)
