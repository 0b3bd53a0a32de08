"""What music is compared with: the index of a collection, or of what a model learned from, and the notes behind it.

Knows where the index of a model's training data is kept: in the cache, under the SHA-256 of the model's file, so that
`originality`, `continue` and the studio find it. Refuses to know how an index answers (`judge.py`).

    >>> keep_training_index("bundled", "runs/bundled-gpu/store-pretrain", refused=print)  # doctest: +SKIP
    >>> index = training_index("bundled")                                                # doctest: +SKIP
    >>> notes_of(index, originality(music, against=index).longest.copy.file)             # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow.compute as pc

from partimento.corpus import overlap
from partimento.corpus.archives import SourceError
from partimento.corpus.duplicates.fingerprints import fingerprint
from partimento.corpus.duplicates.index import Indexed, PassageIndex
from partimento.corpus.sources import open_source
from partimento.corpus.store import note_store
from partimento.corpus.store.note_store import NoteStore
from partimento.corpus.survey import manifest
from partimento.errors import UserError
from partimento.export.onnx_folder import GRAPH_FILE, cache_folder, remembered_sha256
from partimento.midi.performance import Performance
from partimento.model.hub import locate
from partimento.tokens.notes import Notes

if TYPE_CHECKING:
    from partimento.library.library import Library

HOW: Final = "partimento originality --training STORE --keep"
"""How an index of training data comes into being, for people."""


def index_of(location: str, out: Path, refused: overlap.Refused, *, counted: overlap.Counted = iter) -> PassageIndex:
    """The index of a library, in which files are called by their paths, or of another collection (`overlap`)."""
    library = _library(location)
    if library is None:
        return overlap.index_of(location, out, refused, counted=counted)
    index, files = library.passages(), library.files()
    paths = dict(zip(files["id"].to_pylist(), files["path"].to_pylist(), strict=True))
    index.names = [paths.get(name, name) for name in index.names]
    index.origin = overlap.origin_of(location)
    return index


def training_index(model: str | Path) -> PassageIndex | None:
    """The index of what a model learned from, if one was kept. Raises `UserError` for no model or a damaged index."""
    path = _kept(model)
    return PassageIndex(path) if path.exists() else None


def keep_training_index(
    model: str | Path, location: str, refused: overlap.Refused, *, counted: overlap.Counted = iter, force: bool = False
) -> PassageIndex:
    """Index what a model learned from and keep it: of a note store the files for training, else everything there.

    Raises `UserError` where one is kept already, unless it may be replaced.
    """
    path = _kept(model)
    if path.exists() and not force:
        raise UserError(f"an index of what {model} learned from is kept already ({path}); --force replaces it")
    store = Path(location, note_store.MANIFEST).is_file()
    files = _learned(NoteStore(location)) if store else overlap.fingerprints_of(location, refused)
    return PassageIndex.build(counted(files), path, origin=overlap.origin_of(location), replace=force)


def notes_at_hand(index: PassageIndex, numbers: Collection[int]) -> dict[int, Notes]:
    """The notes of files of an index, which holds none itself, each on a clock that begins with the first of them.

    Files that cannot be read any more, or are others now, are left out.
    """
    wanted = {index.names[number]: number for number in numbers}
    if not wanted or not index.origin:
        return {}
    files = _files(index.origin, list(wanted))
    return {wanted[name]: notes for name, sha256, notes in files if index.sha256[wanted[name]] in ("", sha256)}


def notes_of(index: PassageIndex, number: int) -> Notes:
    """Those of one file; raises `UserError` where it is not to be had."""
    found = notes_at_hand(index, [number])
    if number not in found:
        where = f"{index.names[number]} of {index.origin}" if index.origin else index.names[number]
        raise UserError(f"{where}: not there any more, so that its notes cannot be shown; the index has passages only")
    return found[number]


def _files(origin: str, names: list[str]) -> Iterator[tuple[str, str, Notes]]:
    """Name, SHA-256 and notes of files of a note store, or of whatever MIDI files lie in, if they can be read."""
    about = Path(origin, note_store.MANIFEST)
    if about.is_file():
        store, places = _stored(origin, about.stat().st_mtime_ns)
        for place in (places[name] for name in names if name in places):
            yield store.file(place).name, store.file(place).sha256, store.notes(place)
        return
    for name, performance in _performances(origin, names):
        yield name, performance.source.sha256, Notes.from_performance(performance)


@lru_cache(maxsize=2)
def _stored(location: str, _changed: int) -> tuple[NoteStore, dict[str, int]]:
    store = NoteStore(location)
    return store, {file.name: number for number, file in enumerate(store.files)}


def _performances(origin: str, names: list[str]) -> Iterator[tuple[str, Performance]]:
    """Files of a folder, archive, URL, surveyed corpus, or library, which calls them by their paths."""
    library = _library(origin)
    if library is not None:
        ids = library.files().filter(pc.field("path").isin(names)).select(["path", "id"])
        reads = ((row["path"], partial(library.performance, row["id"])) for row in ids.to_pylist())
    else:
        reads = ((name, partial(Performance.from_midi, data)) for name, data in _bytes(origin, names))
    for name, read in reads:
        with suppress(UserError):  # it was read when it was indexed, so it is gone or another now
            yield name, read()


def _bytes(origin: str, names: list[str]) -> Iterator[tuple[str, bytes]]:
    by_source = {origin: names}
    if manifest.manifest_folder(Path(origin)).is_dir():
        rows = manifest.read_manifest(Path(origin), columns=["source", "path"]).filter(pc.field("path").isin(names))
        by_source = {source: [] for source in rows["source"].unique().to_pylist()}
        for row in rows.to_pylist():
            by_source[row["source"]].append(row["path"])
    for source, paths in by_source.items():
        with suppress(SourceError):
            for name, data in open_source(source).read_many(sorted(paths)):
                if not isinstance(data, SourceError):
                    yield name, data


def _library(location: str) -> Library | None:
    """The library at a location, if it is one. What it needs is imported only then: `continue` must not wait for it."""
    from partimento.library.tables import ABOUT_FILE

    if not (Path(location) / ABOUT_FILE).is_file():
        return None
    from partimento.library.library import Library

    return Library(location)


def _kept(model: str | Path) -> Path:
    graph = Path(model) / GRAPH_FILE
    file = graph if graph.is_file() else locate(model)
    return cache_folder() / "passages" / remembered_sha256(file)[:32]


def _learned(store: NoteStore) -> Iterator[Indexed]:
    for number in store.split("train").tolist():
        file = store.file(number)
        yield file.name, file.sha256, fingerprint(store.notes(number))
