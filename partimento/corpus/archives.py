"""Archives of MIDI files, read in place and forwards; and what every source gives: entries, and bytes or a reason.

Knows zip and tar files and how they are damaged; refuses to know folders (`sources.py`) and what is in MIDI files.

    >>> archive = open_archive("midi.tar.gz")                                # doctest: +SKIP
    >>> archive.entries()[0].path                                            # doctest: +SKIP
    'Chopin/ballade.mid'
    >>> dict(archive.read_many(["Chopin/ballade.mid", "gone.mid"]))          # doctest: +SKIP
    {'Chopin/ballade.mid': b'MThd...', 'gone.mid': SourceError('gone.mid: no such member')}
"""

from __future__ import annotations

import lzma
import tarfile
import zipfile
import zlib
from calendar import timegm
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from partimento.errors import UserError
from partimento.files import from_disk, to_disk
from partimento.midi.reader import MAX_BYTES

MIDI_SUFFIXES: Final = (".mid", ".midi", ".rmi", ".kar", ".smf", ".midi2", ".mid.gz", ".midi.gz", ".kar.gz")
ARCHIVE_SUFFIXES: Final = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
MEMBER: Final = "!/"
"""Stands between an archive in a folder and the path inside it."""
READ_LIMIT: Final = MAX_BYTES + 1
"""One byte more than the reader takes is enough to be refused as too large."""

_NS: Final = 1_000_000_000
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
    """One MIDI file: path below the location ('/' between folders), bytes, nanoseconds since 1970 (0 if unknown)."""

    path: str
    size: int
    modified_ns: int


def is_midi(path: str) -> bool:
    """By its suffix; the dot-underscore files that macOS adds to archives carry the suffix but no music."""
    return path.lower().endswith(MIDI_SUFFIXES) and not path.rpartition("/")[2].startswith("._")


def without_archive_suffix(name: str) -> str:
    """`a.tar.gz` -> `a`; other names as they are."""
    suffix = max((s for s in ARCHIVE_SUFFIXES if name.lower().endswith(s)), key=len, default="")
    return name[: len(name) - len(suffix)]


class ZipArchive:
    """A zip file, read in place."""

    def __init__(self, location: str) -> None:
        self.location = location
        try:
            self._zip = zipfile.ZipFile(to_disk(location))
        except _ARCHIVE_ERRORS as error:
            raise SourceError(f"{location}: {reason(error)}") from error

    def entries(self) -> list[Entry]:
        """Every MIDI member, as they stand."""
        infos = sorted(self._zip.NameToInfo.values(), key=lambda info: (info.header_offset, info.filename))
        return [
            # Zip files keep local time without saying where.
            Entry(path=info.filename, size=info.file_size, modified_ns=timegm((*info.date_time, 0, 0, 0)) * _NS)
            for info in infos
            if is_midi(info.filename)
        ]

    def read_many(self, paths: Iterable[str]) -> Contents:
        """Members one by one."""
        return one_by_one(self._read, paths)

    def _read(self, path: str) -> bytes:
        try:
            with self._zip.open(path) as file:
                return file.read(READ_LIMIT)
        except (KeyError, *_ARCHIVE_ERRORS) as error:
            raise SourceError(f"{path}: {reason(error)}") from error


class TarArchive:
    """A tar file, compressed or not, read forwards: asked in the order of the entries, in one pass."""

    def __init__(self, location: str) -> None:
        self.location = location
        self._stream: tarfile.TarFile | None = None

    def entries(self) -> list[Entry]:
        """Every MIDI member, as they stand."""
        found: dict[str, Entry] = {}
        try:
            with tarfile.open(to_disk(self.location), "r|*") as archive:
                while (member := _next(archive)) is not None:
                    path = from_disk(member.name)
                    if member.isfile() and is_midi(path) and path not in found:
                        found[path] = Entry(path=path, size=member.size, modified_ns=int(member.mtime * _NS))
        except _ARCHIVE_ERRORS as error:
            raise SourceError(f"{self.location}: {reason(error)}") from error
        return list(found.values())

    def read_many(self, paths: Iterable[str]) -> Contents:
        """In the order in which they stand; the pass goes on from where it stopped, and once from the start again."""
        wanted = set(paths)
        rewound = self._stream is None
        while wanted:
            try:
                if self._stream is None:
                    self._stream = tarfile.open(to_disk(self.location), "r|*")  # noqa: SIM115 - stays open between calls
                member = _next(self._stream)
                if member is None:
                    self._close()
                    if rewound:
                        break
                    rewound = True
                    continue
                path = from_disk(member.name)
                file = self._stream.extractfile(member) if path in wanted and member.isfile() else None
                data = file.read(READ_LIMIT) if file else b""
            except _ARCHIVE_ERRORS as error:
                self._close()
                damaged = SourceError(f"{self.location}: {reason(error)}")
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


def open_archive(path: str) -> ZipArchive | TarArchive:
    """The archive at a path, by its suffix; a zip file that is none raises `SourceError` at once."""
    return ZipArchive(path) if path.lower().endswith(".zip") else TarArchive(path)


def one_by_one(read: Callable[[str], bytes], paths: Iterable[str]) -> Contents:
    """read(path) of each path, or the `SourceError` that it raises."""
    data: bytes | SourceError
    for path in paths:
        try:
            data = read(path)
        except SourceError as error:
            data = error
        yield path, data


def reason(error: BaseException) -> str:
    """The first line of what an exception says, to stand behind a name."""
    text = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
    return text[:1].lower() + text[1:]


def _next(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    archive.members.clear()  # type: ignore[attr-defined]  # it would keep every header it ever read
    return archive.next()
