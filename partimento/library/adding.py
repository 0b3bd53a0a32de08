"""Folders and archives of MIDI files -> rows of a library: what is new is read, what moved is recognised.

Knows: which places on disk a library already speaks of, that content decides what a file is, and that files are worked
through in blocks, each written whole. Refuses to know how a vector comes about and how tables are stored.

    changes = bring_up_to_date(tables, ["midi", "more.zip"], encoder)
    changes.added, changes.moved, changes.removed, changes.refused

A kill costs the block under way. Blocks are cut by number of files, never by time, so that what is done again after a
kill is done as it would have been, to the same vectors.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from partimento.corpus.archives import ARCHIVE_SUFFIXES, MEMBER, MIDI_SUFFIXES, Entry, SourceError
from partimento.corpus.rows import blocks
from partimento.corpus.sources import OneFile, Source, open_source
from partimento.corpus.survey.labels import WRITTEN, Labels
from partimento.corpus.survey.manifest import METADATA, READABLE, SCHEMA
from partimento.corpus.survey.run import collection_of, survey_file
from partimento.embed.encoder import Encoder, NothingToEmbed, Tokenised
from partimento.errors import UserError
from partimento.library.tables import FILES, SLICES, VECTOR, Tables, files_schema, slices_schema
from partimento.midi.performance import Performance
from partimento.midi.reader import Reason

NO_NOTES: Final = "no-notes"
FILES_AT_ONCE: Final = 64
"""Files of a block: enough for their slices to find company of their length."""
ID_LENGTH: Final = 16

Row = dict[str, Any]
Progress = Callable[[int, int], None]
"""Told how many more files are done, and of how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What adding did: contents that are new, found elsewhere than before, or gone; files passed over, by reason."""

    added: int = 0
    moved: int = 0
    removed: int = 0
    known: int = 0
    """Files that had been looked at before and have not changed since."""
    refused: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file that was listed: its source, its entry there, and its path as the library says it."""

    source: Source
    entry: Entry
    path: str

    @property
    def place(self) -> Row:
        """As a row says where its content stands."""
        return {"path": self.path, "size": self.entry.size, "modified_ns": self.entry.modified_ns}


def bring_up_to_date(
    tables: Tables,
    locations: Sequence[str | PathLike[str]],
    encoder: Encoder,
    *,
    labels: Labels | None = None,
    tags: Sequence[str] = (),
    progress: Progress = lambda _done, _total: None,
) -> Changes:
    """Make the library speak of the files at these locations as they are now; files elsewhere stay as they are.

    `labels` and `tags` are laid over all files there. The caller holds the library (`Tables.writing`). Raises
    `UserError` for a location that cannot be listed or holds no MIDI file.
    """
    sources = list({source.location: source for source in map(open_source, locations)}.values())
    listed = {found.path: found for source in sources for found in _listed(source)}
    rows: list[Row] = tables.rows(FILES, ["id", "path", "places", "reason"]).to_pylist()
    of_id = {row["id"]: row for row in rows}
    known = {_stamp(place) for row in rows for place in row["places"]}
    todo = [found for found in listed.values() if _stamp(found.place) not in known]
    progress(0, len(todo))
    refused: Counter[str] = Counter()
    gone = {path for path in _paths(rows) if path not in listed and _below(path, sources)}
    adder = _Adder(tables, encoder, of_id, gone)
    for block in blocks(todo, FILES_AT_ONCE):
        refused.update(adder.add(block))
        progress(len(block), len(todo))
    removed = _forget(tables, sources, listed)
    _lay_over(tables, listed, labels or Labels(), tags)
    return Changes(
        added=adder.added,
        moved=adder.moved,
        removed=removed,
        known=len(listed) - len(todo),
        refused=refused,
    )


def is_id(name: str) -> bool:
    """Whether a word looks like the id of a content: the beginning of its SHA-256."""
    return len(name) == ID_LENGTH and set(name) <= set("0123456789abcdef")


def _listed(source: Source) -> Iterable[Found]:
    entries = source.entries()
    if not entries:
        raise UserError(f"{source.location}: no MIDI files here ({', '.join(MIDI_SUFFIXES)})")
    return (Found(source=source, entry=entry, path=_root(source) + entry.path) for entry in entries)


