"""How long a passage human pieces share with works that are not theirs: the table that originality is judged by.

    python -m benchmarks.library.chance STORE --table partimento/library/originality/chance.csv -o PAGE.md

STORE is a note store whose files know their pieces (`partimento store CORPUS --selection pretrain`). All its files are
indexed. Of each length, stretches of files drawn with a fixed seed (each file once, before any is drawn twice) are
looked up, with the files of the same piece left out. Files that are shorter count as they are.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import Program, publish, table
from partimento.corpus.duplicates.copies import copies
from partimento.corpus.duplicates.fingerprints import fingerprint
from partimento.corpus.duplicates.index import PassageIndex
from partimento.corpus.store.note_store import NoteStore
from partimento.library.originality.chance import Chance
from partimento.tokens.notes import Notes

LENGTHS = (15, 45, 120, 300)
FEWEST_NOTES = 20


def stretch(notes: Notes, seconds: float, rng: np.random.Generator) -> Notes:
    """So many seconds from somewhere."""
    begin = rng.integers(0, max(0, int(notes.onset_ms[-1]) - 1000 * seconds) + 1)
    return notes.slice(*np.searchsorted(notes.onset_ms, [begin, begin + 1000 * seconds]))


def longest(notes: Notes, index: PassageIndex, without: Sequence[int]) -> int:
    """Notes of different passages in the longest stretch."""
    return max((copy.different for copy in copies(notes, index, without=without)), default=0)


def main(words: Sequence[str] | None = None) -> None:
    parser = Program(__file__, __doc__, quick="{store} --windows 8")
    parser.add_argument("store", type=Path)
    parser.add_argument("--windows", type=int, default=2000)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args(words)
    store, rng = NoteStore(options.store), np.random.default_rng(16)
    found: dict[int, np.ndarray] = {}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        every = ((file.name, file.sha256, fingerprint(store.notes(n))) for n, file in enumerate(store.files))
        index = PassageIndex.build(every, Path(folder) / "index")
        able = np.flatnonzero(store.counts >= FEWEST_NOTES)
        for seconds in LENGTHS:
            values, begun = [], time.process_time()
            order = np.concatenate([rng.permutation(able) for _ in range(1 + options.windows // len(able))])
            for file in order.tolist():
                notes = stretch(store.notes(file), seconds, rng)
                if len(notes) >= FEWEST_NOTES:
                    own = np.flatnonzero(store.pieces == store.pieces[file])
                    values.append(longest(notes, index, own.tolist()))
                if len(values) == options.windows:
                    break
            spent = 1000 * (time.process_time() - begun) / len(values)
            found[seconds] = np.sort(np.array(values))
            ranks = [np.quantile(values, q, method="higher") for q in (0.5, 0.9, 0.99, 0.999, 1)]
            rows.append((seconds, len(values), *ranks, f"{spent:.1f}"))
    if options.table:
        Chance(longest=found).write(options.table)
    head = ["seconds", "stretches", "median", "90 %", "99 %", "99.9 %", "most", "ms each"]
    publish(
        options,
        "Passages that people share by chance",
        f"{len(store):,} files, {int(store.counts.sum()):,} notes. Notes of different passages in the longest stretch "
        "that goes along with another work; 0: fewer than 20.",
        table(head, rows),
    )


if __name__ == "__main__":
    main()
