"""The note store: every piano note of a corpus as memory-mapped columns, 8 bytes a note.

Notes are stored rather than tokens, because notes can be re-timed and transposed afresh each epoch and belong to no
vocabulary. Reading: this file knows shards, splits, labels and hashes, and refuses to know about tokens; `build.py`
makes stores, `packing.py` says what the eight bytes are. docs/store.md describes the files.

    >>> store = NoteStore("store")              # doctest: +SKIP
    >>> store.notes(0), store.file(0).split    # doctest: +SKIP
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from partimento.corpus.selection.splits import SPLITS
from partimento.corpus.store.packing import NOTE, PEDAL, Packed, unpack
from partimento.errors import UserError
from partimento.tokens.notes import Notes

VERSION: Final = 2
MANIFEST: Final = "store.json"
PARTS: Final = ("notes", "pedal", "files")

FIXED_COLUMNS: Final = (
    pa.field("name", pa.string(), nullable=False),
    pa.field("sha256", pa.binary(32), nullable=False),
    pa.field("split", pa.string(), nullable=False),
    pa.field("notes", pa.int32(), nullable=False),
    pa.field("pedal", pa.int32(), nullable=False),
    pa.field("piece", pa.int64(), nullable=False),
    pa.field("performance", pa.int64(), nullable=False),
)
"""Columns of the files table; the labels follow as nullable strings."""


def files_schema(labels: Sequence[str]) -> pa.Schema:
    """The schema of a files table."""
    return pa.schema([*FIXED_COLUMNS, *(pa.field(name, pa.string()) for name in labels)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """What the manifest says of a shard: counts of files, notes and pedal moves, and the SHA-256 of each part."""

    name: str
    files: int
    notes: int
    pedal: int
    sha256: dict[str, str]

    def path(self, folder: Path, part: str) -> Path:
        """Where one of `PARTS` lies."""
        return folder / (f"{self.name}.files.parquet" if part == "files" else f"{self.name}.{part}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreManifest:
    """The store in short: names of the label columns, and the shards."""

    labels: tuple[str, ...]
    shards: tuple[Shard, ...]

    def write(self, folder: Path) -> None:
        """Write `store.json`, which makes `folder` a store."""
        about = {
            "format": "partimento note store",
            "version": VERSION,
            "schema": {
                "notes": NOTE.descr,
                "pedal": [["2 * ms + pressed", PEDAL.str]],
                "files": {field.name: str(field.type) for field in files_schema(self.labels)},
            },
        }
        values = about | {"labels": self.labels, "shards": [asdict(shard) for shard in self.shards]}
        (folder / MANIFEST).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> StoreManifest:
        """Raises `UserError` if there is none or one of another version."""
        try:
            values = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            old = " of an older version" if (folder / "files.json").exists() else ""
            raise UserError(
                f"{folder}: not a note store{old} (no readable {MANIFEST}); make one with 'partimento store'"
            ) from error
        version = values.get("version") if isinstance(values, dict) else None
        if version != VERSION:
            raise UserError(f"{folder}: note store version {version!r}, this program reads {VERSION}; rebuild it")
        try:
            return cls(labels=tuple(values["labels"]), shards=tuple(Shard(**shard) for shard in values["shards"]))
        except (KeyError, TypeError) as error:
            raise UserError(f"{folder}: damaged note store ({MANIFEST}: {error!r}); rebuild it") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file of `count` notes.

    `name` is the path in the source. Files of one `piece` number play the same piece, those of one `performance`
    number are copies of one performance; numbers mean nothing else. `labels` holds what is known.
    """

    name: str
    sha256: str
    split: str
    count: int
    piece: int
    performance: int
    labels: Mapping[str, str]


MEND: Final = (
    "make the store anew: of a folder with --validation-share 0.1, of a selection made by a recipe with a greater "
    "share for validation"
)
"""What to do about a store of which no file is held out."""


