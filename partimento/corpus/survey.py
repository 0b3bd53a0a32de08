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
from partimento.corpus.manifest import KEY, READABLE, REFUSED, SCHEMA, open_for_writing, read_manifest
from partimento.corpus.measurements import measure
from partimento.corpus.sources import (
    ARCHIVE_SUFFIXES,
    MEMBER,
    MIDI_SUFFIXES,
    Entry,
    ObjectStore,
    Source,
    SourceError,
    open_source,
)
from partimento.errors import UserError
from partimento.midi.reader import MAX_BYTES, MidiError, Reason, read_in_full
from partimento.tokens.notes import Notes

_BATCH: Final = 1000
_BATCH_PER_WORKER: Final = 100
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
    labelled: int
    """Files that the labels name."""


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


def survey_files(
    source: Source, entries: Sequence[Entry], *, fetched: Sequence[bytes | None] = ()
) -> list[dict[str, Any]]:
    """The rows of some files. Of an object store's files the bytes are passed, None where one could not be had."""
    unread: dict[str, SourceError] = {}
    if isinstance(source, ObjectStore):
        pairs = zip(entries, fetched, strict=True)
        contents = {entry.path: data for entry, data in pairs if data is not None}
    else:
        contents = dict(source.read_many([entry.path for entry in entries], unread.__setitem__))
    return [
        {
            "source": source.location,
            "path": entry.path,
            "size": entry.size,
            "modified_ns": entry.modified_ns,
            "collection": _collection(source.location, entry.path),
            **(
                survey_file(entry.path, contents[entry.path])
                if entry.path in contents
                else _unopened(entry.path, unread.get(entry.path))
            ),
        }
        for entry in entries
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spread:
    """How the work lies on the workers: no more is under way than half a batch."""

    cluster: bool
    workers: int
    files_per_partition: int

    @property
    def files_per_call(self) -> int:
        return min(self.files_per_partition, _FILES_PER_CALL)

    @classmethod
    def over(cls, *, cluster: bool, workers: int, batch: int) -> _Spread:
        under_way = 2 * workers + _RESULTS_WAITING
        files = min(max(batch // 2 // under_way, 1), _FILES_PER_PARTITION)
        return cls(cluster=cluster, workers=workers, files_per_partition=files)


def survey(
    sources: Sequence[Source],
    corpus: str | os.PathLike[str],
    *,
    labels: Labels | None = None,
    cluster: str | None = None,
    workers: int | None = None,
    batch: int | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Summary:
    """Bring the manifest of the folder `corpus` up to date with the sources.

    `cluster` is the address of a Ray cluster whose machines all see the sources; without it the work is done here.
    `workers`: processes (default: one for each core there). `batch`: files that a kill may cost at most (default: 1000,
    or 100 for each worker). Raises `UserError` for a source that cannot be listed or holds no MIDI file.
    """
    cores = start(cluster)
    laid_over, workers = labels or Labels(), workers or cores
    batch = batch or max(_BATCH, _BATCH_PER_WORKER * workers)
    spread = _Spread.over(cluster=cluster is not None, workers=workers, batch=batch)
    with open_for_writing(corpus) as manifest:
        sources = list({source.location: source for source in sources}.values())
        listed = {source.location: list(source.entries()) for source in sources}
        for location, entries in listed.items():
            if not entries:
                raise UserError(f"{location}: no MIDI files here ({', '.join(MIDI_SUFFIXES)})")
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
            for measured in _measured(source, waiting[source.location], spread):
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
    labelled = sum(laid_over.name(source, entry.path) for source, entries in listed.items() for entry in entries)
    return _summary(corpus, list(listed), surveyed=done, labelled=labelled)


def _measured(source: Source, entries: Sequence[Entry], spread: _Spread) -> Iterator[pa.Table]:
    """The rows of these files, in whatever order they are done."""
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
    if spread.cluster:
        files = files.into_partitions(-(-len(in_order) // spread.files_per_partition))
    data = daft.lit(None).cast(daft.DataType.binary())
    if isinstance(source, ObjectStore):
        files = files.into_batches(spread.files_per_partition)
        data = source.download(daft.col("path"))
    surveyor = _surveyor(source.location, spread)
    rows = surveyor.rows(daft.col("path"), daft.col("size"), daft.col("modified_ns"), data)
    for batch in files.select(rows.alias("row")).to_arrow_iter(results_buffer_size=_RESULTS_WAITING):
        yield pa.Table.from_struct_array(batch.column("row")).cast(SCHEMA)


def _surveyor(location: str, spread: _Spread) -> Any:
    """What lives in each worker, with the source open."""

    class Surveyor:
        def __init__(self) -> None:
            self.source = open_source(location)

        @daft.method.batch(return_dtype=daft.DataType.from_arrow_type(_ROW), batch_size=spread.files_per_call)
        def rows(self, path: Any, size: Any, modified_ns: Any, data: Any) -> pa.Array:
            entries = [
                Entry(path=name, size=length, modified_ns=when)
                for name, length, when in zip(path.to_pylist(), size.to_pylist(), modified_ns.to_pylist(), strict=True)
            ]
            return pa.array(survey_files(self.source, entries, fetched=data.to_pylist()), _ROW)

    return daft.cls(Surveyor, max_concurrency=spread.workers, use_process=not spread.cluster)()


def _unopened(path: str, error: SourceError | None) -> dict[str, Any]:
    row = {"sha256": "", "verdict": REFUSED, "reason": Reason.CANNOT_OPEN.value, "truncated": False}
    return row | {"detail": str(error or "cannot be fetched")} | metadata.columns(metadata.of_names(path, texts=()))


def _collection(location: str, path: str) -> str:
    """The folder or archive that a file's path begins with; for files at the top, what the source itself is called."""
    top, below, _ = path.partition(MEMBER if MEMBER in path and "/" not in path.partition(MEMBER)[0] else "/")
    name = top if below else location.rstrip("/").rpartition("/")[2]
    suffix = max((s for s in ARCHIVE_SUFFIXES if name.lower().endswith(s)), key=len, default="")
    return name.removesuffix(name[len(name) - len(suffix) :])


def _summary(corpus: str | os.PathLike[str], sources: list[str], *, surveyed: int, labelled: int) -> Summary:
    table = read_manifest(corpus, columns=["source", "verdict", "reason", "notes", "seconds"])
    mine = table.filter(pc.is_in(table["source"], pa.array(sources)))
    readable = mine.filter(pc.equal(mine["verdict"], READABLE))
    refused = mine.filter(pc.equal(mine["verdict"], REFUSED))
    return Summary(
        surveyed=surveyed,
        readable=readable.num_rows,
        refused=Counter(refused["reason"].to_pylist()),
        notes=pc.sum(readable["notes"]).as_py() or 0,
        seconds=pc.sum(readable["seconds"].cast(pa.float64())).as_py() or 0.0,
        labelled=labelled,
    )
