"""Every file of a source once: verdict, measurements, metadata, fingerprint -> a row of the manifest.

Knows one file at a time, and which files have their row already; how the work is spread over processes or a cluster is
`rows.py`'s. It refuses to know what is done with the rows.

A kill costs a batch at most: rows are written in parts of half a batch, and no more than the other half is under way.
docs/manifest.md says what is read again, and what leaves the manifest.

    >>> survey([open_source("midi")], "corpus").readable  # doctest: +SKIP
    6136
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from partimento.corpus.archives import MEMBER, MIDI_SUFFIXES, Entry, SourceError, without_archive_suffix
from partimento.corpus.duplicates.fingerprints import fingerprint
from partimento.corpus.rows import UNDER_WAY, blocks, processors, spread
from partimento.corpus.sources import Source, kept_open
from partimento.corpus.survey import metadata
from partimento.corpus.survey.labels import WRITTEN, Labels
from partimento.corpus.survey.manifest import KEY, READABLE, REFUSED, SCHEMA, open_for_writing, read_manifest
from partimento.corpus.survey.measurements import measure
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.midi.reader import MAX_BYTES, MidiError, Reason, read
from partimento.tokens.notes import Notes

_BATCH: Final = 1000
_BATCH_PER_WORKER: Final = 100
_FILES_PER_BLOCK: Final = 25

Progress = Callable[[int, int], None]
"""Told how many more files are done, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a survey did, and what the manifest holds of its sources afterwards."""

    surveyed: int
    """Files read by this survey; the others were known."""
    readable: int
    refused: Counter[str] = field(default_factory=Counter)
    """Refusals by reason."""
    repaired: int
    """Readable files that are damaged."""
    notes: int
    seconds: float
    labelled: int
    """Files that the labels name."""


def survey_file(path: str, data: bytes | SourceError) -> dict[str, Any]:
    """The columns of one file that its bytes and its path decide; never raises for what a file may hold."""
    if isinstance(data, SourceError):
        return _refused(path, Reason.CANNOT_OPEN, str(data))
    try:
        file = read(data)
    except MidiError as error:
        sha256 = "" if len(data) > MAX_BYTES else hashlib.sha256(data).hexdigest()
        return _refused(path, error.reason, str(error).partition(": ")[2], sha256)
    performance = Performance.of(file)
    return {
        "sha256": performance.source.sha256,
        "verdict": READABLE,
        "reason": "",
        "detail": "",
        "truncated": performance.source.truncated,
        "repairs": [str(repair) for repair in performance.repairs],
        "fingerprint": fingerprint(Notes.from_performance(performance)).to_bytes(),
        **asdict(measure(performance, file.onset_ticks)),
        **metadata.columns(metadata.of_names(path, file.texts)),
    }


def survey_files(source: Source, entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The rows of some files."""
    contents = dict(source.read_many([entry.path for entry in entries]))
    return [
        {
            "source": source.location,
            "path": entry.path,
            "size": entry.size,
            "modified_ns": entry.modified_ns,
            "collection": collection_of(source.location, entry.path),
            **survey_file(entry.path, contents[entry.path]),
        }
        for entry in entries
    ]


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
    `workers`: processes (default: one for each core there; see `rows.spread`). `batch`: files that a kill may cost at
    most (default: 1000, or 100 for each worker). Raises `UserError` for a source that cannot be listed or holds no MIDI
    file.
    """
    kept_open.cache_clear()
    laid_over, workers = labels or Labels(), workers or processors(cluster)
    batch = batch or max(_BATCH, _BATCH_PER_WORKER * workers)
    files_per_block = min(max(batch // 2 // (UNDER_WAY * workers), 1), _FILES_PER_BLOCK)
    with open_for_writing(corpus) as manifest:
        sources = list({source.location: source for source in sources}.values())
        listed = {source.location: source.entries() for source in sources}
        for location, entries in listed.items():
            if not entries:
                raise UserError(f"{location}: no MIDI files here ({', '.join(MIDI_SUFFIXES)})")
        waiting = {
            location: [entry for entry in entries if known.get(entry.path) != (entry.size, entry.modified_ns)]
            for location, entries in listed.items()
            for known in [manifest.known(location)]
        }
        work = [
            (source.location, block)
            for source in sources
            for block in blocks(waiting[source.location], files_per_block)
        ]
        total = sum(map(len, waiting.values()))
        progress(0, total)
        measured = spread(_survey_block, work, workers=min(workers, len(work)), cluster=cluster)
        if laid_over:
            measured = map(laid_over.apply, measured)
        for rows in manifest.parts.keep(measured, rows_per_part=batch // 2):
            progress(rows.num_rows, total)
        manifest.keep_only({location: [entry.path for entry in entries] for location, entries in listed.items()})
        if laid_over:
            manifest.rewrite(laid_over.apply, [*KEY, *WRITTEN])
    labelled = sum(laid_over.name(source, entry.path) for source, entries in listed.items() for entry in entries)
    return _summary(corpus, list(listed), surveyed=total, labelled=labelled)


def _survey_block(block: tuple[str, Sequence[Entry]]) -> pa.Table:
    location, entries = block
    return pa.Table.from_pylist(survey_files(kept_open(location), entries), SCHEMA)


def _refused(path: str, reason: Reason, detail: str, sha256: str = "") -> dict[str, Any]:
    row: dict[str, Any] = {"sha256": sha256, "verdict": REFUSED, "reason": reason.value, "detail": detail}
    return row | {"truncated": False, "repairs": []} | metadata.columns(metadata.of_names(path, texts=()))


def collection_of(location: str, path: str) -> str:
    """The folder or archive that a file's path begins with; for files at the top, what the source itself is called."""
    top, below, _ = path.partition(MEMBER if MEMBER in path and "/" not in path.partition(MEMBER)[0] else "/")
    name = top if below else location.rstrip("/").rpartition("/")[2]
    return without_archive_suffix(name)


def _summary(corpus: str | os.PathLike[str], sources: list[str], *, surveyed: int, labelled: int) -> Summary:
    table = read_manifest(corpus, columns=["source", "verdict", "reason", "repairs", "notes", "seconds"])
    mine = table.filter(pc.is_in(table["source"], pa.array(sources)))
    readable = mine.filter(pc.equal(mine["verdict"], READABLE))
    refused = mine.filter(pc.equal(mine["verdict"], REFUSED))
    return Summary(
        surveyed=surveyed,
        readable=readable.num_rows,
        refused=Counter(refused["reason"].to_pylist()),
        repaired=pc.sum(pc.greater(pc.list_value_length(readable["repairs"]), 0)).as_py() or 0,
        notes=pc.sum(readable["notes"]).as_py() or 0,
        seconds=pc.sum(readable["seconds"].cast(pa.float64())).as_py() or 0.0,
        labelled=labelled,
    )
