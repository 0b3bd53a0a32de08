"""Where MIDI files lie: folders, archives read in place, and object stores, behind one small interface.

Knows how to list MIDI files (by suffix) and how to get their bytes; refuses to know what is in them.

- A folder is searched recursively. An archive in it is looked into: its members are `sub/a.zip!/inner/x.mid`. Archives
  inside archives, and links inside them, are not followed. What cannot be listed to its end (a damaged archive) is one
  entry, whose reading fails with the reason.
- An archive (.zip, .tar, .tar.gz, .tar.bz2, .tar.xz) as the location itself. Compressed tar files can only be read
  forwards: `read_many` in the order of `Entry.reading_order` reads one in a single pass. Of members of one name the
  last counts in a zip file and the first in a tar file.
- Anything with `://` is listed and read by pyarrow (s3://, gs://, abfs://, hf://, file://) or by whatever fsspec has a
  driver for (az:// with adlfs, https:// with aiohttp), which take credentials from where the store's own tools do. An
  object has no time of modification here, only a size. Archives there are not looked into: fetch them first.

    >>> source = open_source("midi.zip")                         # doctest: +SKIP
    >>> for path, data in source.read_many(e.path for e in source.entries()):  # doctest: +SKIP
    ...     print(path, data if isinstance(data, SourceError) else len(data))
    a.mid 5120
    sub/broken.mid sub/broken.mid: bad CRC-32 for file 'sub/broken.mid'
"""

from __future__ import annotations

import lzma
import os
import re
import tarfile
import zipfile
import zlib
from calendar import timegm
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.midi.reader import MAX_BYTES, MidiError

MIDI_SUFFIXES: Final = (".mid", ".midi", ".rmi", ".kar", ".smf")
ARCHIVE_SUFFIXES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MEMBER: Final = "!/"
"""Stands between an archive in a folder and the path inside it."""

_READ_LIMIT: Final = MAX_BYTES + 1  # one more than the reader takes is enough to be refused as too large
_NS: Final = 1_000_000_000
_CONNECTIONS: Final = 32
_OBJECTS_AT_ONCE: Final = 256
# What the standard library raises for damaged, encrypted or exotic archives: NotImplementedError for an unknown
# compression method, RuntimeError for a password.
_ARCHIVE_ERRORS: Final = (
    OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, NotImplementedError,
    RuntimeError, UnicodeError, ValueError,
)  # fmt: skip


class SourceError(UserError):
    """One file that is listed but cannot be read, or a location that cannot be listed."""


Contents = Iterator[tuple[str, bytes | SourceError]]
"""Paths with their bytes, or with why they cannot be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One MIDI file: path below the location ('/' between folders), bytes, nanoseconds since 1970 (0 if unknown).

    `place` orders the members of an archive as they stand in it (0 elsewhere); it is only a hint for fast reading.
    """

    path: str
    size: int
    modified_ns: int
    place: int = 0

    @property
    def reading_order(self) -> tuple[str, int, str]:
        """Sorting by this reads every archive once and forwards."""
        archive, found, _ = self.path.partition(MEMBER)
        return archive if found else "", self.place, self.path


class Source(Protocol):
    """MIDI files at one location."""

    location: str

    def entries(self) -> Iterator[Entry]:
        """Every MIDI file, sorted by path; raises `SourceError` if the location cannot be listed."""

    def read_many(self, paths: Iterable[str]) -> Contents:
        """Of each path the bytes, but at most one more than a MIDI file may have, or the reason; in any order."""


def open_source(location: str | os.PathLike[str]) -> Source:
    """The source at a path or URL; raises `SourceError` if there is none."""
    name = os.fspath(location)
    if "://" in name:
        return ObjectStore(name)
    name = str(Path(name).resolve())  # what is written about a source must hold from everywhere
    if Path(name).is_dir():
        return Folder(name)
    if not Path(name).is_file():
        raise SourceError(f"{name}: no such folder, archive or URL")
    if name.lower().endswith(ARCHIVE_SUFFIXES):
        return _open_archive(name)
    raise SourceError(f"{name}: neither a folder nor an archive ({', '.join(ARCHIVE_SUFFIXES)})")


@lru_cache(maxsize=4)
def kept_open(location: str) -> Source:
    """The same source as before in this process: a compressed archive is then read forwards once."""
    return open_source(location)


