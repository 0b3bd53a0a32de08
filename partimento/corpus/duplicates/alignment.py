"""Shared passages of two files -> how the one lies on the other in time, and what that makes of them.

Knows hits: a passage of a query that also stands in a file, both with their times. All hits of one file under one
transposition are judged together, by two measures: the line t' = scale * t + shift that most of them lie on, in which
one step is allowed, and the runs in which they advance in both files at comparable tempi. Another performance of a
piece runs along but leaves every line, since nobody plays with the same rubato twice. docs/fingerprints.md states the
rules, and benchmarks/corpus/duplicates.md what they find and confuse. It refuses to know where hits come from.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

VERSION: Final = 2
"""Of this rule: groups that were found by another are found anew."""

UNRELATED: Final = 0
SAME_PIECE: Final = 1
SAME_PERFORMANCE: Final = 2

STEEPEST: Final = 1.52
LINE_MS: Final = 60.0
LINE_HITS: Final = 5
LINE_SHARE: Final = 0.85
LINE_COVERED: Final = 0.3
LINE_DENSITY: Final = 0.06
CLOSE_MS: Final = 24.0
LONG_HITS: Final = 200
RUN_HITS: Final = 4
RUN_GAP_MS: Final = 15_000
RUBATO: Final = 2.0
PIECE_HITS: Final = 8
PIECE_COVERED: Final = 0.25
CELL_MS: Final = 10_000
FEWEST_HITS: Final = 4
"""Files that share fewer passages in one transposition are not looked at."""
MOST_CANDIDATES: Final = 64
"""Of a query's (file, transposition) pairs as many are judged, those with the most hits first."""

MATCH: Final = np.dtype(
    [
        ("file", np.int32),
        ("transposition", np.int16),
        ("relation", np.int16),
        ("scale", np.float64),
        ("shift_ms", np.float64),
        ("line_hits", np.int32),
        ("line_covered", np.float32),
        ("run_hits", np.int32),
        ("run_covered", np.float32),
        ("query_first_ms", np.int64),
        ("query_last_ms", np.int64),
        ("file_first_ms", np.int64),
        ("file_last_ms", np.int64),
    ]
)
"""One file under one transposition: the semitones it stands above the query; the line from the query's time to the
file's; hits are counted in different passages; the spans reach from the first hit of the line, or where that is not
the same performance, of the runs, to the last."""

_SCALES: Final = np.exp(np.arange(-105, 106) * 0.004)
_FINER: Final = np.exp(np.arange(-4, 5) * 0.0005)
_TOLERANCES: Final = np.array([400.0, 400.0, 400.0, 200.0, 100.0, LINE_MS, LINE_MS])
_MOST_VOTERS: Final = 4000
_LOOK_BACK: Final = 64


@njit(cache=True)
def cells(onset_ms):
    """How many `CELL_MS` cells of time hold a passage, for passages in order of their chords.

    Passages at 0, 4,000, 12,000 and 25,000 ms -> 3.
    """
    count = 0
    last = np.int64(-1)
    for onset in onset_ms:
        cell = np.int64(onset) // CELL_MS
        count += cell != last
        last = cell
    return count


