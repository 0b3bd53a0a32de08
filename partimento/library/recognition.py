"""The passages of a library's files: other performances of a piece, and whatever else asks by fingerprint.

Knows when the index on disk is that of the files there are now, and how it is made anew. Refuses to know what a passage
is (`corpus/duplicates`).

An index is named after the files in it, so that one that is there is never out of date, and it appears whole. The one
before it is kept for processes that are reading it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from partimento.corpus.duplicates.fingerprints import Fingerprint, fingerprint
from partimento.corpus.duplicates.index import Indexed, Match, PassageIndex
from partimento.corpus.rows import blocks
from partimento.library.tables import FILES, SHOWN, Tables, one_of
from partimento.midi.performance import Performance
from partimento.tokens.notes import Notes

_ANSWERS: Final = pa.schema(
    [
        ("relation", pa.string()),
        ("transposition", pa.int32()),
        ("tempo", pa.float64()),
        ("covered", pa.float64()),
        ("hits", pa.int32()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        ("query_start", pa.float64()),
        ("query_end", pa.float64()),
        *((name, pa.list_(pa.string()) if name == "tags" else pa.string()) for name in SHOWN),
    ]
)
_FOLDER: Final = "passages"
_KEPT: Final = 2
_FILES_AT_ONCE: Final = 5_000


def passage_index(tables: Tables) -> PassageIndex:
    """The index of the files that are in the library now; `names` are their ids. Made if there is none yet."""
    ids = sorted(tables.rows(FILES, ["id"], "fingerprint IS NOT NULL")["id"].to_pylist())
    folder = tables.folder / _FOLDER / hashlib.sha256("".join(ids).encode()).hexdigest()[:16]
    if not folder.is_dir():
        _build(tables, ids, folder)
    return PassageIndex(folder)


def performances_of_the_piece(tables: Tables, index: PassageIndex, performance: Performance, *, but: str) -> pa.Table:
    """The files that play the same piece, or are the same performance, except the one whose id is `but`."""
    asked = fingerprint(Notes.from_performance(performance))
    found = [match for match in index.query(asked) if match.name != but]
    rows = tables.rows(FILES, [*SHOWN, "begins"], one_of("id", [match.name for match in found] or [""]))
    row_of = {row["id"]: row for row in rows.to_pylist()}
    begins = _first_note(performance)
    return pa.Table.from_pylist(
        [_answer(match, row_of[match.name], begins) for match in found if match.name in row_of], _ANSWERS
    )


def _answer(match: Match, row: dict[str, Any], begins: float) -> dict[str, Any]:
    """Fingerprints count from the first note, of which either file has its second."""
    return row | {
        "relation": "performance" if match.same_performance else "piece",
        "transposition": match.transposition,
        "tempo": 1 / match.scale,
        "covered": match.covered,
        "hits": match.hits,
        "start": row["begins"] + match.file_ms[0] / 1000,
        "end": row["begins"] + match.file_ms[1] / 1000,
        "query_start": begins + match.query_ms[0] / 1000,
        "query_end": begins + match.query_ms[1] / 1000,
    }


def _first_note(performance: Performance) -> float:
    return float(performance.onset_seconds.min()) if len(performance) else 0.0


def _fingerprints(tables: Tables, ids: Sequence[str]) -> Iterator[Indexed]:
    """What the index wants of these files, in their order, some of them in memory at a time."""
    for block in blocks(ids, _FILES_AT_ONCE):
        rows = tables.rows(FILES, ["id", "sha256", "fingerprint"], one_of("id", block)).sort_by("id")
        for row in rows.to_pylist():
            yield row["id"], row["sha256"], Fingerprint.from_bytes(row["fingerprint"])


def _build(tables: Tables, ids: Sequence[str], folder: Path) -> None:
    folder.parent.mkdir(exist_ok=True)
    ours = folder.with_name(f"{folder.name}.{os.getpid()}")
    PassageIndex.build(_fingerprints(tables, ids), ours)
    try:
        ours.rename(folder)
    except OSError:  # another process was faster
        shutil.rmtree(ours)
    oldest_first = sorted(folder.parent.iterdir(), key=lambda path: path.stat().st_mtime)
    for old in oldest_first[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
