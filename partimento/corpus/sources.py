"""Where MIDI files lie: folders, archives read in place, and object stores, behind one small interface.

Knows how to list MIDI files (by suffix) and how to get their bytes; refuses to know what is in them.

- A folder is searched recursively. An archive in it is looked into: its members are `sub/a.zip!/inner/x.mid`. Archives
  inside archives, and links inside them, are not followed. What cannot be listed to its end (a damaged archive) is one
  entry, whose reading fails with the reason.
- An archive as the location itself. Of members of one name the last counts in a zip file and the first in a tar file.
- Anything with `://`, by pyarrow or fsspec (docs/manifest.md). Archives there are not looked into: fetch them first.

    >>> source = open_source("midi.zip")                         # doctest: +SKIP
    >>> for path, data in source.read_many(e.path for e in source.entries()):  # doctest: +SKIP
    ...     print(path, data if isinstance(data, SourceError) else len(data))
    a.mid 5120
    sub/broken.mid sub/broken.mid: bad CRC-32 for file 'sub/broken.mid'
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import lru_cache
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

from partimento.corpus.archives import (
    ARCHIVE_SUFFIXES,
    MEMBER,
    MIDI_SUFFIXES,
    READ_LIMIT,
    Contents,
    Entry,
    SourceError,
    is_midi,
    one_by_one,
    open_archive,
    reason,
)
from partimento.errors import UserError
from partimento.files import from_disk, to_disk
from partimento.midi.performance import Performance
from partimento.midi.reader import MidiError

_CONNECTIONS: Final = 32
_OBJECTS_AT_ONCE: Final = 256


class Source(Protocol):
    """MIDI files at one location."""

    location: str

    def entries(self) -> list[Entry]:
        """Every MIDI file, in the order in which all are read fastest; `SourceError` if they cannot be listed."""

    def read_many(self, paths: Iterable[str]) -> Contents:
        """Of each path the bytes, but at most one more than a MIDI file may have, or the reason; in any order."""


def open_source(location: str | os.PathLike[str]) -> Source:
    """The source at a path or URL; raises `SourceError` if there is none."""
    name = os.fspath(location)
    if "://" in name:
        return ObjectStore(name)
    path = to_disk(name)
    if is_midi(path.name) and path.is_file():
        return OneFile(from_disk(str(path.absolute())))
    path = path.resolve()  # what is written about a source must hold from everywhere
    name = from_disk(str(path))
    if path.is_dir():
        return Folder(name)
    if not path.is_file():
        raise SourceError(f"{name}: no such folder, archive or URL")
    if name.lower().endswith(ARCHIVE_SUFFIXES):
        return open_archive(name)
    raise SourceError(f"{name}: neither a folder, nor a MIDI file, nor an archive ({', '.join(ARCHIVE_SUFFIXES)})")


@lru_cache(maxsize=4)
def kept_open(location: str) -> Source:
    """The same source as before in this process: a compressed archive is then read forwards once."""
    return open_source(location)


def performances(location: str | os.PathLike[str]) -> Iterator[tuple[str, Performance | UserError]]:
    """Every MIDI file of a source, or one MIDI file by itself, as a performance or as the reason why it is none.

    `performances("midi.zip")` gives ("a.mid", Performance), ("b.mid", MidiError) ...; of a single file its name.
    Raises `SourceError` if there are none.
    """
    source = open_source(location)
    paths = [entry.path for entry in source.entries()]
    if not paths:
        raise SourceError(f"{location}: no MIDI files here ({', '.join(MIDI_SUFFIXES)})")
    for path, data in source.read_many(paths):
        found: Performance | UserError
        try:
            found = data if isinstance(data, SourceError) else Performance.from_midi(data)
        except MidiError as error:
            found = error
        yield path, found


class OneFile:
    """A MIDI file by itself, under its name."""

    def __init__(self, location: str) -> None:
        self.location = location

    def entries(self) -> list[Entry]:
        """The file."""
        path = to_disk(self.location)
        return [_file_entry(from_disk(path.name), path)]

    def read_many(self, paths: Iterable[str]) -> Contents:
        """The file, if it is named."""
        return Folder(from_disk(str(to_disk(self.location).parent))).read_many(paths)


class Folder:
    """A folder and everything below it; links to folders are not followed, links to files are."""

    def __init__(self, location: str) -> None:
        self.location = location
        self._archives: dict[str, Source] = {}

    def entries(self) -> list[Entry]:
        """Every MIDI file below the folder, by path; then the members of one archive after the other."""
        files: list[Entry] = []
        members: list[Entry] = []
        for path, file in sorted(self._walk()):
            if is_midi(path):
                files.append(_file_entry(path, file))
                continue
            try:
                inside = self._archive(path).entries()
            except SourceError:
                files.append(_file_entry(path, file))
                continue
            members += [replace(entry, path=f"{path}{MEMBER}{entry.path}") for entry in inside]
        return files + members

    def read_many(self, paths: Iterable[str]) -> Contents:
        """Files one by one; the members of an archive that stand together in `paths` in one go."""
        for archive, members in groupby(paths, lambda path: path.partition(MEMBER)[0] if MEMBER in path else ""):
            if not archive:
                yield from one_by_one(self._read, members)
                continue
            inside = [path.partition(MEMBER)[2] for path in members]
            try:
                source = self._archive(archive)
            except SourceError as error:
                yield from ((f"{archive}{MEMBER}{member}", error) for member in inside)
                continue
            for member, data in source.read_many(inside):
                yield f"{archive}{MEMBER}{member}", data

    def _read(self, path: str) -> bytes:
        try:
            if path.lower().endswith(ARCHIVE_SUFFIXES):  # an entry of its own only because it could not be listed
                self._archive(path).entries()
            with to_disk(f"{self.location}/{path}").open("rb") as file:
                return file.read(READ_LIMIT)
        except SourceError:
            raise
        except (OSError, ValueError) as error:
            raise SourceError(f"{path}: {reason(error)}") from error

    def _archive(self, path: str) -> Source:
        if path not in self._archives:
            self._archives[path] = open_archive(f"{self.location}/{path}")
        return self._archives[path]

    def _walk(self) -> Iterator[tuple[str, Path]]:
        top = to_disk(self.location)
        for folder, _, names in os.walk(top):
            below = Path(folder).relative_to(top).as_posix()
            for name in names:
                path = from_disk(name if below == "." else f"{below}/{name}")
                if is_midi(path) or path.lower().endswith(ARCHIVE_SUFFIXES):
                    yield path, Path(folder, name)


class ObjectStore:
    """Objects below a URL, many at a time."""

    def __init__(self, location: str) -> None:
        self.location = location.rstrip("/")

    def entries(self) -> list[Entry]:
        """Every MIDI object, by path."""
        from pyarrow.fs import FileSelector, FileType

        files, root = self._files()
        try:
            found = files.get_file_info(FileSelector(root, recursive=True))
        except (OSError, ValueError) as error:
            raise SourceError(f"{self.location}: {reason(error)}") from error
        names = {info.path[len(root) :].lstrip("/"): info for info in found if info.type == FileType.File}
        return [Entry(path=name, size=names[name].size, modified_ns=0) for name in sorted(names) if is_midi(name)]

    def read_many(self, paths: Iterable[str]) -> Contents:
        """Over several connections."""
        files, root = self._files()

        def read(path: str) -> tuple[str, bytes | SourceError]:
            try:
                with files.open_input_stream(f"{root}/{path}") as file:
                    return path, file.read(READ_LIMIT)
            except (OSError, ValueError) as error:
                return path, SourceError(f"{path}: {reason(error)}")

        rest = iter(paths)
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            while some := list(islice(rest, _OBJECTS_AT_ONCE)):
                yield from pool.map(read, some)

    def _files(self) -> tuple[Any, str]:
        """The file system of the URL, as pyarrow has them, and the location in it."""
        import fsspec
        from pyarrow.fs import FileSystem, FSSpecHandler, PyFileSystem

        scheme, _, rest = self.location.partition("://")
        try:
            return FileSystem.from_uri(f"{scheme}://{quote(rest, safe='/:@?&=')}")
        except (OSError, ValueError) as unknown:
            try:
                files, root = fsspec.url_to_fs(self.location)
            except (ImportError, OSError, ValueError) as error:
                raise SourceError(f"{self.location}: {reason(error)} ({reason(unknown)})") from error
            return PyFileSystem(FSSpecHandler(files)), root


def _file_entry(path: str, file: Path) -> Entry:
    try:
        status = file.stat()
    except OSError:  # a link to nowhere, or gone since it was listed: reading will say so
        return Entry(path=path, size=-1, modified_ns=0)
    return Entry(path=path, size=status.st_size, modified_ns=status.st_mtime_ns)
