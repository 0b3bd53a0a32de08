"""The note store: every piano note of a corpus as memory-mapped columns, 8 bytes a note.

Notes are stored rather than tokens, because notes can be re-timed and transposed afresh each epoch and belong to no
vocabulary. It knows files, splits and columns; it refuses to know about tokens.

    >>> build(sources, "store")                 # doctest: +SKIP
    >>> NoteStore("store").notes(0)             # doctest: +SKIP
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np

from partimento.errors import UserError
from partimento.midi.performance import INSTRUMENTS, Performance
from partimento.midi.reader import MidiError
from partimento.tokens.notes import Notes

VERSION: Final = 1
_COLUMNS: Final[dict[str, type[np.unsignedinteger]]] = {
    "onset_ms": np.uint32,
    "duration_ms": np.uint16,
    "pitch": np.uint8,
    "velocity": np.uint8,
}
_TABLE: Final = "files.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """One file's row: notes first..first+count-1 of the columns are its own."""

    name: str
    sha256: str
    split: str
    first: int
    count: int


class NoteStore:
    """A store opened for reading; any number of processes may share it."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the folder `path`; raises `UserError` if it holds no complete store of this version."""
        self.path = Path(path)
        try:
            table = json.loads((self.path / _TABLE).read_text())
        except (OSError, ValueError) as error:
            raise UserError(
                f"{self.path}: not a note store (no readable {_TABLE}); make one with 'partimento store'"
            ) from error
        version = table.get("version") if isinstance(table, dict) else None
        if version != VERSION:
            raise UserError(f"{self.path}: note store version {version!r}, this program reads {VERSION}")
        try:
            self.files = tuple(StoredFile(**row) for row in table["files"])
            self._columns = {name: np.load(self.path / f"{name}.npy", mmap_mode="r") for name in _COLUMNS}
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise UserError(f"{self.path}: damaged note store ({error}); rebuild it") from error
        total = sum(file.count for file in self.files)
        for name, column in self._columns.items():
            if len(column) != total:
                raise UserError(
                    f"{self.path}: column {name} has {len(column)} notes, the table says {total}; rebuild it"
                )

    def __len__(self) -> int:
        return len(self.files)

    def split(self, name: str) -> list[int]:
        """Indices of the files of a split; raises `UserError` if it has none."""
        found = [i for i, file in enumerate(self.files) if file.split == name]
        if not found:
            known = sorted({file.split for file in self.files})
            raise UserError(f"{self.path}: no files in split {name!r}; there are {', '.join(known)}")
        return found

    def notes(self, index: int) -> Notes:
        """The notes of one file, all piano, pedal folded in."""
        file = self.files[index]
        span = slice(file.first, file.first + file.count)
        return Notes(
            onset_ms=self._columns["onset_ms"][span].astype(np.int64),
            duration_ms=self._columns["duration_ms"][span].astype(np.int64),
            pitch=np.array(self._columns["pitch"][span]),
            velocity=np.array(self._columns["velocity"][span]),
            instrument=np.zeros(file.count, np.uint8),
            pedal_ms=np.empty(0, np.int64),
            pedal_down=np.empty(0, np.uint8),
        )


def build(
    sources: Sequence[tuple[Path, str]],
    out: str | os.PathLike[str],
    *,
    refused: Callable[[MidiError], None],
    progress: Callable[[Iterable[tuple[Path, str]]], Iterable[tuple[Path, str]]] = lambda rows: rows,
) -> None:
    """Read (path, split) pairs into a new store at `out`, which must not exist yet.

    Files that cannot be read go to `refused`; files without piano notes and files of the same bytes as an earlier one
    are passed over. The store appears whole, by renaming, or not at all.
    """
    target = Path(out)
    if target.exists():
        raise UserError(f"{target}: already exists; remove it or choose another folder")
    piano = INSTRUMENTS.index("piano")
    columns: dict[str, list[np.ndarray]] = {name: [] for name in _COLUMNS}
    files: list[StoredFile] = []
    seen: set[str] = set()
    first = 0
    for path, split in progress(sources):
        try:
            performance = Performance.from_midi(path)
        except MidiError as error:
            refused(error)
            continue
        notes = Notes.from_performance(performance, instruments=(piano,))
        if not len(notes) or performance.source.sha256 in seen:
            continue
        seen.add(performance.source.sha256)
        for name, dtype in _COLUMNS.items():
            limit = np.iinfo(dtype).max
            columns[name].append(np.minimum(getattr(notes, name), limit).astype(dtype))
        row = StoredFile(name=path.name, sha256=performance.source.sha256, split=split, first=first, count=len(notes))
        files.append(row)
        first += len(notes)
    if not files:
        raise UserError("no file with piano notes among the sources")
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, parts in columns.items():
        np.save(partial / f"{name}.npy", np.concatenate(parts))
    (partial / _TABLE).write_text(json.dumps({"version": VERSION, "files": [asdict(file) for file in files]}))
    partial.rename(target)
