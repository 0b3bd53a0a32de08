"""A collection of performances that can be asked: what is like this, what is the same piece, what is in it.

Knows what can be asked and which parts answer. Refuses to know how rows are stored (`tables.py`), how they come about
(`adding.py`), and how answers are found (`search.py`, `recognition.py`).

    library = Library.create("music.library")
    library.add(["midi", "more.zip"]).find("nocturne.mid").to_pandas()     # the pieces most like it
    library.find("nocturne.mid", at=(30, 45), where={"composer": "chopin"})  # moments like that one
    library.same("nocturne.mid")                                           # other performances of the piece

Tables are Arrow's; `.to_pandas()` makes a DataFrame of one, where pandas is installed. One process at a time writes;
others read meanwhile and see each block of files when it is whole.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from partimento.corpus.archives import MEMBER, SourceError
from partimento.corpus.duplicates.index import PassageIndex
from partimento.corpus.sources import open_source
from partimento.corpus.store.note_store import digest
from partimento.corpus.survey.labels import Labels
from partimento.embed.encoder import Encoder
from partimento.embed.slicing import Slicing
from partimento.errors import UserError
from partimento.library import search
from partimento.library.adding import ID_LENGTH, Changes, bring_up_to_date, is_id
from partimento.library.recognition import passage_index, performances_of_the_piece
from partimento.library.tables import FILES, SLICES, VECTOR, About, Tables, Vectors, matrix, one_of, quoted
from partimento.midi.performance import Performance
from partimento.model.hub import locate
from partimento.model.precision import computing_dtype

MODEL: Final = "bundled-embedding"
_LISTED: Final = (
    "id", "path", "title", "composer", "opus", "piece", "form", "period", "genre", "performer", "collection", "tags",
    "notes", "seconds", "slices", "sha256", "reason", "detail",
)  # fmt: skip

Item = Performance | str | PathLike


class Library:
    """A library that exists; `create` makes one."""

    def __init__(self, path: str | PathLike[str]) -> None:
        """Opens the folder `path`; raises `UserError`, in one line, if it is no library or a damaged one."""
        self.path = Path(path)
        self._tables = Tables(self.path)
        self.changes = Changes()
        """What the last `add` of this object did."""

    @classmethod
    def create(cls, path: str | PathLike[str], *, model: str = MODEL) -> Library:
        """An empty library at `path`, where nothing must be yet; its vectors are made by this embedding model."""
        file = locate(model)
        encoder = Encoder.load(file)
        name = str(Path(model).resolve()) if Path(model).exists() else model
        about = About(model=name, sha256=digest(file), slice_notes=encoder.slicing.notes or 0, size=encoder.size)
        Tables.create(Path(path), about)
        return cls(path)

    def __len__(self) -> int:
        """Files, those without vectors too."""
        return self._tables.count(FILES)

    def __repr__(self) -> str:
        return f"<Library {str(self.path)!r}: {len(self)} files>"

    # -- changing it --------------------------------------------------------------------------------------------------

    def add(
        self,
        folders: str | PathLike[str] | Sequence[str | PathLike[str]],
        *,
        labels: str | PathLike[str] | None = None,
        tags: Sequence[str] = (),
        progress: Callable[[int, int], None] = lambda _done, _total: None,
    ) -> Library:
        """Bring the library up to date with folders, archives (read in place), URLs or single files.

        What is new is read; what has moved is recognised by its content; what is gone from there leaves the library.
        `labels` is a CSV as `partimento survey` takes it (docs/manifest.md); it and `tags` are laid over every file
        there, also those known. `progress` is told (how many more files are done, of how many). Killed at any moment
        and called again, it goes on. Returns this library; `changes` says what was done.
        """
        locations = [folders] if isinstance(folders, str | PathLike) else list(folders)
        laid_over = Labels.load(csv=None if labels is None else Path(labels))
        with self._tables.writing():
            self.changes = bring_up_to_date(
                self._tables, locations, self.encoder, labels=laid_over, tags=tags, progress=progress
            )
            self._tables.tidy()
            self.passages()
        return self

    def remove(self, *names: str | PathLike[str]) -> int:
        """Take files out of the library, by id, by path, or by the folder or archive they are in; returns how many.

        The files themselves stay where they are, and adding their folder again brings them back.
        """
        with self._tables.writing():
            ids = sorted({id_ for name in names for id_ in self._ids(os.fspath(name))})
            for table in (FILES, SLICES):
                self._tables.delete(table, ids)
        return len(ids)

    # -- what is in it ------------------------------------------------------------------------------------------------

    def files(self, where: Mapping[str, str] | None = None) -> pa.Table:
        """A row for each file, sorted by path: id (of its content), path, what is known of it, notes, seconds, slices.

        `path` is where it stands; inside an archive it is "a.zip!/inner/x.mid". `reason` is "" for files that have a
        vector, and says otherwise why not. `where` as in `find`.
        """
        return self._tables.rows(FILES, _LISTED, search.condition(where or {})).sort_by("path")

    def vectors(self) -> tuple[list[str], Vectors]:
        """Ids of the files that have vectors, sorted by path, and the vectors, float32 [n, size]."""
        rows = self._tables.rows(FILES, ["id", "path", VECTOR], "reason = ''").sort_by("path")
        return rows["id"].to_pylist(), matrix(rows[VECTOR], self.size)

    def slices(self) -> tuple[pa.Table, Vectors]:
        """A row for each slice: id of its file, slice (from 0), start, end (seconds of the file); and the vectors.

        They are sorted by id and slice; float32 [n, size].
        """
        rows = self._tables.rows(SLICES, ["id", "slice", "start", "end", VECTOR])
        known = self._tables.rows(FILES, ["id"])["id"]
        rows = rows.filter(pc.is_in(rows["id"], known)).sort_by([("id", "ascending"), ("slice", "ascending")])
        return rows.drop_columns([VECTOR]), matrix(rows[VECTOR], self.size)

    @property
    def size(self) -> int:
        """Numbers of a vector."""
        return self._tables.about.size

    @property
    def model(self) -> str:
        """The embedding model's name."""
        return self._tables.about.model

    def performance(self, id_: str) -> Performance:
        """The file of an id, read from where it stands; raises `UserError` if it is nowhere any more, or changed."""
        rows = self._tables.rows(FILES, ["sha256", "places"], f"id = {quoted(id_)}").to_pylist()
        if not rows:
            raise UserError(f"{self.path}: no file has the id {id_!r}")
        paths = [place["path"] for place in rows[0]["places"]]
        for path in paths:
            data = _read(path)
            if data is not None and hashlib.sha256(data).hexdigest() == rows[0]["sha256"]:
                return Performance.from_midi(data, name=path)
        raise UserError(f"{paths[0]}: not there any more, or another file; bring the library up to date with 'add'")

    def passages(self) -> PassageIndex:
        """The index of the files' passages; its `names` are ids. Made here if files have changed since the last one."""
        return passage_index(self._tables)

    # -- asking it ----------------------------------------------------------------------------------------------------

    def find(
        self,
        query: Item,
        at: tuple[float, float] | None = None,
        *,
        where: Mapping[str, str] | None = None,
        limit: int = 10,
    ) -> pa.Table:
        """The pieces most like a performance, MIDI file or id; with `at`, the moments most like those seconds of it.

        One row a file, the most alike first: similarity (cosine), start, end (seconds of the moment there that is most
        like it), query_start, query_end (of the query), id, path, title, composer, form, period, tags. The query
        itself is no answer. `where` filters: composer, period, form, genre, performer, collection, tag. Raises
        `UserError` for a query without notes.
        """
        wanted = where or {}
        if at is None:
            return search.pieces(self._tables, self._whole(query), where=wanted, limit=limit)
        return search.moments(self._tables, self._stretch(query, *at), where=wanted, limit=limit)

    def same(self, query: Item) -> pa.Table:
        """Other performances of the piece, recognised by passages in any key and tempo, note for note.

        One row a file: relation ("performance" if it is the very same one, else "piece"), transposition (semitones it
        stands above the query), tempo (its speed beside the query's), covered (share of the two), hits, start, end,
        query_start, query_end (seconds), id, path, title, composer, form, period, tags.
        """
        id_, performance = self._performance(query)
        return performances_of_the_piece(self._tables, self.passages(), performance, but=id_)

    def show(self) -> dict[str, Any]:
        """What is in it, as JSON values: files, notes, hours, refusals, composers, periods, tags, the model."""
        files = self._tables.rows(FILES, ["composer", "period", "tags", "notes", "seconds", "slices", "reason"])
        kept = files.filter(pc.equal(files["reason"], ""))
        counted: dict[str, Counter[str]] = {
            name: Counter(value for value in kept[name].to_pylist() if value) for name in ("composer", "period")
        }
        counted["tag"] = Counter(tag for tags in kept["tags"].to_pylist() for tag in tags)
        return {
            "library": str(self.path),
            "files": kept.num_rows,
            "notes": pc.sum(kept["notes"]).as_py() or 0,
            "hours": round((pc.sum(kept["seconds"]).as_py() or 0) / 3600, 1),
            "slices": pc.sum(kept["slices"]).as_py() or 0,
            "refused": dict(Counter(reason for reason in files["reason"].to_pylist() if reason).most_common()),
            **{name: dict(counts.most_common()) for name, counts in counted.items()},
            "model": self.model,
            "numbers of a vector": self.size,
            "bytes": sum(path.stat().st_size for path in self.path.rglob("*") if path.is_file()),
        }

    # -- queries ------------------------------------------------------------------------------------------------------

    @cached_property
    def encoder(self) -> Encoder:
        """What makes its vectors, on a GPU if there is one, in bfloat16 where the device multiplies that itself.

        Raises `UserError` if the model's file is not the one that the library was made with.
        """
        about = self._tables.about
        file = locate(about.model)
        if digest(file) != about.sha256:
            raise UserError(f"{self.path}: its vectors are of another model than {about.model} is now; make it anew")
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        dtype = computing_dtype("auto", device)
        return Encoder.load(file, slicing=Slicing(notes=about.slice_notes), device=device, dtype=dtype)

    def _performance(self, query: Item) -> tuple[str, Performance]:
        """What a query names, and the id of the same content if it is in the library, else ""."""
        if isinstance(query, Performance):
            id_ = query.source.sha256[:ID_LENGTH]
            return (id_ if id_ and self._known(id_) else ""), query
        if isinstance(query, str) and is_id(query) and self._known(query):
            return query, self.performance(query)
        performance = Performance.from_midi(query)
        id_ = performance.source.sha256[:ID_LENGTH]
        return (id_ if self._known(id_) else ""), performance

    def _known(self, id_: str) -> bool:
        return self._tables.rows(FILES, ["id"], one_of("id", [id_])).num_rows > 0

    def _whole(self, query: Item) -> search.Query:
        id_ = query if isinstance(query, str) and is_id(query) and self._known(query) else ""
        performance = None
        if not id_:
            id_, performance = self._performance(query)
        if id_:
            slices = self._tables.by_id(SLICES, [id_]).sort_by("slice")
            if slices.num_rows:
                seconds = np.column_stack([slices["start"], slices["end"]])
                return search.Query(id=id_, vectors=matrix(slices[VECTOR], self.size), seconds=seconds)
        tokenised = self.encoder.tokenise(performance or self.performance(id_))
        seconds = np.array([(tokenised.seconds[first], tokenised.seconds[last]) for first, last in tokenised.bounds])
        return search.Query(id=id_, vectors=self.encoder.encode_sequences(tokenised.slices), seconds=seconds)

    def _stretch(self, query: Item, start: float, end: float) -> search.Query:
        if not 0 <= start < end:
            raise UserError(f"a stretch begins at 0 s or later and ends behind its beginning, not {start}:{end}")
        id_, performance = self._performance(query)
        vectors = self.encoder.encode([performance.slice_time(start, end)])
        return search.Query(id=id_, vectors=vectors, seconds=np.array([(start, end)]))

    def _ids(self, name: str) -> list[str]:
        """The files that a name means: an id, a path, or everything in a folder or an archive."""
        if is_id(name) and self._known(name):
            return [name]
        path = name if "://" in name else str(Path(name).resolve())
        inside = tuple(path + divider for divider in ("/", MEMBER))
        rows = self._tables.rows(FILES, ["id", "path"]).to_pylist()
        found = [row["id"] for row in rows if row["path"] == path or row["path"].startswith(inside)]
        if not found:
            raise UserError(f"{name}: nothing of that name is in the library {self.path}; give an id or a path")
        return found


def _read(path: str) -> bytes | None:
    """The bytes of a file by its path in a library, in a folder, an archive or an object store; None if not there."""
    around, inside, name = path.rpartition(MEMBER)
    if not inside:
        around, _, name = path.rpartition("/")
    try:
        [(_, data)] = open_source(around or "/").read_many([name])
    except SourceError:
        return None
    return None if isinstance(data, SourceError) else data