def _root(source: Source) -> str:
    """What the path of a source's file begins with."""
    if isinstance(source, OneFile):
        return source.location.rpartition("/")[0] + "/"
    archive = source.location.lower().endswith(ARCHIVE_SUFFIXES)
    return source.location.rstrip("/") + (MEMBER if archive else "/")


def _below(path: str, sources: Iterable[Source]) -> bool:
    """Whether a file would be listed by one of the sources if it was still there."""
    return any(
        path == source.location if isinstance(source, OneFile) else path.startswith(_root(source)) for source in sources
    )


def _paths(rows: Iterable[Row]) -> Iterable[str]:
    return (place["path"] for row in rows for place in row["places"])


def _stamp(place: Row) -> tuple[str, int, int]:
    return place["path"], place["size"], place["modified_ns"]


class _Adder:
    """Reads blocks of files and writes their rows."""

    def __init__(self, tables: Tables, encoder: Encoder, of_id: dict[str, Row], gone: set[str]) -> None:
        self._tables, self._encoder = tables, encoder
        self._of_id, self._gone = of_id, gone
        self.added = self.moved = 0

    def add(self, block: Sequence[Found]) -> Counter[str]:
        """Writes a block; returns the reasons of the files that have no vector."""
        refused: Counter[str] = Counter()
        new: dict[str, tuple[Row, Tokenised | None]] = {}
        changed: dict[str, Row] = {}
        contents = _contents(block)
        for found in block:
            data = contents[found.path]
            if isinstance(data, SourceError):
                refused[Reason.CANNOT_OPEN.value] += 1
                continue
            id_ = hashlib.sha256(data).hexdigest()[:ID_LENGTH]
            if id_ in new or id_ in self._of_id:
                row = new[id_][0] if id_ in new else self._of_id[id_]
                self.moved += self._join(row, found)
                changed |= {} if id_ in new else {id_: row}
            else:
                row, tokenised = self._read(found, data)
                new[id_] = row, tokenised
            refused.update([row["reason"]] if row["reason"] else [])
        self._write(new, changed)
        return refused

    def _join(self, row: Row, found: Found) -> bool:
        """One more place of a content, or the same one with another date; whether it was moved there."""
        row["places"] = [place for place in row["places"] if place["path"] != found.path] + [found.place]
        moved = row["path"] in self._gone
        if moved:
            row["path"] = found.path
        return moved

    def _read(self, found: Found, data: bytes) -> tuple[Row, Tokenised | None]:
        """What is known of a content, and what the encoder will read of it."""
        surveyed = survey_file(found.entry.path, data)
        sha256 = hashlib.sha256(data).hexdigest()
        row: Row = {
            **{name: surveyed.get(name) for name in (*METADATA, "notes", "seconds", "reason", "detail", "fingerprint")},
            "id": sha256[:ID_LENGTH],
            "sha256": sha256,
            "path": found.path,
            "collection": collection_of(found.source.location, found.entry.path),
            "tags": [],
            "places": [found.place],
            "slices": 0,
        }
        if surveyed["verdict"] != READABLE:
            return row, None
        performance = Performance.from_midi(data)
        row["begins"] = float(performance.onset_seconds.min()) if len(performance) else None
        try:
            tokenised = self._encoder.tokenise(performance)
        except NothingToEmbed as error:
            return row | {"reason": NO_NOTES, "detail": str(error)}, None
        return row | {"slices": len(tokenised.slices)}, tokenised

    def _write(self, new: dict[str, tuple[Row, Tokenised | None]], changed: dict[str, Row]) -> None:
        read = {id_: tokenised for id_, (_, tokenised) in new.items() if tokenised is not None}
        vectors = self._encoder.encode_sequences([ids for tokenised in read.values() for ids in tokenised.slices])
        size, first = vectors.shape[1], 0
        slices: list[Row] = []
        for id_, tokenised in read.items():
            mine = vectors[first : first + len(tokenised.slices)]
            first += len(mine)
            new[id_][0][VECTOR] = mine.mean(axis=0)
            slices += [
                {"id": id_, "slice": i, "start": tokenised.seconds[a], "end": tokenised.seconds[b], VECTOR: vector}
                for i, ((a, b), vector) in enumerate(zip(tokenised.bounds, mine, strict=True))
            ]
        files = [row for row, _ in new.values()]
        self._tables.write(
            pa.Table.from_pylist(files, files_schema(size)), pa.Table.from_pylist(slices, slices_schema(size))
        )
        _rewrite(self._tables, changed)
        self._of_id.update({row["id"]: row for row in files})
        self.added += len(files)