def performances(location: str | os.PathLike[str]) -> Iterator[tuple[str, Performance | UserError]]:
    """Every MIDI file of a source, or one MIDI file by itself, as a performance or as the reason why it is none.

    `performances("midi.zip")` gives ("a.mid", Performance), ("b.mid", MidiError) ...; of a single file its name.
    Raises `SourceError` if there are none.
    """
    alone = Path(location)
    if is_midi(alone.name) and alone.is_file():
        source, paths = open_source(alone.parent), [_from_disk(alone.name)]
    else:
        source = open_source(location)
        paths = [entry.path for entry in in_reading_order(source.entries())]
    if not paths:
        raise SourceError(f"{location}: no MIDI files here ({', '.join(MIDI_SUFFIXES)})")
    for path, data in source.read_many(paths):
        yield path, _performance(data)


def in_reading_order(entries: Iterable[Entry]) -> list[Entry]:
    """Sorted so that every archive is read once and forwards."""
    return sorted(entries, key=lambda entry: entry.reading_order)


def is_midi(path: str) -> bool:
    """By its suffix; the dot-underscore files that macOS adds to archives carry the suffix but no music."""
    return path.lower().endswith(MIDI_SUFFIXES) and not path.rpartition("/")[2].startswith("._")


def without_archive_suffix(name: str) -> str:
    """`a.tar.gz` -> `a`; other names as they are."""
    suffix = max((s for s in ARCHIVE_SUFFIXES if name.lower().endswith(s)), key=len, default="")
    return name[: len(name) - len(suffix)]


class Folder:
    """A folder and everything below it; links to folders are not followed, links to files are."""

    def __init__(self, location: str) -> None:
        self.location = location
        self._archives: dict[str, Source] = {}

    def entries(self) -> Iterator[Entry]:
        """Every MIDI file below the folder, members of archives included."""
        return iter(sorted(self._walk(), key=lambda entry: entry.path))

    def read_many(self, paths: Iterable[str]) -> Contents:
        """Files one by one; the members of an archive that stand together in `paths` in one go."""
        for archive, members in groupby(paths, lambda path: path.partition(MEMBER)[0] if MEMBER in path else ""):
            if not archive:
                yield from _one_by_one(self._read, members)
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
                list(self._archive(path).entries())
            with _on_disk(self.location, path).open("rb") as file:
                return file.read(_READ_LIMIT)
        except SourceError:
            raise
        except (OSError, ValueError) as error:
            raise SourceError(f"{path}: {_reason(error)}") from error

    def _archive(self, path: str) -> Source:
        if path not in self._archives:
            self._archives[path] = _open_archive(str(_on_disk(self.location, path)))
        return self._archives[path]

    def _walk(self) -> Iterator[Entry]:
        for folder, _, names in os.walk(self.location):
            below = Path(folder).relative_to(self.location).as_posix()
            for name in names:
                path = _from_disk(name if below == "." else f"{below}/{name}")
                if is_midi(path):
                    yield _file_entry(path, Path(folder, name))
                elif path.lower().endswith(ARCHIVE_SUFFIXES):
                    yield from self._members(path, Path(folder, name))

    def _members(self, path: str, file: Path) -> Iterator[Entry]:
        try:
            inside = list(self._archive(path).entries())
        except SourceError:
            yield _file_entry(path, file)
            return
        for entry in inside:
            yield replace(entry, path=f"{path}{MEMBER}{entry.path}")


class ZipArchive:
    """A zip file, read in place."""

    def __init__(self, location: str) -> None:
        self.location = location
        try:
            self._zip = zipfile.ZipFile(location)
        except _ARCHIVE_ERRORS as error:
            raise SourceError(f"{location}: {_reason(error)}") from error

    def entries(self) -> Iterator[Entry]:
        """Every MIDI member, by path."""
        for path, info in sorted(self._zip.NameToInfo.items()):
            if is_midi(path):
                when = timegm((*info.date_time, 0, 0, 0)) * _NS  # zip files keep local time without saying where
                yield Entry(path=path, size=info.file_size, modified_ns=when, place=info.header_offset)

    def read_many(self, paths: Iterable[str]) -> Contents:
        """Members one by one."""
        return _one_by_one(self._read, paths)

    def _read(self, path: str) -> bytes:
        try:
            with self._zip.open(path) as file:
                return file.read(_READ_LIMIT)
        except (KeyError, *_ARCHIVE_ERRORS) as error:
            raise SourceError(f"{path}: {_reason(error)}") from error