@njit(cache=True)
def candidates(file, transposition):
    """Hits -> their order by (file, transposition), and where in it the groups to judge begin and end.

    Of each file only the transposition with the most hits is a group: the others are its own sequences and echoes.
    Groups come with the most hits first, at most `MOST_CANDIDATES` of them; inside a group hits stay in order.
    Four hits of file 7, five of file 3 and one more of file 7 in another key -> order [4 5 6 7 8 0 1 2 3 9], begins
    [0 5], ends [5 9].
    """
    key = np.empty(len(file), np.int64)
    for i in range(len(file)):
        key[i] = np.int64(file[i]) * 256 + transposition[i] + 128
    order = np.argsort(key, kind="mergesort")
    begin = np.empty(len(file) // FEWEST_HITS + 1, np.int64)
    length = np.empty(len(begin), np.int64)
    n = 0
    first = 0
    for i in range(1, len(file) + 1):
        if i < len(file) and key[order[i]] == key[order[first]]:
            continue
        if i - first >= FEWEST_HITS:
            if n == 0 or file[order[begin[n - 1]]] != file[order[first]]:
                n += 1
                length[n - 1] = 0
            if i - first > length[n - 1]:
                begin[n - 1] = first
                length[n - 1] = i - first
        first = i
    ranked = np.argsort(-length[:n], kind="mergesort")[:MOST_CANDIDATES]
    return order, begin[ranked], begin[ranked] + length[ranked]


@njit(cache=True)
def matches(passage, file, transposition, query_ms, file_ms, query_cells, query_size, cells_of, sizes, one_performance):
    """The `MATCH` of every file related to the query, those with the most hits first.

    Hits, one in each place of the columns, in order of query_ms: passage uint32 [n] (the hash), file, transposition
    int64 [n] (the file's semitones above the query), query_ms, file_ms int64 [n], when the passage begins in either.
    query_cells, query_size: the query's `cells` and kept passages; cells_of, sizes int64: those of each file. With
    `one_performance` the first file that is the same performance ends the search and is the last match.
    """
    order, begins, ends = candidates(file, transposition)
    found = np.zeros(len(begins), MATCH)
    n = 0
    for c in range(len(begins)):
        mine = order[begins[c] : ends[c]]
        out = found[n]
        other = file[mine[0]]
        out["file"] = other
        out["transposition"] = transposition[mine[0]]
        size = min(query_size, sizes[other])
        _judge(passage[mine], query_ms[mine], file_ms[mine], query_cells, cells_of[other], size, out)
        n += out["relation"] != UNRELATED
        if one_performance and out["relation"] == SAME_PERFORMANCE:
            break
    return found[:n]


@njit(cache=True)
def _judge(passage, query_ms, file_ms, query_cells, file_cells, size, out):
    """Write into the record `out` how the hits of one (file, transposition) lie; `size`: passages of the smaller."""
    scale, shift, on_line = _line(query_ms, file_ms)
    step = shift
    in_run = _runs(query_ms, file_ms)
    out["scale"] = scale
    out["shift_ms"] = shift
    out["line_hits"] = _different(passage, on_line)
    out["run_hits"] = _different(passage, in_run)
    if out["line_hits"] < LINE_SHARE * out["run_hits"]:
        on_line, step = _broken_line(query_ms, file_ms, scale, shift, on_line, in_run)
        out["line_hits"] = _different(passage, on_line)
    out["line_covered"] = _covered(query_ms, file_ms, on_line, query_cells, file_cells)
    out["run_covered"] = _covered(query_ms, file_ms, in_run, query_cells, file_cells)
    if (
        out["line_hits"] >= LINE_HITS
        and out["line_hits"] >= LINE_SHARE * out["run_hits"]
        and out["line_covered"] >= LINE_COVERED
        and on_line.sum() >= LINE_DENSITY * size
        and (out["line_hits"] >= LONG_HITS or _distance(query_ms, file_ms, scale, shift, step, on_line) <= CLOSE_MS)
    ):
        out["relation"] = SAME_PERFORMANCE
    elif out["run_hits"] >= PIECE_HITS and out["run_covered"] >= PIECE_COVERED:
        out["relation"] = SAME_PIECE
    else:
        out["relation"] = UNRELATED
    _spans(query_ms, file_ms, on_line if out["relation"] == SAME_PERFORMANCE else in_run, out)


@njit(cache=True)
def _line(query_ms, file_ms):
    """The line most hits lie on, and which: two votes over scale and level, then least squares, ever narrower."""
    middle = np.float64(query_ms[len(query_ms) // 2])
    reach = STEEPEST * 1.02 * max(middle - query_ms[0], query_ms[-1] - middle)
    scale, level = _vote(query_ms - middle, file_ms, _SCALES, file_ms.min() - reach, file_ms.max() + reach, 250.0)
    scale, level = _vote(query_ms - middle, file_ms, scale * _FINER, level - 1000, level + 1000, 100.0)
    near = np.zeros(len(query_ms), np.bool_)
    for tolerance in _TOLERANCES:
        n = 0
        mean_x = mean_y = 0.0
        for i in range(len(query_ms)):
            near[i] = abs(file_ms[i] - scale * (query_ms[i] - middle) - level) <= tolerance
            if near[i]:
                n += 1
                mean_x += query_ms[i] - middle
                mean_y += file_ms[i]
        if n < 2:
            break
        mean_x /= n
        mean_y /= n
        xx = xy = 0.0
        for i in range(len(query_ms)):
            if near[i]:
                xx += (query_ms[i] - middle - mean_x) ** 2
                xy += (query_ms[i] - middle - mean_x) * (file_ms[i] - mean_y)
        if xx > 0:
            scale = min(max(xy / xx, 1 / STEEPEST), STEEPEST)
            level = mean_y - scale * mean_x
    shift = level - scale * middle
    for i in range(len(query_ms)):
        near[i] = abs(file_ms[i] - scale * query_ms[i] - shift) <= LINE_MS
    return scale, shift, near


@njit(cache=True)
def _vote(query_ms, file_ms, scales, lowest, highest, bin_ms):
    """The scale, and the file's time at the query's 0 (its level, from lowest to highest), most hits agree on."""
    stride = (len(query_ms) + _MOST_VOTERS - 1) // _MOST_VOTERS
    bins = np.zeros(int((highest - lowest) / bin_ms) + 3, np.int32)
    chosen = np.empty(len(query_ms), np.int64)
    most, best_scale, best_level = -1, 1.0, 0.0
    for scale in scales:
        n = 0
        for i in range(0, len(query_ms), stride):
            level = file_ms[i] - scale * query_ms[i]
            if not lowest <= level < highest:
                continue
            k = int((level - lowest) / bin_ms) + 1
            bins[k] += 1
            chosen[n] = k
            n += 1
            # Two neighbours together, as a line may run along the border between them.
            upper = k + 1 if bins[k + 1] > bins[k - 1] else k
            votes = bins[upper] + bins[upper - 1]
            if votes > most:
                most, best_scale, best_level = votes, scale, lowest + (upper - 1) * bin_ms
        for i in range(n):
            bins[chosen[i]] = 0
    return best_scale, best_level


@njit(cache=True)
def _broken_line(query_ms, file_ms, scale, shift, on_line, in_run):
    """The line with one step in it, where silence was put in or cut out: which hits lie on it, and its second shift."""
    rest = in_run & ~on_line
    if rest.sum() < 2:
        return on_line, shift
    level = file_ms[rest] - scale * query_ms[rest]
    origin = np.zeros(len(level))
    _, step = _vote(origin, level, np.ones(1), level.min(), level.max() + 1, 200.0)
    for tolerance in (400.0, 200.0, LINE_MS, LINE_MS):
        near = level[np.abs(level - step) <= tolerance]
        step = near.mean() if len(near) else step
    other = np.abs(file_ms - scale * query_ms - step) <= LINE_MS
    best = on_line
    for early, late in ((on_line, other), (other, on_line)):
        count = late.sum()
        most, at = count, 0
        for i in range(len(early)):
            count += np.int64(early[i]) - np.int64(late[i])
            if count > most:
                most, at = count, i + 1
        if most > best.sum():
            best = np.concatenate((early[:at], late[at:]))
    return best, step


@njit(cache=True)
def _distance(query_ms, file_ms, scale, shift, step, on_line):
    """How far the hits lie off the line, of either shift the nearer: root mean square, in the mean of both times."""
    total = 0.0
    for i in range(len(query_ms)):
        if on_line[i]:
            level = file_ms[i] - scale * query_ms[i]
            total += min(abs(level - shift), abs(level - step)) ** 2
    return np.sqrt(total / on_line.sum() / scale)


@njit(cache=True)
def _runs(query_ms, file_ms):
    """Which hits stand in a run: the longest chain through each, forth and back."""
    n = len(query_ms)
    behind = np.ones(n, np.int32)
    ahead = np.ones(n, np.int32)
    for i in range(n):
        for j in range(i - 1, max(-1, i - 1 - _LOOK_BACK), -1):
            if query_ms[i] - query_ms[j] > RUN_GAP_MS:
                break
            if behind[j] >= behind[i] and _follows(query_ms[j], file_ms[j], query_ms[i], file_ms[i]):
                behind[i] = behind[j] + 1
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, min(n, i + 1 + _LOOK_BACK)):
            if query_ms[j] - query_ms[i] > RUN_GAP_MS:
                break
            if ahead[j] >= ahead[i] and _follows(query_ms[i], file_ms[i], query_ms[j], file_ms[j]):
                ahead[i] = ahead[j] + 1
    return behind + ahead - 1 >= RUN_HITS


@njit(cache=True)
def _follows(query_a, file_a, query_b, file_b):
    """Whether b comes after a in both, at tempi that are comparable."""
    in_query = query_b - query_a
    in_file = file_b - file_a
    return in_query > 0 and in_file > 0 and in_file <= RUBATO * in_query and in_query <= RUBATO * in_file


@njit(cache=True)
def _different(passage, chosen):
    """How many different passages the chosen hits are: a pattern that repeats all along counts once."""
    mine = np.sort(passage[chosen])
    count = 0
    for i in range(len(mine)):
        count += i == 0 or mine[i] != mine[i - 1]
    return count


@njit(cache=True)
def _covered(query_ms, file_ms, chosen, query_cells, file_cells):
    """The share of cells with a chosen hit, in whichever of the two files it is larger."""
    in_query = np.zeros(query_ms[-1] // CELL_MS + 1, np.bool_)
    in_file = np.zeros(file_ms.max() // CELL_MS + 1, np.bool_)
    for i in range(len(query_ms)):
        if chosen[i]:
            in_query[query_ms[i] // CELL_MS] = True
            in_file[file_ms[i] // CELL_MS] = True
    return max(in_query.sum() / query_cells, in_file.sum() / file_cells)


@njit(cache=True)
def _spans(query_ms, file_ms, chosen, out):
    first = last = -1
    low = high = np.int64(0)
    for i in range(len(query_ms)):
        if chosen[i]:
            low = min(low, file_ms[i]) if first >= 0 else file_ms[i]
            high = max(high, file_ms[i]) if first >= 0 else file_ms[i]
            first = i if first < 0 else first
            last = i
    out["query_first_ms"] = query_ms[first] if first >= 0 else 0
    out["query_last_ms"] = query_ms[last] if first >= 0 else 0
    out["file_first_ms"] = low
    out["file_last_ms"] = high
