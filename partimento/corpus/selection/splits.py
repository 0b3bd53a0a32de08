"""Train, validation and test, so that no piece and no near-duplicate stands on two sides.

What is connected by bytes, sound or name (docs/corpus.md) is one component and gets one split. The draw is a hash of
the component, so that files added later leave all other components where they were, and every recipe over one survey
agrees on who is held out.

It knows groups and names of pieces; it refuses to know filters and why files were kept.

    >>> component = components([same_bytes(rows), relations.piece_group, same_piece(rows)])  # doctest: +SKIP
    >>> assign(component, content(rows), declared(rows), Splits(seed=1, ...))                           # doctest: +SKIP
    array(['train', 'train', 'test', ...])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from partimento.corpus.selection.recipes import Splits

SPLITS: Final = ("train", "validation", "test")
"""In the order in which a declared split beats another within a component: what is held out anywhere is held out."""

Ints = npt.NDArray[np.int64]
_REMARK: Final = r"\s*(?:\s-|[(\[])\s*(?:live|solo|take|alternate|recorded|remaster|remastered|instrumental)\b.*$"
_SEPARATOR: Final = "\x1f"


def same_bytes(rows: pa.Table) -> Ints:
    """A number for each content, int64 [n]; -1 where it is not known."""
    return _numbered([rows.column("sha256")], _given(rows, "sha256"))


def same_piece(rows: pa.Table, *, whole: bool = False) -> Ints:
    """A number for each pair of opus and piece number of a composer, int64 [n]; -1 where neither is known.

    One of the two may be unknown; then the pair is that of the files where the same one is unknown. With `whole` such
    a pair, which may be a work of several movements, is -1 too.
    """
    numbered = pc.and_(_given(rows, "opus"), _given(rows, "piece")) if whole else identified(rows)
    known = pc.and_(_given(rows, "composer"), numbered)
    return _numbered([rows.column("composer"), rows.column("opus"), rows.column("piece")], known)


def same_title(rows: pa.Table) -> Ints:
    """A number for each title of a composer (or of no known composer), int64 [n]; -1 where no title is known.

    Titles are compared by their letters and digits, without a remark about the recording: "Emily - Live at Maybeck",
    "emily (take 2)" and "Emily" are one.
    """
    plain = pc.replace_substring_regex(pc.utf8_lower(rows.column("title")), _REMARK, "")
    plain = pc.replace_substring_regex(plain, r"[^\p{L}\p{N}]+", " ")
    plain = pc.utf8_trim_whitespace(plain)
    return _numbered([rows.column("composer"), plain], pc.fill_null(pc.not_equal(plain, ""), fill_value=False))


def identified(rows: pa.Table) -> pa.ChunkedArray:
    """Whether an opus or a piece number is known, bool [n]."""
    return pc.or_(_given(rows, "opus"), _given(rows, "piece"))


def content(rows: pa.Table) -> npt.NDArray[np.uint64]:
    """The first eight bytes of each file's SHA-256, uint64 [n]: a number that only its bytes decide; 0 if unknown."""
    known = pc.fill_null(rows.column("sha256"), "0" * 64)
    digests = np.frombuffer(bytes.fromhex("".join(known.to_pylist())), np.uint8).reshape(-1, 32)
    return np.ascontiguousarray(digests[:, :8]).view(">u8").astype(np.uint64).reshape(-1)


def declared(rows: pa.Table) -> Ints:
    """Index into `SPLITS` of the split declared for each row, int64 [n]; -1 where none is."""
    return np.asarray(pc.fill_null(pc.index_in(rows.column("declared_split"), pa.array(SPLITS)), -1), np.int64)


def assign(component: Ints, contents: npt.NDArray[np.uint64], wanted: Ints, splits: Splits) -> Ints:
    """Index into `SPLITS` for each of n rows, int64 [n]; rows of one `component` get the same.

    `contents` uint64 [n] as from `content`; `wanted` int64 [n] as from `declared`. A component is known by its row with
    the smallest content, so a file that joins it changes the draw only if its own is smaller still.
    """
    leader = np.full(len(component), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(leader, component, contents)
    draw = _mixed(leader ^ _mixed(np.full(1, splits.seed, np.uint64))) / 2.0**64
    chosen = np.where(draw < splits.test, 2, np.where(draw < splits.test + splits.validation, 1, 0)).astype(np.int64)
    if splits.declared:
        claim = np.full(len(component), -1, np.int64)
        np.maximum.at(claim, component, wanted)
        chosen = np.where(claim >= 0, claim, chosen)
    return chosen[component]


def _given(rows: pa.Table, column: str) -> pa.ChunkedArray:
    return pc.fill_null(pc.not_equal(rows.column(column), ""), fill_value=False)


def _numbered(columns: Sequence[pa.ChunkedArray], known: pa.ChunkedArray) -> Ints:
    """Rows of equal values get equal numbers, -1 where not `known`; an unknown value equals an unknown value."""
    texts = [pc.fill_null(column.cast(pa.string()), "") for column in columns]
    joined = pc.if_else(known, pc.binary_join_element_wise(*texts, _SEPARATOR), None)
    codes = joined.combine_chunks().dictionary_encode().indices
    return np.asarray(pc.fill_null(codes, -1), np.int64)


def _mixed(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """SplitMix64's finisher: numbers that differ anywhere become unrelated ones (Steele, Lea, Flood 2014)."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