class NoteStore:
    """A store opened for reading; any number of processes may share it, and it may be sent to another process.

    int64 arrays over the files, in one order: `counts` (notes), `pieces`, `performances`, `split_of` (indices into
    `SPLITS`). `labels` names the label columns. Opening compares versions, counts and sizes; `damage` compares hashes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the folder `path`; raises `UserError` if it holds no complete store of this version."""
        self.path = Path(path)
        manifest = StoreManifest.read(self.path)
        self.labels, self.shards = manifest.labels, manifest.shards
        for shard in self.shards:
            for part, size in (("notes", shard.notes * NOTE.itemsize), ("pedal", shard.pedal * PEDAL.itemsize)):
                self._expect(shard.path(self.path, part), size)
        numbers = self._table(["notes", "pedal", "split", "piece", "performance"])
        self.counts, self.pieces, self.performances = (
            numbers[name].to_numpy().astype(np.int64) for name in ("notes", "piece", "performance")
        )
        self.split_of = pc.index_in(numbers["split"].combine_chunks(), pa.array(SPLITS)).fill_null(-1).to_numpy()
        self._shard_of = np.repeat(np.arange(len(self.shards)), [shard.files for shard in self.shards])
        self._first = self._starts(self.counts, [shard.notes for shard in self.shards], "notes")
        self._pedal_counts = numbers["pedal"].to_numpy().astype(np.int64)
        self._pedal_first = self._starts(self._pedal_counts, [shard.pedal for shard in self.shards], "pedal moves")
        self._maps: dict[tuple[int, str], npt.NDArray] = {}

    def __len__(self) -> int:
        return len(self.counts)

    def __reduce__(self) -> tuple[type[NoteStore], tuple[Path]]:
        return NoteStore, (self.path,)

    @property
    def files(self) -> Iterator[StoredFile]:
        """The rows of the files in turn: a million of them at once would take a gigabyte."""
        return map(self.file, range(len(self)))

    def split(self, name: str) -> npt.NDArray[np.int64]:
        """Indices of the files of a split; raises `UserError` if it has none."""
        found = np.flatnonzero(self.split_of == SPLITS.index(name)) if name in SPLITS else np.empty(0, np.int64)
        if not len(found):
            known = ", ".join(SPLITS[i] for i in np.unique(self.split_of))
            mend = f"; {MEND}" if name == "validation" else ""
            raise UserError(f"{self.path}: no files in split {name!r}; there are {known}{mend}")
        return found

    def label(self, name: str) -> list[str | None]:
        """One label of every file; raises `UserError` for a label that the store does not have."""
        if name not in self.labels:
            raise UserError(f"{self.path}: no label {name!r}; there are {', '.join(self.labels) or 'none'}")
        return self._texts[name].to_pylist()

    def packed(self, index: int) -> Packed:
        """One file's notes and pedal as they lie on disk, not copied."""
        shard = int(self._shard_of[index])
        first, pedal_first = self._first[index], self._pedal_first[index]
        return Packed(
            notes=self._map(shard, "notes")[first : first + self.counts[index]],
            pedal=self._map(shard, "pedal")[pedal_first : pedal_first + self._pedal_counts[index]],
        )

    def notes(self, index: int, first: int = 0, last: int | None = None, *, fold_pedal: bool = True) -> Notes:
        """Notes first..last-1 of one file, all piano; see `packing.unpack`."""
        return unpack(self.packed(index), first, last, fold_pedal=fold_pedal)

    def file(self, index: int) -> StoredFile:
        """One file's row; raises `IndexError` beyond the last."""
        row = self._texts.slice(index, 1).to_pylist()[0]
        return StoredFile(
            name=row["name"],
            sha256=row["sha256"].hex(),
            split=SPLITS[self.split_of[index]],
            count=int(self.counts[index]),
            piece=int(self.pieces[index]),
            performance=int(self.performances[index]),
            labels={name: row[name] for name in self.labels if row[name] is not None},
        )

    def damage(self) -> Iterator[tuple[Shard, str]]:
        """Read every byte: each shard in turn with what is wrong with it, "" for a sound one."""
        for shard in self.shards:
            wrong = [part for part in PARTS if digest(shard.path(self.path, part)) != shard.sha256.get(part)]
            yield shard, ", ".join(f"{shard.path(self.path, part).name} has changed" for part in wrong)

    # -- inside -------------------------------------------------------------------------------------------------------

    @cached_property
    def _texts(self) -> pa.Table:
        return self._table(["name", "sha256", *self.labels]).combine_chunks()

    def _table(self, columns: list[str]) -> pa.Table:
        schema, tables = files_schema(self.labels), []
        wanted = pa.schema([schema.field(name) for name in columns])
        for shard in self.shards:
            path = shard.path(self.path, "files")
            try:
                table = pq.read_table(path, columns=columns)
            except (OSError, pa.ArrowException) as error:
                raise UserError(f"{path}: damaged note store ({str(error).splitlines()[0]}); rebuild it") from error
            if table.num_rows != shard.files or not table.schema.equals(wanted):
                raise UserError(f"{path}: damaged note store (not the rows or columns of {MANIFEST}); rebuild it")
            tables.append(table)
        return pa.concat_tables(tables, promote_options="none") if tables else wanted.empty_table()

    def _starts(self, counts: npt.NDArray[np.int64], totals: Sequence[int], what: str) -> npt.NDArray[np.int64]:
        """Where each file begins in its shard; refuses counts that do not add up to the shards' totals."""
        ends = np.cumsum(counts)
        before_shard = np.cumsum([0, *totals])
        last_of_shard = np.cumsum([shard.files for shard in self.shards]) - 1
        if not np.array_equal(ends[last_of_shard], before_shard[1:]):
            raise UserError(f"{self.path}: damaged note store (files and shards disagree on {what}); rebuild it")
        return ends - counts - before_shard[self._shard_of]

    def _expect(self, path: Path, size: int) -> None:
        found = path.stat().st_size if path.exists() else None
        if found != size:
            state = "is missing" if found is None else f"has {found} bytes instead of {size}"
            raise UserError(f"{self.path}: damaged note store ({path.name} {state}); rebuild it")

    def _map(self, shard: int, part: str) -> npt.NDArray:
        """A shard's notes or pedal moves, mapped when first wanted: a large store has more shards than most need."""
        if (shard, part) not in self._maps:
            entry, dtype = self.shards[shard], NOTE if part == "notes" else PEDAL
            path = entry.path(self.path, part)
            # An empty file cannot be mapped. A memmap does the same as a plain array over it, but slowly.
            mapped = np.memmap(path, dtype, mode="r").view(np.ndarray) if path.stat().st_size else np.empty(0, dtype)
            self._maps[shard, part] = mapped
        return self._maps[shard, part]


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal, "" if it is not there; constant memory."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