class TarArchive:
    """A tar file, compressed or not, read forwards: a reader that asks in reading order passes over it once."""

    def __init__(self, location: str) -> None:
        self.location = location
        self._stream: tarfile.TarFile | None = None

    def entries(self) -> Iterator[Entry]:
        """Every MIDI member, by path."""
        found: dict[str, Entry] = {}
        try:
            with tarfile.open(self.location, "r|*") as archive:
                while (member := _next(archive)) is not None:
                    path = _from_disk(member.name)
                    if member.isfile() and is_midi(path) and path not in found:
                        modified = int(member.mtime * _NS)
                        found[path] = Entry(path=path, size=member.size, modified_ns=modified, place=member.offset)
        except _ARCHIVE_ERRORS as error:
            raise SourceError(f"{self.location}: {_reason(error)}") from error
        return iter(sorted(found.values(), key=lambda entry: entry.path))

    def read_many(self, paths: Iterable[str]) -> Contents:
        """In the order in which they stand; the pass goes on from where it stopped, and once from the start again."""
        wanted = set(paths)
        rewound = self._stream is None
        while wanted:
            try:
                if self._stream is None:
                    self._stream = tarfile.open(self.location, "r|*")  # noqa: SIM115 - stays open between calls
                member = _next(self._stream)
                if member is None:
                    self._close()
                    if rewound:
                        break
                    rewound = True
                    continue
                path = _from_disk(member.name)
                file = self._stream.extractfile(member) if path in wanted and member.isfile() else None
                data = file.read(_READ_LIMIT) if file else b""
            except _ARCHIVE_ERRORS as error:
                self._close()
                damaged = SourceError(f"{self.location}: {_reason(error)}")
                yield from ((path, damaged) for path in sorted(wanted))
                return
            if file:
                wanted.discard(path)
                yield path, data
        yield from ((path, SourceError(f"{path}: no such member")) for path in sorted(wanted))

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None


class ObjectStore:
    """Objects below a URL, many at a time."""

    def __init__(self, location: str) -> None:
        self.location = location.rstrip("/")

    def entries(self) -> Iterator[Entry]:
        """Every MIDI object, by path."""
        from pyarrow.fs import FileSelector, FileType

        files, root = self._files()
        try:
            found = files.get_file_info(FileSelector(root, recursive=True))
        except (OSError, ValueError) as error:
            raise SourceError(f"{self.location}: {_reason(error)}") from error
        names = {info.path[len(root) :].lstrip("/"): info for info in found if info.type == FileType.File}
        return (Entry(path=name, size=names[name].size, modified_ns=0) for name in sorted(names) if is_midi(name))

    def read_many(self, paths: Iterable[str]) -> Contents:
        """Over several connections."""
        files, root = self._files()

        def read(path: str) -> tuple[str, bytes | SourceError]:
            try:
                with files.open_input_stream(f"{root}/{path}") as file:
                    return path, file.read(_READ_LIMIT)
            except (OSError, ValueError) as error:
                return path, SourceError(f"{path}: {_reason(error)}")

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
                raise SourceError(f"{self.location}: {_reason(error)} ({_reason(unknown)})") from error
            return PyFileSystem(FSSpecHandler(files)), root


def _open_archive(path: str) -> Source:
    return ZipArchive(path) if path.lower().endswith(".zip") else TarArchive(path)


def _file_entry(path: str, file: Path) -> Entry:
    try:
        status = file.stat()
    except OSError:  # a link to nowhere, or gone since it was listed: reading will say so
        return Entry(path=path, size=-1, modified_ns=0)
    return Entry(path=path, size=status.st_size, modified_ns=status.st_mtime_ns)


def _next(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    archive.members.clear()  # type: ignore[attr-defined]  # it would keep every header it ever read
    return archive.next()


def _one_by_one(read: Callable[[str], bytes], paths: Iterable[str]) -> Contents:
    data: bytes | SourceError
    for path in paths:
        try:
            data = read(path)
        except SourceError as error:
            data = error
        yield path, data


def _performance(data: bytes | SourceError) -> Performance | UserError:
    if isinstance(data, SourceError):
        return data
    try:
        return Performance.from_midi(data)
    except MidiError as error:
        return error


def _reason(error: BaseException) -> str:
    text = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
    return text[:1].lower() + text[1:]


def _from_disk(name: str) -> str:
    r"""A file name as text that any table can hold: bytes that are not UTF-8 appear as \xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _on_disk(folder: str, path: str) -> Path:
    """The inverse of `_from_disk`; a name that really holds a backslash and an x is tried first."""
    direct = Path(folder) / path
    if "\\x" not in path or direct.exists():
        return direct
    return Path(folder) / os.fsdecode(re.sub(rb"\\x([89a-f][0-9a-f])", lambda m: bytes([int(m[1], 16)]), path.encode()))
