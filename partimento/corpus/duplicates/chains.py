"""Shared passages of a query and a file -> the stretch in which they follow each other in both.

Knows hits, as `alignment` does, but asks another question of them: not whether two files are the same, but how long one
of them goes along with the other. A stretch goes on over some changed, lost or added notes; it ends where more than
`FURTHEST` notes hold nothing that is shared, or where one file waits and the other does not. It refuses to know where
hits come from, and what a length means (docs/originality.md).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

from partimento.corpus.duplicates.fingerprints import PASSAGE_NOTES

FURTHEST: Final = 64
"""Notes from the beginning of one shared passage to that of the next, at most: one changed note spoils the ten passages
that hold it, and of eight in a row one may be all that an index keeps."""
RUBATO: Final = 1.5
"""From one passage to the next the tempi of the two files may differ by this factor."""
SLACK_MS: Final = 60
"""And this is added, as single onsets are uneven."""
_LOOK_BACK: Final = 200


@njit(cache=True)
def chains(file, transposition, note, query_ms, file_ms):
    """Of each hit how many notes the stretch that ends there covers, and the hit before it (-1: it begins there).

    Hits: file, transposition, note (the query's, with which the passage begins), query_ms, file_ms int64 [n]; those of
    one file and transposition stand together, in order of note. Three hits on notes 0, 5 and 30 that are 1 s apart in
    both -> ([10, 15, 25], [-1, 0, 1]).
    """
    covered = np.full(len(file), PASSAGE_NOTES)
    before = np.full(len(file), -1)
    for i in range(len(file)):
        for j in range(i - 1, max(-1, i - 1 - _LOOK_BACK), -1):
            if file[j] != file[i] or transposition[j] != transposition[i] or note[i] - note[j] > FURTHEST:
                break
            in_query, in_file = query_ms[i] - query_ms[j], file_ms[i] - file_ms[j]
            if in_file < 0 or in_file > RUBATO * in_query + SLACK_MS or in_query > RUBATO * in_file + SLACK_MS:
                continue
            grown = covered[j] + min(note[i] - note[j], PASSAGE_NOTES)
            if grown > covered[i]:
                covered[i], before[i] = grown, j
    return covered, before
