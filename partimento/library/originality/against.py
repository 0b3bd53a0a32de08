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
from functools import lru_cache
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

    Files that are not to be had any more, or are others now, are left out.
    """
    names = {index.names[number]: number for number in numbers}
    if not names or not index.origin:
        return {}
    store = Path(index.origin, note_store.MANIFEST)
    if store.is_file():
        stored, places = _stored(index.origin, store.stat().st_mtime_ns)
        return {names[name]: stored.notes(places[name]) for name in names if name in places}
    found = {}
    for name, performance in _performances(index.origin, list(names)):
        number = names[name]
        if index.sha256[number] in ("", performance.source.sha256):
            found[number] = Notes.from_performance(performance)
    return found


def notes_of(index: PassageIndex, number: int) -> Notes:
    """Those of one file; raises `UserError` where it is not to be had."""
    found = notes_at_hand(index, [number])
    if number not in found:
        where = f"{index.names[number]} of {index.origin}" if index.origin else index.names[number]
        raise UserError(f"{where}: not there any more, so that its notes cannot be shown; the index has passages only")
    return found[number]


@lru_cache(maxsize=2)
def _stored(location: str, _changed: int) -> tuple[NoteStore, dict[str, int]]:
    store = NoteStore(location)
    return store, {file.name: number for number, file in enumerate(store.files)}


def _performances(origin: str, names: list[str]) -> Iterator[tuple[str, Performance]]:
    """Files of a library, a surveyed corpus, or whatever else MIDI files lie in, as far as they can be read."""
    library = _library(origin)
    if library is not None:
        for row in library.files().filter(pc.field("path").isin(names)).to_pylist():
            with suppress(UserError):
                yield row["path"], library.performance(row["id"])
        return
    by_source = {origin: names}
    if manifest.manifest_folder(Path(origin)).is_dir():
        table = manifest.read_manifest(Path(origin), columns=["source", "path"])
        by_source = {}
        for row in table.filter(pc.field("path").isin(names)).to_pylist():
            by_source.setdefault(row["source"], []).append(row["path"])
    for source, paths in by_source.items():
        with suppress(SourceError):
            for name, data in open_source(source).read_many(sorted(paths)):
                if not isinstance(data, SourceError):
                    yield name, Performance.from_midi(data)


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
