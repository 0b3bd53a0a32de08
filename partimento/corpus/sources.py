"""Where MIDI files lie: folders, archives read in place, and object stores, behind one small interface.

Knows how to list MIDI files (by suffix) and how to get their bytes; refuses to know what is in them.

- A folder is searched recursively. An archive in it is looked into: its members are `sub/a.zip!/inner/x.mid`. Archives
  inside archives, and links inside them, are not followed. What cannot be listed to its end (a damaged archive) is one
  entry, whose reading fails with the reason.
- An archive (.zip, .tar, .tar.gz, .tar.bz2, .tar.xz) as the location itself. Compressed tar files can only be read
  forwards: `read_many` in the order of `Entry.reading_order` reads one in a single pass. Of members of one name the
  last counts in a zip file and the first in a tar file.
- Anything with `://` is listed and read by daft (s3://, gs://, az://, hf://, https:// ...), which takes credentials
  from where the store's own tools do. An object has no time of modification here, only a size.

    >>> source = open_source("midi.zip")                         # doctest: +SKIP
    >>> for path, data in source.read_many(e.path for e in source.entries()):  # doctest: +SKIP
    ...     print(path, len(data))
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from partimento.errors import UserError
from partimento.midi.reader import MAX_BYTES

MIDI_SUFFIXES: Final = (".mid", ".midi", ".rmi", ".kar", ".smf")
ARCHIVE_SUFFIXES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MEMBER: Final = "!/"
"""Stands between an archive in a folder and the path inside it."""

_READ_LIMIT: Final = MAX_BYTES + 1  # one more than the reader takes is enough to be refused as too large
_NS: Final = 1_000_000_000
# What the standard library raises for damaged, encrypted or exotic archives: NotImplementedError for an unknown
# compression method, RuntimeError for a password.
_ARCHIVE_ERRORS: Final = (
    OSError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, NotImplementedError,
    RuntimeError, UnicodeError, ValueError,
)  # fmt: skip


class SourceError(UserError):
    """One file that is listed but cannot be read, or a location that cannot be listed."""


Failed = Callable[[str, SourceError], None]


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

    def read(self, path: str) -> bytes:
        """One file's bytes, but at most one more than a MIDI file may have; raises `SourceError`."""

    def read_many(self, paths: Iterable[str], failed: Failed | None = None) -> Iterator[tuple[str, bytes]]:
        """(path, bytes) of each, in any order; what cannot be read goes to `failed`, or is raised without it."""


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


def is_midi(path: str) -> bool:
    """By its suffix; the dot-underscore files that macOS adds to archives carry the suffix but no music."""
    return path.lower().endswith(MIDI_SUFFIXES) and not path.rpartition("/")[2].startswith("._")


class Folder:
    """A folder and everything below it; links to folders are not followed, links to files are."""

    def __init__(self, location: str) -> None:
        self.location = location
        self._archives: dict[str, Source] = {}

    def entries(self) -> Iterator[Entry]:
        """Every MIDI file below the folder, members of archives included."""
        return iter(sorted(self._walk(), key=lambda entry: entry.path))

    def read(self, path: str) -> bytes:
        """One file's bytes."""
        archive, inside, member = path.partition(MEMBER)
        try:
            if inside:
                return self._archive(archive).read(member)
            if path.lower().endswith(ARCHIVE_SUFFIXES):  # an entry of its own only because it could not be listed
                list(self._archive(path).entries())
            with _on_disk(self.location, path).open("rb") as file:
                return file.read(_READ_LIMIT)
        except SourceError:
            raise
        except (OSError, ValueError) as error:
            raise SourceError(f"{path}: {_reason(error)}") from error

    def read_many(self, paths: Iterable[str], failed: Failed | None = None) -> Iterator[tuple[str, bytes]]:
        """Files one by one; the members of an archive that stand together in `paths` in one go."""
        for archive, members in _runs(paths):
            if not archive:
                yield from _one_by_one(self.read, members, failed)
                continue
            try:
                source = self._archive(archive)
            except SourceError as error:
                _report(error, [f"{archive}{MEMBER}{member}" for member in members], failed)
                continue
            inner = _prefixed(failed, archive + MEMBER)
            for member, data in source.read_many(members, inner):
                yield f"{archive}{MEMBER}{member}", data

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
            yield Entry(
                path=f"{path}{MEMBER}{entry.path}", size=entry.size, modified_ns=entry.modified_ns, place=entry.place
            )


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

    def read(self, path: str) -> bytes:
        """One member's bytes."""
        try:
            with self._zip.open(path) as file:
                return file.read(_READ_LIMIT)
        except (KeyError, *_ARCHIVE_ERRORS) as error:
            raise SourceError(f"{path}: {_reason(error)}") from error

    def read_many(self, paths: Iterable[str], failed: Failed | None = None) -> Iterator[tuple[str, bytes]]:
        """Members one by one."""
        return _one_by_one(self.read, paths, failed)


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

    def read(self, path: str) -> bytes:
        """One member's bytes; the pass goes on from where the last one stopped, and once from the start again."""
        for _, data in self.read_many([path]):
            return data
        raise SourceError(f"{path}: no such member")

    def read_many(self, paths: Iterable[str], failed: Failed | None = None) -> Iterator[tuple[str, bytes]]:
        """The members in the order in which they stand."""
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
                _report(SourceError(f"{self.location}: {_reason(error)}"), sorted(wanted), failed)
                return
            if file:
                wanted.discard(path)
                yield path, data
        for path in sorted(wanted):
            _report(SourceError(f"{path}: no such member"), [path], failed)

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None


