"""The manifest: one row for every file that was ever looked at, as Parquet.

Knows its columns, and how parts are added so that a kill at any moment leaves a manifest; refuses to know how a row
comes about (`run.py`) and what is thought of it (`selection/`). A corpus folder holds `manifest/part-*.parquet`;
a part appears whole, by renaming, and any SQL engine can read them all (docs/manifest.md).

    >>> read_manifest("corpus", columns=["path", "seconds"]).num_rows  # doctest: +SKIP
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from partimento.corpus.rows import Parts
from partimento.corpus.survey import measurements
from partimento.errors import UserError
from partimento.files import held_alone
from partimento.midi.reader import Reason

VERSION: Final = "3"
_VERSION_KEY: Final = b"partimento.manifest"

READABLE: Final = "readable"
REFUSED: Final = "refused"

METADATA: Final = ("composer", "opus", "piece", "form", "period", "genre", "performer", "title")
"""What may be known about a file beyond its notes; beside each stands `<name>_from`, where it is known from."""

KEY: Final = ("source", "path")

SCHEMA: Final = pa.schema(
    [
        ("source", pa.string()),
        ("path", pa.string()),
        ("size", pa.int64()),
        ("modified_ns", pa.int64()),
        ("sha256", pa.string()),
        ("verdict", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("truncated", pa.bool_()),
        ("repairs", pa.list_(pa.string())),
        *measurements.COLUMNS.items(),
        *((column, pa.string()) for name in METADATA for column in (name, f"{name}_from")),
        ("collection", pa.string()),
        ("licence", pa.string()),
        ("declared_split", pa.string()),
        ("audio_score", pa.float32()),
        ("fingerprint", pa.binary()),
    ],
    metadata={_VERSION_KEY: VERSION.encode()},
)
"""The columns, in order; docs/manifest.md says what each means. Measurements are null in the row of a refused file."""


def manifest_folder(corpus: str | os.PathLike[str]) -> Path:
    """Where the parts of a corpus folder's manifest lie."""
    return Path(corpus) / "manifest"


def parts(corpus: str | os.PathLike[str]) -> list[Path]:
    """The parts, oldest first."""
    return Parts(manifest_folder(corpus), SCHEMA).paths


def read_manifest(corpus: str | os.PathLike[str], columns: Sequence[str] | None = None) -> pa.Table:
    """The manifest of a corpus folder, a row for each file, sorted by source and path; all columns or some.

    Fingerprints are most of its bytes. Raises `UserError` if there is no manifest, or one of another version. Where a
    survey was interrupted, a file that changed may stand in two parts: the newer row counts.
    """
    found = parts(corpus)
    if not found:
        raise UserError(f"{corpus}: no manifest here; make one with 'partimento survey SOURCE -o {corpus}'")
    wanted = list(SCHEMA.names if columns is None else columns)
    tables = [_read(part, list(dict.fromkeys([*KEY, *wanted]))) for part in found]
    numbered = pa.concat_tables(
        table.append_column("part", pa.array([number] * table.num_rows, pa.int32()))
        for number, table in enumerate(tables)
    )
    newest = numbered.group_by(list(KEY)).aggregate([("part", "max")]).rename_columns([*KEY, "part"])
    if newest.num_rows < numbered.num_rows:
        rows = numbered.append_column("row", pa.array(range(numbered.num_rows)))
        keep = newest.join(rows.select([*KEY, "part", "row"]), keys=[*KEY, "part"])["row"]
        numbered = numbered.take(keep)
    return numbered.sort_by([(name, "ascending") for name in KEY]).select(wanted)


class ManifestWriter:
    """The manifest of a corpus folder, to be added to in `parts` and changed; one at a time (`open_for_writing`)."""

    def __init__(self, corpus: Path) -> None:
        self.corpus = corpus
        self.parts = Parts(manifest_folder(corpus), SCHEMA)
        for unfinished in self.parts.folder.glob(".part-*"):
            unfinished.unlink()

    def known(self, source: str) -> dict[str, tuple[int, int]]:
        """path -> (size, modified_ns) of a source's files that were read; what could not be opened is tried again."""
        if not self.parts.paths:
            return {}
        table = read_manifest(self.corpus, columns=["source", "path", "size", "modified_ns", "reason"])
        table = table.filter((pc.field("source") == source) & (pc.field("reason") != Reason.CANNOT_OPEN.value))
        columns = [table[name].to_pylist() for name in ("path", "size", "modified_ns")]
        return {path: (size, when) for path, size, when in zip(*columns, strict=True)}

    def rewrite(self, change: Callable[[pa.Table], pa.Table], columns: Sequence[str]) -> None:
        """Apply `change`, which looks at `columns` and changes only them, to the rows there are."""
        for part in self.parts.paths:
            before = _read(part, list(columns))
            after = change(before)
            if not after.equals(before):
                whole = _read(part, SCHEMA.names)
                for name in columns:
                    whole = whole.set_column(SCHEMA.get_field_index(name), SCHEMA.field(name), after[name])
                self.parts.write(whole, part)

    def keep_only(self, surveyed: Mapping[str, Iterable[str]]) -> None:
        """Drop the rows of files that are gone from a source (source -> its paths), and rows that newer ones replace.

        Sources that are not named keep their rows.
        """
        present = {source: frozenset(paths) for source, paths in surveyed.items()}
        seen: set[tuple[str, str]] = set()
        for part in reversed(self.parts.paths):
            keys = _read(part, list(KEY))
            names = list(zip(keys["source"].to_pylist(), keys["path"].to_pylist(), strict=True))
            keep = [
                (source, path) not in seen and (source not in present or path in present[source])
                for source, path in names
            ]
            seen.update(names)
            if not any(keep):
                part.unlink()
            elif not all(keep):
                self.parts.write(_read(part, SCHEMA.names).filter(pa.array(keep)), part)


@contextmanager
def open_for_writing(corpus: str | os.PathLike[str]) -> Iterator[ManifestWriter]:
    """The corpus folder, made if need be, held by this process alone; raises `UserError` if another one has it.

    Folders made for a block that raises a `UserError` before it has written anything are removed again.
    """
    folder = manifest_folder(corpus)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with held_alone(folder / ".lock", f"{corpus}: another survey is writing this manifest; wait for it"):
            yield ManifestWriter(Path(corpus))
    except UserError:
        if made and [path.name for path in folder.iterdir()] == [".lock"]:
            (folder / ".lock").unlink()
            for path in made:
                path.rmdir()
        raise


def _read(part: Path, columns: list[str]) -> pa.Table:
    try:
        with pq.ParquetFile(part) as file:
            schema = file.schema_arrow
            version = (schema.metadata or {}).get(_VERSION_KEY, b"none").decode()
            if version != VERSION:
                raise UserError(
                    f"{part}: manifest version {version}, this program reads {VERSION} "
                    f"(which says what was repaired in damaged files); remove {part.parent} and survey again"
                )
            unknown = [name for name in columns if name not in schema.names]
            if unknown:
                raise UserError(f"{part}: no column {', '.join(unknown)}; there are {', '.join(schema.names)}")
            return file.read(columns)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{part}: damaged manifest part ({error}); remove it and survey again") from error
