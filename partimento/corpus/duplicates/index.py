"""The passages of many files on disk: where else does this stand?

A `PassageIndex` is built once from fingerprints and answers in milliseconds for one file or one generated piece: which
files are the same performance or play the same piece (`query`); `copies` asks it for shared stretches. It refuses to
know where fingerprints come from, and how hits are judged (`alignment`, `chains`).

The folder (docs/fingerprints.md) is memory-mapped, and any number of processes may share it. Building spools passages
into ranges of hashes, each of which is sorted on its own: a build of 1.2 million files (8.6 GB) holds 1/256 of that in
memory and writes the disk twice.

    >>> PassageIndex.build(((name, sha256, fingerprint(notes)) for ...), "index")  # doctest: +SKIP
    >>> PassageIndex("index").query(fingerprint(notes))                             # doctest: +SKIP
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from numba import njit

from partimento.corpus.duplicates import alignment
from partimento.corpus.duplicates.fingerprints import CHORD_MS, FEWEST_INTERVALS, PASSAGE_NOTES, WINDOW, Fingerprint
from partimento.errors import UserError
from partimento.files import new_folder

MOST_PLACES: Final = 512
"""Of the places of one passage as many are kept, those of the first files: one that stands in more tells little."""
MANIFEST: Final = "index.json"

_RULE: Final = {
    "version": 1,
    "passage_notes": PASSAGE_NOTES,
    "window": WINDOW,
    "chord_ms": CHORD_MS,
    "fewest_intervals": FEWEST_INTERVALS,
}
_POSTING: Final = np.dtype([("hash", "<u4"), ("file", "<u4"), ("onset_ms", "<u4"), ("pitch", "u1")])
_RANGE_BITS: Final = 8
_FILES_AT_ONCE: Final = 5_000
_FILES: Final = "files.parquet"
_SCHEMA: Final = pa.schema(
    [("name", pa.string()), ("sha256", pa.string()), ("passages", pa.int32()), ("cells", pa.int32())]
)

Indexed = tuple[str, str, Fingerprint]
"""Name, SHA-256 of the bytes (or "") and fingerprint of a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A file of the index that is the same performance as the query, or plays the same piece.

    The query's moment t ms is the file's scale * t + shift_ms, exactly (a performance) or in a rough way (a piece);
    the file stands `transposition` semitones above the query. `hits` different passages agree, and they lie in
    `covered` (0..1) of the file or of the query, whichever is larger; spans are (first ms, last ms).
    """

    file: int
    name: str
    same_performance: bool
    transposition: int
    scale: float
    shift_ms: float
    hits: int
    covered: float
    query_ms: tuple[int, int]
    file_ms: tuple[int, int]


class PassageIndex:
    """An index opened for reading; `origin` is the location of its files, if whoever built it said so."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the folder `path`; raises `UserError` if it holds no complete index made by the present rule."""
        self.path = Path(path)
        try:
            about = json.loads((self.path / MANIFEST).read_text())
            rule = {name: about.get(name) for name in _RULE}
            count, bits = about["postings"], about["bits"]
            files = pq.read_table(self.path / _FILES)
        except (OSError, ValueError, KeyError, AttributeError, pa.ArrowException) as error:
            raise UserError(f"{self.path}: not a passage index ({error})") from error
        if rule != _RULE:
            raise UserError(f"{self.path}: a passage index made by other rules ({rule}); build it again")
        self.origin: str = about.get("origin", "")
        self.names: list[str] = files["name"].to_pylist()
        self.sha256: list[str] = files["sha256"].to_pylist()
        self._cells, self._sizes = (files[name].to_numpy().astype(np.int64) for name in ("cells", "passages"))
        self._shift = 32 - bits
        self._starts = self._map("starts", np.dtype("<u8"), (1 << bits) + 1)
        self._hash, self._file, self._onset, self._pitch = (
            self._map(f"postings.{name}", _POSTING[name], count) for name in _POSTING.names or ()
        )

    def __len__(self) -> int:
        return len(self.names)

    def query(self, fingerprint: Fingerprint) -> list[Match]:
        """The files of the same performance, then those of the same piece, each with most hits first.

        At most `alignment.MOST_CANDIDATES` files are looked at, those that share most passages.
        """
        _, *hits = self.hits(fingerprint)
        cells = alignment.cells(fingerprint.onset_ms)
        found = alignment.matches(*hits, cells, len(fingerprint), self._cells, self._sizes, False)
        return ranked(found, self.names)

    def hits(self, fingerprint: Fingerprint) -> tuple[npt.NDArray, ...]:
        """Ordinal of the query's passage, its hash, file, transposition, and when it begins in the query and there."""
        first, last = _places(fingerprint.hash, self._hash, self._starts, self._shift)
        ordinal = np.repeat(np.arange(len(first)), last - first)
        at = np.arange(len(ordinal)) + np.repeat(first - np.cumsum(last - first) + (last - first), last - first)
        return (
            ordinal,
            fingerprint.hash[ordinal],
            self._file[at].astype(np.int64),
            self._pitch[at].astype(np.int64) - fingerprint.pitch[ordinal],
            fingerprint.onset_ms[ordinal].astype(np.int64),
            self._onset[at].astype(np.int64),
        )

    @classmethod
    def build(
        cls, files: Iterable[Indexed], out: str | os.PathLike[str], *, origin: str = "", replace: bool = False
    ) -> PassageIndex:
        """Write an index at `out`, where nothing may be unless it may be replaced; it appears whole or not at all.

        `origin` says where the files lie, for who wants to see them; an index holds no notes.
        """
        with new_folder(out, replace=replace) as folder:
            count = _spool(files, folder)
            bits = min(max(count.bit_length() - 5, _RANGE_BITS), 24)
            kept = _sort(folder, bits)
            about = _RULE | {"postings": kept, "bits": bits, "origin": origin}
            (folder / MANIFEST).write_text(json.dumps(about))
        return cls(out)

    def _map(self, name: str, dtype: np.dtype, count: int) -> npt.NDArray:
        path = self.path / name
        try:
            if path.stat().st_size != count * dtype.itemsize:
                raise UserError(f"{path}: not as long as {MANIFEST} says; build the index again")
            # An empty file cannot be mapped.
            return np.asarray(np.memmap(path, dtype, "r")) if count else np.empty(0, dtype)
        except OSError as error:
            raise UserError(f"{self.path}: damaged passage index ({error}); build it again") from error


