"""Music and an index of passages -> the stretches of it that stand in files of the index.

Knows where a stretch begins and ends in both, in which key and how fast. It refuses to know whether that is much:
people share stretches too (`partimento.library.originality` says how long ones).

An index keeps two passages in nine, so all passages of the music are looked up; and since the notes of a chord are told
from those of a run by time alone, they are looked up as if played at several tempi, which finds what was re-timed or
played less evenly.

    >>> copies(notes, PassageIndex("index"))[0]     # doctest: +SKIP
    Copy(name="bach/prelude.mid", transposition=2, tempo=1.1, first_note=40, last_note=131, ...)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from partimento.corpus.duplicates.alignment import CLOSE_MS
from partimento.corpus.duplicates.chains import chains
from partimento.corpus.duplicates.fingerprints import PASSAGE_NOTES, Fingerprint, passages
from partimento.corpus.duplicates.index import PassageIndex
from partimento.tokens.notes import Notes

FEWEST: Final = 20
"""A stretch with fewer different notes than this is not told of."""
MOST_FILES: Final = 256
"""Of so many files, those that go along longest, the stretches are looked at."""
TEMPI: Final = (0.6, 0.7, 0.8, 0.9, 1.0, 1.12, 1.25, 1.4, 1.6)
_MEASURED: Final = 4
"""Fewer moments than this in common do not tell two performances apart."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Copy:
    """Notes `first_note` to `last_note` - 1 of some music, which go along with a file, but for changes in between.

    The music stands `transposition` semitones above the file and is `tempo` times as fast. Both have `notes` of the
    stretch, `different` of them where a passage that returns counts once (whoever repeats a figure goes along with
    everybody who does), and `alone` are notes that only one of the two has. `query_ms` and `file_ms` are where the
    stretch begins and where its last note does, in the music and in the file. `anchors` int64 [k, 2]: moments of both;
    `passages` uint32: the hashes of what is shared.

    An index knows passages only: then `notes` are those that shared passages cover, and the others of the music count
    as `alone`. `note_by_note.compared` says it exactly, and which notes are one another's: `pairs` int64 [n, 2].
    """

    file: int
    name: str
    transposition: int
    tempo: float
    first_note: int
    last_note: int
    notes: int
    different: int
    alone: int
    query_ms: tuple[int, int]
    file_ms: tuple[int, int]
    anchors: npt.NDArray[np.int64]
    passages: npt.NDArray[np.uint32]
    pairs: npt.NDArray[np.int64] = dataclasses.field(default_factory=lambda: np.empty((0, 2), np.int64))

    @property
    def score(self) -> int:
        """What tells of copying: the different notes that both have, less those that only one has."""
        return self.different - self.alone

    @property
    def seconds(self) -> float:
        """From the first onset to the last, in the music."""
        return (self.query_ms[1] - self.query_ms[0]) / 1000

    def same_performance(self, other: Copy) -> bool:
        """Whether the two files are one performance there, as far as the moments tell that both share with it."""
        _, mine, theirs = np.intersect1d(self.anchors[:, 0], other.anchors[:, 0], return_indices=True)
        if len(mine) < _MEASURED:
            return True
        here, there = self.anchors[mine, 1], other.anchors[theirs, 1]
        error = there - np.polyval(np.polyfit(here, there, 1), here) if np.ptp(here) else np.zeros(1)
        return bool(np.sqrt(np.mean(error**2)) <= CLOSE_MS)


def copies(notes: Notes, index: PassageIndex, *, without: Collection[int] = (), fewest: int = FEWEST) -> list[Copy]:
    """Of each file that goes along with the music its longest stretch, those with most different notes first.

    Stretches whose different passages cover less than `fewest` notes are not told of. Files whose numbers are in
    `without` are left out.
    """
    passage, file, transposition, note, query_ms, file_ms = _hits(notes, index, without)
    covered, before = chains(file, transposition, note, query_ms, file_ms)
    ends = _longest_of_each_file(file, covered)
    found = []
    for end in ends[covered[ends] >= fewest]:
        chain = _chain(int(end), before)
        steps = np.append(PASSAGE_NOTES, np.minimum(np.diff(note[chain]), PASSAGE_NOTES))
        _, once = np.unique(passage[chain], return_index=True)
        different = int(steps[once].sum())
        if different < fewest:
            continue
        first, last = int(chain[0]), int(chain[-1])
        last_note = min(int(note[last]) + PASSAGE_NOTES, len(notes))
        played = int(query_ms[last] - query_ms[first])
        tempo = float(file_ms[last] - file_ms[first]) / played if played else 1.0
        rest = int(notes.onset_ms[last_note - 1] - query_ms[last])
        found.append(
            Copy(
                file=int(file[last]),
                name=index.names[file[last]],
                transposition=-int(transposition[last]),
                tempo=tempo,
                first_note=int(note[first]),
                last_note=last_note,
                notes=int(covered[end]),
                different=different,
                alone=last_note - int(note[first]) - int(covered[end]),
                query_ms=(int(query_ms[first]), int(query_ms[last]) + rest),
                file_ms=(int(file_ms[first]), int(file_ms[last] + round(rest * tempo))),
                anchors=np.stack([query_ms[chain], file_ms[chain]], axis=1),
                passages=passage[chain],
            )
        )
    return sorted(found, key=lambda copy: (-copy.different, copy.file))


def sought(notes: Notes) -> npt.NDArray[np.uint32]:
    """The hashes by which an index is asked for these notes, sorted."""
    return np.unique(np.concatenate([each.hash for each in _asked(notes)]))


def _asked(notes: Notes) -> list[Fingerprint]:
    return [passages(notes, slower) for slower in TEMPI]


def _hits(notes: Notes, index: PassageIndex, without: Collection[int]) -> tuple[npt.NDArray, ...]:
    """Passage, file, transposition, note of the query, and times in both, as `chains` wants them, each hit once."""
    asked = _asked(notes)
    found = [index.hits(each) for each in asked]
    note = np.concatenate([each.note[hits[0]].astype(np.int64) for each, hits in zip(asked, found, strict=True)])
    hashed, file, transposition, query_ms, file_ms = (
        np.concatenate(column) for column in list(zip(*found, strict=True))[1:]
    )
    order = np.lexsort((file_ms, note, transposition, file))
    key = np.stack([file, transposition, note, file_ms])[:, order]
    kept = np.append(np.ones(min(1, len(order)), np.bool_), np.any(key[:, 1:] != key[:, :-1], axis=0))
    kept &= ~np.isin(key[0], list(without))
    order = order[kept]
    return hashed[order], file[order], transposition[order], note[order], query_ms[order], file_ms[order]


def _longest_of_each_file(file: npt.NDArray[np.int64], covered: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The hit of each file where most notes are covered, for `MOST_FILES` files."""
    order = np.lexsort((-covered, file))
    _, at = np.unique(file[order], return_index=True)
    best = order[at]
    return best[np.argsort(-covered[best], kind="stable")[:MOST_FILES]]


def _chain(end: int, before: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    chain = [end]
    while before[chain[-1]] >= 0:
        chain.append(int(before[chain[-1]]))
    return np.array(chain[::-1])
