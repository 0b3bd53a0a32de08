"""What two collections of MIDI have in common, file by file: the leak check.

Knows what a collection can be (a folder, archive or URL of MIDI files, a surveyed corpus, a note store, a passage
index) and finds for every file of one its nearest relation in the other. It refuses to know how that is shown.

    >>> index = PassageIndex.build(fingerprints_of("training"), "index")  # doctest: +SKIP
    >>> [found for found in overlap(fingerprints_of("test"), index)]      # doctest: +SKIP
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from partimento.corpus.duplicates import index as passages
from partimento.corpus.duplicates.fingerprints import Fingerprint, fingerprint
from partimento.corpus.duplicates.index import Indexed, Match, PassageIndex
from partimento.corpus.sources import performances
from partimento.corpus.store import note_store
from partimento.corpus.survey import manifest
from partimento.errors import UserError
from partimento.files import replacing
from partimento.tokens.notes import Notes

EXACT: Final = "exact"
SAME_PERFORMANCE: Final = "same performance"
SAME_PIECE: Final = "same piece"
NONE: Final = "none"
RELATIONS: Final = (EXACT, SAME_PERFORMANCE, SAME_PIECE, NONE)
COLUMNS: Final = ("file", "relation", "other", "transposition", "scale", "shift_s", "covered")

Refused = Callable[[str, UserError], None]
"""Told the name of a file that cannot be read, and why."""
Counted = Callable[[Iterable[Indexed]], Iterable[Indexed]]
"""Sees every file pass by, to show how far it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A file, its relation (one of `RELATIONS`) to the nearest file of the other collection, and how they lie.

    `exact` files have the same bytes. `match` is None for them and where there is no relation.
    """

    name: str
    relation: str
    other: str = ""
    match: Match | None = None

    @property
    def row(self) -> dict[str, Any]:
        """As a row of a list, `COLUMNS`; t s of the file is scale * t + shift_s of the other, a performance's only."""
        row: dict[str, Any] = dict.fromkeys(COLUMNS)
        row |= {"file": self.name, "relation": self.relation, "other": self.other}
        if self.match:
            row |= {"transposition": self.match.transposition, "covered": round(self.match.covered, 3)}
            if self.match.same_performance:
                row |= {"scale": round(self.match.scale, 4), "shift_s": round(self.match.shift_ms / 1000, 3)}
        return row


def write(findings: Iterable[Finding], path: Path) -> None:
    """A CSV file with a row for every finding, whole or not at all."""
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(finding.row for finding in findings)


def fingerprints_of(location: str, refused: Refused) -> Iterator[Indexed]:
    """Name, SHA-256 and fingerprint of each file of a collection; what cannot be read goes to `refused`.

    A surveyed corpus is read from its manifest. Raises `UserError` if there is no collection, or only an index: that
    holds passages, from which files cannot be had back.
    """
    folder = Path(location)
    if (folder / passages.MANIFEST).is_file():
        raise UserError(f"{location}: a passage index can only be the second of the two; name the files themselves")
    if manifest.manifest_folder(folder).is_dir():
        return _of_corpus(folder)
    if (folder / note_store.MANIFEST).is_file():
        return _of_store(folder)
    return _of_files(location, refused)


def index_of(
    location: str, out: Path, refused: Refused, *, counted: Counted = iter, replace: bool = False
) -> PassageIndex:
    """The passage index at a location, or one made at `out` of the collection there."""
    if Path(location, passages.MANIFEST).is_file():
        return PassageIndex(location)
    files = counted(fingerprints_of(location, refused))
    return PassageIndex.build(files, out, origin=origin_of(location), replace=replace)


def origin_of(location: str) -> str:
    """A location as it holds from everywhere."""
    return str(Path(location).resolve()) if Path(location).exists() else location


def overlap(files: Iterable[Indexed], index: PassageIndex) -> Iterator[Finding]:
    """The nearest relation of each file among those of the index: exact, else the match with the most hits."""
    exact = {sha256: name for name, sha256 in zip(index.names, index.sha256, strict=True) if sha256}
    for name, sha256, kept in files:
        if sha256 in exact:
            yield Finding(name=name, relation=EXACT, other=exact[sha256])
            continue
        matches = index.query(kept)
        if not matches:
            yield Finding(name=name, relation=NONE)
            continue
        relation = SAME_PERFORMANCE if matches[0].same_performance else SAME_PIECE
        yield Finding(name=name, relation=relation, other=matches[0].name, match=matches[0])


def _of_corpus(folder: Path) -> Iterator[Indexed]:
    table = manifest.read_manifest(folder, columns=["path", "sha256", "verdict", "fingerprint"])
    for batch in table.to_batches(max_chunksize=10_000):
        for row in batch.to_pylist():
            if row["verdict"] == manifest.READABLE:
                yield row["path"], row["sha256"], Fingerprint.from_bytes(row["fingerprint"])


def _of_store(folder: Path) -> Iterator[Indexed]:
    notes = note_store.NoteStore(folder)
    for number, file in enumerate(notes.files):
        yield file.name, file.sha256, fingerprint(notes.notes(number))


def _of_files(location: str, refused: Refused) -> Iterator[Indexed]:
    for path, performance in performances(location):
        if isinstance(performance, UserError):
            refused(path, performance)
        else:
            yield path, performance.source.sha256, fingerprint(Notes.from_performance(performance))