def ranked(found: npt.NDArray, names: Sequence[str]) -> list[Match]:
    """What `alignment.matches` found among files of these names: the same performances, then the same piece."""
    matches = [_match(one, names[one["file"]]) for one in found]
    return sorted(matches, key=lambda match: (not match.same_performance, -match.hits))


def _match(found: np.void, name: str) -> Match:
    same = bool(found["relation"] == alignment.SAME_PERFORMANCE)
    return Match(
        file=int(found["file"]),
        name=name,
        same_performance=same,
        transposition=int(found["transposition"]),
        scale=float(found["scale"]),
        shift_ms=float(found["shift_ms"]),
        hits=int(found["line_hits" if same else "run_hits"]),
        covered=float(found["line_covered" if same else "run_covered"]),
        query_ms=(int(found["query_first_ms"]), int(found["query_last_ms"])),
        file_ms=(int(found["file_first_ms"]), int(found["file_last_ms"])),
    )


def _spool(files: Iterable[Indexed], folder: Path) -> int:
    """Write the files' table, and their postings into one file for each range of hashes; how many postings."""
    count, number = 0, 0
    rest = iter(files)
    with pq.ParquetWriter(folder / _FILES, _SCHEMA) as table:
        while block := list(islice(rest, _FILES_AT_ONCE)):
            prints = [fingerprint for _, _, fingerprint in block]
            postings = np.empty(sum(map(len, prints)), _POSTING)
            for name in ("hash", "onset_ms", "pitch"):
                postings[name] = np.concatenate([getattr(one, name) for one in prints])
            postings["file"] = np.repeat(np.arange(number, number + len(block)), [len(one) for one in prints])
            _by_range(postings, folder)
            columns = {
                "name": [name for name, _, _ in block],
                "sha256": [sha256 for _, sha256, _ in block],
                "passages": [len(one) for one in prints],
                "cells": [int(alignment.cells(one.onset_ms)) for one in prints],
            }
            table.write_table(pa.table(columns, _SCHEMA))
            count, number = count + len(postings), number + len(block)
    return count


def _by_range(postings: npt.NDArray, folder: Path) -> None:
    ranges = postings["hash"] >> (32 - _RANGE_BITS)
    postings = postings[np.argsort(ranges, kind="stable")]
    ends = np.cumsum(np.bincount(ranges, minlength=1 << _RANGE_BITS))
    for number, (begin, end) in enumerate(zip([0, *ends[:-1]], ends, strict=True)):
        with (folder / f"spool.{number}").open("ab") as file:
            postings[begin:end].tofile(file)


def _sort(folder: Path, bits: int) -> int:
    """The spooled ranges, each sorted by hash, into columns, and where each prefix of `bits` begins; how many stay."""
    kept = 0
    outs: dict[str, BinaryIO] = {name: (folder / f"postings.{name}").open("wb") for name in _POSTING.names or ()}
    with (folder / "starts").open("wb") as starts:
        for number in range(1 << _RANGE_BITS):
            spool = folder / f"spool.{number}"
            postings = np.fromfile(spool, _POSTING) if spool.exists() else np.empty(0, _POSTING)
            spool.unlink(missing_ok=True)
            postings = postings[np.argsort(postings["hash"], kind="stable")]
            equal_before = np.arange(len(postings)) - np.searchsorted(postings["hash"], postings["hash"])
            postings = postings[equal_before < MOST_PLACES]
            for name, out in outs.items():
                np.ascontiguousarray(postings[name]).tofile(out)
            prefixes = (postings["hash"] >> (32 - bits)).astype(np.int64) - (number << (bits - _RANGE_BITS))
            counts = np.bincount(prefixes, minlength=1 << (bits - _RANGE_BITS))
            (kept + np.cumsum(counts) - counts).astype("<u8").tofile(starts)
            kept += len(postings)
        np.array([kept], "<u8").tofile(starts)
    for out in outs.values():
        out.close()
    return kept


@njit(cache=True)
def _places(wanted, hashes, starts, shift):
    """Where in the sorted `hashes` each wanted one begins and ends."""
    first = np.empty(len(wanted), np.int64)
    last = np.empty(len(wanted), np.int64)
    for k in range(len(wanted)):
        prefix = wanted[k] >> shift
        low, high = np.int64(starts[prefix]), np.int64(starts[prefix + 1])
        end = high
        while low < high:
            middle = (low + high) // 2
            if hashes[middle] < wanted[k]:
                low = middle + 1
            else:
                high = middle
        first[k] = low
        while low < end and hashes[low] == wanted[k]:
            low += 1
        last[k] = low
    return first, last
