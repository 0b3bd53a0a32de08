"""Every file of a source once: verdict, measurements, metadata, fingerprint -> a row of the manifest.

Knows one file at a time and how the work is spread by daft: over processes of this machine, or with a cluster's address
over the machines of a Ray cluster, by the same code. It refuses to know what is done with the rows.

Killed at any moment it goes on where it was: rows are written in parts of at most half a batch, and the other half is
all that can be under way. What stands in the manifest with the same path, size and time of modification is not read
again, and what is gone from a source leaves the manifest when a survey of it ends. A file that changes while it is
surveyed is measured as it is then and recorded as it was listed, so that the next survey reads it again; one that
cannot be opened gets a row that says so, and the next survey tries again.

    >>> survey([open_source("midi")], "corpus").readable  # doctest: +SKIP
    6136
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from partimento.corpus import metadata
from partimento.corpus.engine import daft, start
from partimento.corpus.fingerprints import fingerprint
from partimento.corpus.labels import WRITTEN, Labels
from partimento.corpus.manifest import KEY, READABLE, REFUSED, SCHEMA, Manifest, open_for_writing
from partimento.corpus.measurements import measure
from partimento.corpus.sources import ARCHIVE_SUFFIXES, MEMBER, Entry, ObjectStore, Source, SourceError, open_source
from partimento.midi.reader import MAX_BYTES, MidiError, Reason, read_in_full
from partimento.tokens.notes import Notes

BATCH: Final = 1000
"""Files that a kill may cost at most."""

_FILES_PER_CALL: Final = 25
_FILES_PER_PARTITION: Final = 100
_RESULTS_WAITING: Final = 4
_ROW: Final = pa.struct(list(SCHEMA))

Progress = Callable[[int, int], None]
"""Told (files done, files to do)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a survey did, and what the manifest holds of its sources afterwards."""

    surveyed: int
    """Files read by this survey; the others were known."""
    readable: int
    refused: Counter[str] = field(default_factory=Counter)
    """Refusals by reason."""
    notes: int
    seconds: float


def survey_file(path: str, data: bytes) -> dict[str, Any]:
    """The columns of one file that its bytes and its path decide; never raises for what a file may hold."""
    try:
        reading = read_in_full(data)
    except MidiError as error:
        found = metadata.of_names(path, texts=())
        sha256 = "" if len(data) > MAX_BYTES else hashlib.sha256(data).hexdigest()
        detail = str(error).partition(": ")[2]
        row: dict[str, Any] = {
            "sha256": sha256,
            "verdict": REFUSED,
            "reason": error.reason.value,
            "detail": detail,
            "truncated": False,
        }
    else:
        performance = reading.performance
        found = metadata.of_names(path, reading.texts)
        row = {
            "sha256": performance.source.sha256,
            "verdict": READABLE,
            "reason": "",
            "detail": "",
            "truncated": performance.source.truncated,
            "fingerprint": fingerprint(Notes.from_performance(performance)).to_bytes(),
            **asdict(measure(performance, reading.onset_ticks)),
        }
    return row | metadata.columns(found)


def survey(
    sources: Sequence[Source],
    corpus: str | os.PathLike[str],
    *,
    labels: Labels | None = None,
    cluster: str | None = None,
    workers: int | None = None,
    batch: int = BATCH,
    progress: Progress = lambda _done, _total: None,
) -> Summary:
    """Bring the manifest of the folder `corpus` up to date with the sources.

    `cluster` is the address of a Ray cluster whose machines all see the sources; without it the work is done here.
    `workers`: processes (default: one for each core there). Raises `UserError` for a source that cannot be listed.
    """
    laid_over = labels or Labels()
    with open_for_writing(corpus) as manifest:
        listed = {source.location: list(source.entries()) for source in sources}
        waiting = {
            location: [entry for entry in entries if known.get(entry.path) != (entry.size, entry.modified_ns)]
            for location, entries in listed.items()
            for known in [manifest.known(location)]
        }
        total, done = sum(map(len, waiting.values())), 0
        progress(0, total)
        rows: list[pa.Table] = []
        for source in sources:
            if not waiting[source.location]:
                continue
            for measured in _measured(source, waiting[source.location], cluster=cluster, workers=workers):
                rows.append(measured)
                done += measured.num_rows
                if sum(table.num_rows for table in rows) >= batch // 2:
                    manifest.add(laid_over.apply(pa.concat_tables(rows)))
                    rows.clear()
                progress(done, total)
        if rows:
            manifest.add(laid_over.apply(pa.concat_tables(rows)))
        manifest.keep_only({location: [entry.path for entry in entries] for location, entries in listed.items()})
        if laid_over:
            manifest.rewrite(laid_over.apply, [*KEY, *WRITTEN])
    return _summary(corpus, list(listed), surveyed=done)


def _measured(
    source: Source, entries: Sequence[Entry], *, cluster: str | None, workers: int | None
) -> Iterator[pa.Table]:
    """The rows of these files, in whatever order they are done."""
    cores = start(cluster)
    in_order = sorted(entries, key=lambda entry: entry.reading_order)
    files = daft.from_arrow(
        pa.table(
            {
                "path": pa.array([entry.path for entry in in_order], pa.string()),
                "size": pa.array([entry.size for entry in in_order], pa.int64()),
                "modified_ns": pa.array([entry.modified_ns for entry in in_order], pa.int64()),
            }
        )
    )
    if cluster:
        files = files.into_partitions(-(-len(in_order) // _FILES_PER_PARTITION))
    data = daft.lit(None).cast(daft.DataType.binary())
    if isinstance(source, ObjectStore):
        files = files.into_batches(_FILES_PER_PARTITION)
        data = source.download(daft.col("path"))
    surveyor = daft.cls(_Surveyor, max_concurrency=workers or cores, use_process=not cluster)(source.location)
    rows = surveyor.rows(daft.col("path"), daft.col("size"), daft.col("modified_ns"), data)
    for batch in files.select(rows.alias("row")).to_arrow_iter(results_buffer_size=_RESULTS_WAITING):
        yield pa.Table.from_struct_array(batch.column("row")).cast(SCHEMA)


class _Surveyor:
    """Lives in a worker, with the source open."""

    def __init__(self, location: str) -> None:
        self._source = open_source(location)

    @daft.method.batch(return_dtype=daft.DataType.from_arrow_type(_ROW), batch_size=_FILES_PER_CALL)
    def rows(self, path: Any, size: Any, modified_ns: Any, data: Any) -> pa.Array:
        """Columns of files -> the struct array of their rows; `data` is null where the file is still to be read."""
        paths, fetched = path.to_pylist(), data.to_pylist()
        unread: dict[str, SourceError] = {}
        if isinstance(self._source, ObjectStore):
            contents = {name: some for name, some in zip(paths, fetched, strict=True) if some is not None}
        else:
            contents = dict(self._source.read_many(paths, unread.__setitem__))
        rows = [
            {
                "source": self._source.location,
                "path": name,
                "size": bytes_listed,
                "modified_ns": when,
                "collection": _collection(self._source.location, name),
                **(survey_file(name, contents[name]) if name in contents else _unopened(name, unread.get(name))),
            }
            for name, bytes_listed, when in zip(paths, size.to_pylist(), modified_ns.to_pylist(), strict=True)
        ]
        return pa.array(rows, _ROW)


def _unopened(path: str, error: SourceError | None) -> dict[str, Any]:
    row = {"sha256": "", "verdict": REFUSED, "reason": Reason.CANNOT_OPEN.value, "truncated": False}
    return row | {"detail": str(error or "cannot be fetched")} | metadata.columns(metadata.of_names(path, texts=()))


def _collection(location: str, path: str) -> str:
    """The folder or archive that a file's path begins with; for files at the top, what the source itself is called."""
    top, below, _ = path.partition(MEMBER if MEMBER in path and "/" not in path.partition(MEMBER)[0] else "/")
    name = top if below else location.rstrip("/").rpartition("/")[2]
    suffix = max((s for s in ARCHIVE_SUFFIXES if name.lower().endswith(s)), key=len, default="")
    return name.removesuffix(name[len(name) - len(suffix) :])


def _summary(corpus: str | os.PathLike[str], sources: list[str], *, surveyed: int) -> Summary:
    table = Manifest.open(corpus, columns=["source", "verdict", "reason", "notes", "seconds"]).table
    mine = table.filter(pc.is_in(table["source"], pa.array(sources)))
    readable = mine.filter(pc.equal(mine["verdict"], READABLE))
    refused = mine.filter(pc.equal(mine["verdict"], REFUSED))
    return Summary(
        surveyed=surveyed,
        readable=readable.num_rows,
        refused=Counter(refused["reason"].to_pylist()),
        notes=pc.sum(readable["notes"]).as_py() or 0,
        seconds=pc.sum(readable["seconds"].cast(pa.float64())).as_py() or 0.0,
    )
