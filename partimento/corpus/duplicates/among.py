"""A query beside some files by their fingerprints, without an index: the second stage of a search in two.

Knows how to find the passages that a query shares with files at hand. Refuses to know how these files were chosen (by
their vectors, say), and how shared passages are judged (`alignment`). Of thousands of files a `PassageIndex` finds the
same faster.

    >>> matches_among(fingerprint(notes), near, names=["a.mid", "b.mid"])  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from partimento.corpus.duplicates import alignment
from partimento.corpus.duplicates.fingerprints import Fingerprint
from partimento.corpus.duplicates.index import Match, ranked


def matches_among(query: Fingerprint, files: Sequence[Fingerprint], names: Sequence[str]) -> list[Match]:
    """Those of the files, which have these names, that are the same performance as the query or play the same piece.

    As `PassageIndex.query` answers: the same performances first, each with most hits first; `file` is the place among
    the files. At most `alignment.MOST_CANDIDATES` files are judged, those that share most passages.
    """
    if not len(query) or not any(map(len, files)):
        return []
    sizes = np.array([len(file) for file in files], np.int64)
    hashes, onset, pitch = (
        np.concatenate([getattr(file, name) for file in files]) for name in ("hash", "onset_ms", "pitch")
    )
    order = np.argsort(query.hash, kind="stable")
    first, last = (np.searchsorted(query.hash[order], hashes, side) for side in ("left", "right"))
    place = np.repeat(np.arange(len(hashes)), last - first)
    within = np.arange(len(place)) - np.repeat(np.cumsum(last - first) - (last - first), last - first)
    passage = order[first[place] + within]
    # As the index gives them: in the order of the query's passages, and those of one in the order of files.
    by_query = np.argsort(passage, kind="stable")
    passage, place = passage[by_query], place[by_query]
    found = alignment.matches(
        query.hash[passage],
        np.repeat(np.arange(len(files)), sizes)[place],
        pitch[place].astype(np.int64) - query.pitch[passage],
        query.onset_ms[passage].astype(np.int64),
        onset[place].astype(np.int64),
        alignment.cells(query.onset_ms),
        len(query),
        np.array([alignment.cells(file.onset_ms) for file in files], np.int64),
        sizes,
        False,
    )
    return ranked(found, names)