def _contents(block: Sequence[Found]) -> dict[str, bytes | SourceError]:
    """The bytes of each file, or why they cannot be had; of each source in one go."""
    contents: dict[str, bytes | SourceError] = {}
    for source in {found.source.location: found.source for found in block}.values():
        mine = [found.entry.path for found in block if found.source is source]
        contents |= {_root(source) + path: data for path, data in source.read_many(mine)}
    return contents


def _rewrite(tables: Tables, changed: dict[str, Row], columns: Sequence[str] = ("path", "places")) -> None:
    """Write these columns of these rows anew, by id."""
    if not changed:
        return
    schema = files_schema(tables.about.size)
    table = tables.by_id(FILES, list(changed))
    for name in columns:
        values = [changed[id_][name] for id_ in table["id"].to_pylist()]
        table = table.set_column(
            schema.get_field_index(name), schema.field(name), pa.array(values, schema.field(name).type)
        )
    tables.write(table)


def _forget(tables: Tables, sources: Sequence[Source], listed: dict[str, Found]) -> int:
    """Drops places where a content is no longer, and contents that have none left; how many of those.

    What is inside an archive that cannot be read now is left as it is.
    """
    broken = tuple(path + MEMBER for path in listed if path.lower().endswith(ARCHIVE_SUFFIXES))

    def true(place: Row) -> bool:
        path = place["path"]
        if path in listed:
            return _stamp(listed[path].place) == _stamp(place)
        return not _below(path, sources) or path.startswith(broken)

    changed: dict[str, Row] = {}
    for row in tables.rows(FILES, ["id", "path", "places"]).to_pylist():
        places = [place for place in row["places"] if true(place)]
        if places != row["places"]:
            paths = [place["path"] for place in places]
            path = row["path"] if row["path"] in paths else min(paths, default="")
            changed[row["id"]] = {"places": places, "path": path}
    lost = [id_ for id_, row in changed.items() if not row["places"]]
    _rewrite(tables, {id_: row for id_, row in changed.items() if row["places"]})
    for name in (FILES, SLICES):
        tables.delete(name, lost)
    return len(lost)


def _lay_over(tables: Tables, listed: dict[str, Found], labels: Labels, tags: Sequence[str]) -> None:
    """Labels and tags of the files that were listed."""
    if not labels and not tags:
        return
    columns = [*METADATA, "collection", "tags"]
    before = tables.rows(FILES, ["id", "path", *columns])
    before = before.filter(pc.is_in(before["path"], pa.array(listed, pa.string())))
    found = [listed[path] for path in before["path"].to_pylist()]
    said = pa.table({name: pa.nulls(len(found), SCHEMA.field(name).type) for name in ("source", "path", *WRITTEN)})
    for name, values in (
        ("source", [one.source.location for one in found]),
        ("path", [one.entry.path for one in found]),
        *((name, before[name]) for name in (*METADATA, "collection")),
    ):
        said = said.set_column(
            said.schema.get_field_index(name), name, values if isinstance(values, pa.ChunkedArray) else [values]
        )
    after = labels.apply(said).select([*METADATA, "collection"]).to_pylist()
    rows = [row | {"tags": sorted({*old["tags"], *tags})} for row, old in zip(after, before.to_pylist(), strict=True)]
    olds = before.select(columns).to_pylist()
    ids = before["id"].to_pylist()
    changed = {id_: row for id_, row, old in zip(ids, rows, olds, strict=True) if row != old}
    _rewrite(tables, changed, columns)