class ObjectStore:
    """Objects below a URL, through daft. Archives there are not looked into: fetch them first."""

    def __init__(self, location: str) -> None:
        self.location = location.rstrip("/")

    def download(self, path: Any) -> Any:
        """daft's column of paths -> the column of their bytes, null where an object cannot be fetched."""
        from partimento.corpus.engine import daft

        return (daft.lit(f"{self.location}/") + path).download(on_error="null")

    def entries(self) -> Iterator[Entry]:
        """Every MIDI object, by path."""
        from partimento.corpus.engine import DaftCoreException, daft

        try:
            listing = daft.from_glob_path(f"{self.location}/**").select("path", "size").to_pydict()
        except (DaftCoreException, OSError, ValueError) as error:
            raise SourceError(f"{self.location}: {_reason(error)}") from error
        start = len(self.location) + 1
        found = [
            Entry(path=url[start:], size=size or 0, modified_ns=0)
            for url, size in zip(listing["path"], listing["size"], strict=True)
            if is_midi(url)
        ]
        return iter(sorted(found, key=lambda entry: entry.path))

    def read(self, path: str) -> bytes:
        """One object's bytes."""
        for _, data in self.read_many([path]):
            return data
        raise SourceError(f"{path}: no such object")

    def read_many(self, paths: Iterable[str], failed: Failed | None = None) -> Iterator[tuple[str, bytes]]:
        """Many objects at once, over several connections."""
        from partimento.corpus.engine import daft

        names = list(paths)
        listed = daft.from_pydict({"path": names})
        contents = listed.select(self.download(daft.col("path")).alias("data")).to_pydict()["data"]
        for path, data in zip(names, contents, strict=True):
            if data is None:
                _report(SourceError(f"{path}: cannot be fetched"), [path], failed)
            else:
                yield path, data[:_READ_LIMIT]


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


def _runs(paths: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Neighbours of one archive together: (archive, members), the archive being "" for plain files."""
    current, members = "", list[str]()
    for path in paths:
        archive, inside, member = path.partition(MEMBER)
        if not inside:
            archive, member = "", path
        if archive != current and members:
            yield current, members
            members = []
        current = archive
        members.append(member)
    if members:
        yield current, members


def _one_by_one(
    read: Callable[[str], bytes], paths: Iterable[str], failed: Failed | None
) -> Iterator[tuple[str, bytes]]:
    for path in paths:
        try:
            data = read(path)
        except SourceError as error:
            _report(error, [path], failed)
            continue
        yield path, data


def _report(error: SourceError, paths: Iterable[str], failed: Failed | None) -> None:
    if failed is None:
        raise error
    for path in paths:
        failed(path, error)


def _prefixed(failed: Failed | None, prefix: str) -> Failed | None:
    return None if failed is None else lambda path, error: failed(prefix + path, error)


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
