"""Sequences in which what follows a gap stands before what leads up to it, so that one model continues and fills.

    plain      prefix <S> before gap after <E>
    arranged   prefix <S> <X> after <X> before gap <E>

Knows how such a sequence is built, for training out of any window of tokens and for generation around a given gap. It
refuses to know notes and models; what may follow what is the grammar's. docs/infilling.md explains the sequence.

    >>> rng = np.random.default_rng(0)
    >>> window = Infilling(vocabulary, share=0.5)(window, rng)     # doctest: +SKIP
    >>> tokens = arrange_hole(before, after, vocabulary)           # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from numba import njit

from partimento.errors import UserError
from partimento.midi.instruments import INSTRUMENTS
from partimento.tokens.vocabulary import GRID_MS, SEGMENT_MS, Kind, Vocabulary

Ids = npt.NDArray[np.int32]

LONGEST_EXCERPT_MS: Final = 20 * SEGMENT_MS
"""A model has to count segments to know how far away `after` is; beyond these it would lose count."""

LEAST_EVENTS: Final = 16
"""What a window has less of, of one file, is not worth arranging."""

_STEPS = SEGMENT_MS // GRID_MS  # places on the grid within a segment


class Infilling:
    """Rearranges a `share` of the windows of a packed stream that it is shown; the rest comes back as it is.

    A callable (tokens int32 [W], generator) -> tokens int32 [W], as loaders take it. Raises `UserError` for a
    vocabulary without <X>.

    The window is cut into excerpts, each of which is one sequence, as docs/infilling.md says. A note belongs where it
    begins: it may sound on into the part after it. Events that do not fit any more are left out, incomplete ones at the
    window's edges too, and <P> fills what remains. A window without 16 events (`LEAST_EVENTS`) of one file comes back
    as it is.
    """

    def __init__(self, vocabulary: Vocabulary, *, share: float) -> None:
        if not 0 <= share <= 1:
            raise UserError(f"the share of rearranged windows must lie in 0..1, not {share}")
        self.share = share
        self._columns = (vocabulary.kind_of, vocabulary.ms_of, vocabulary.instrument_of)
        self._prefix_of = np.full(len(INSTRUMENTS), -1, np.int32)
        for i in vocabulary.instruments:
            self._prefix_of[i] = vocabulary.prefix("instrument", INSTRUMENTS[i])
        self._onset = vocabulary.onset[0]
        self._specials = np.array(
            [vocabulary.start, vocabulary.end, vocabulary.pad, vocabulary.segment, delimiter_of(vocabulary)], np.int32
        )

    def __call__(self, tokens: Ids, rng: np.random.Generator) -> Ids:
        """The window, arranged or not; the generator decides which, and where the gaps end."""
        if rng.random() >= self.share:
            return tokens
        ends = rng.random(len(tokens) // LEAST_EVENTS + 1)
        return _rearrange(
            np.asarray(tokens, np.int32), *self._columns, self._prefix_of, self._specials, self._onset, ends
        )


def arrange_hole(
    before: Sequence[int], after: Sequence[int], vocabulary: Vocabulary, *, closed: bool = False
) -> list[int]:
    """The tokens after which a model fills the gap between `before` (prefix, <S> and events) and `after` (events).

    Both are on one clock: each begins with a <T> for each segment that ends before its first event. With `closed`,
    `before` includes what fills the gap, and the <T> and <E> that are due at the end are added.
    """
    delimiter, segment = delimiter_of(vocabulary), vocabulary.segment
    body = list(before).index(vocabulary.start) + 1
    tokens = [*before[:body], delimiter, *after, delimiter, *before[body:]]
    if closed:
        lead = next((i for i, token in enumerate(after) if token != segment), len(after))
        tokens += [segment] * (lead - list(before).count(segment)) + [vocabulary.end]
    return tokens


def delimiter_of(vocabulary: Vocabulary) -> int:
    """Id of <X>; raises `UserError` if the vocabulary has none, since nothing can be filled then."""
    if vocabulary.delimiter is None:
        raise UserError("the vocabulary has no <X>, without which no gap can be filled; take the piano vocabulary")
    return vocabulary.delimiter


_NOTE, _DRUM, _ONSET, _DURATION = int(Kind.NOTE), int(Kind.DRUM), int(Kind.ONSET), int(Kind.DURATION)
_PEDAL_ON, _PEDAL_OFF, _SEGMENT = int(Kind.PEDAL_ON), int(Kind.PEDAL_OFF), int(Kind.SEGMENT)
_START, _END = int(Kind.START), int(Kind.END)


@njit(cache=True)
def _events(tokens, kind_of, ms_of):
    """Complete events: head, duration token (-1: none), place on the grid from the clock's start, number of the
    file.
    """
    n = len(tokens)
    heads = np.empty(n // 2 + 1, np.int32)
    durations = np.empty(n // 2 + 1, np.int32)
    when = np.empty(n // 2 + 1, np.int64)
    file = np.empty(n // 2 + 1, np.int64)
    size, number, clock = 0, 0, 0
    head, onset = -1, -1
    for token in tokens:
        kind = kind_of[token]
        if kind == _NOTE or kind == _DRUM or kind == _PEDAL_ON or kind == _PEDAL_OFF:
            head, onset = token, -1
            continue
        if kind == _ONSET and head >= 0:
            onset = clock + ms_of[token] // GRID_MS
            if kind_of[head] == _NOTE:
                continue
            heads[size], durations[size], when[size], file[size] = head, -1, onset, number
            size += 1
        elif kind == _DURATION and onset >= 0:
            heads[size], durations[size], when[size], file[size] = head, token, onset, number
            size += 1
        elif kind == _SEGMENT:
            clock += _STEPS
        elif kind == _START or kind == _END:
            clock = 0
            number += 1
        head, onset = -1, -1
    return heads[:size], durations[:size], when[:size], file[:size]


@njit(cache=True)
def _write(out, size, heads, durations, when, first, last, origin, segment, onset_base):
    """Events first..last-1 on the clock of `origin`, behind a <T> for each segment; returns the new size."""
    clock = origin
    for i in range(first, last):
        while when[i] >= clock + _STEPS:
            out[size] = segment
            size += 1
            clock += _STEPS
        out[size] = heads[i]
        out[size + 1] = onset_base + when[i] - clock
        size += 2
        if durations[i] >= 0:
            out[size] = durations[i]
            size += 1
    return size


@njit(cache=True)
def _rearrange(tokens, kind_of, ms_of, instrument_of, prefix_of, specials, onset_base, ends):
    start, end, pad, segment, delimiter = specials
    heads, durations, when, file = _events(tokens, kind_of, ms_of)
    count = len(heads)
    out = np.full(len(tokens), pad, np.int32)
    named = np.zeros(len(prefix_of), np.bool_)
    size, first, number = 0, 0, 0
    while first < count:
        origin = when[first]
        named[:] = False
        room = len(tokens) - size - 4  # <S>, <X>, <X>, <E>
        last = first
        while last < count and file[last] == file[first] and (when[last] - origin) * GRID_MS < LONGEST_EXCERPT_MS:
            kind = kind_of[heads[last]]
            instrument = instrument_of[heads[last]]
            fresh = (kind == _NOTE or kind == _DRUM) and prefix_of[instrument] >= 0 and not named[instrument]
            room -= (2 if durations[last] < 0 else 3) + fresh
            # Each <T> is written at most twice: before `after` and in it, or before it and in the stream.
            if room < 2 * ((when[last] - origin) // _STEPS):
                break
            named[instrument] |= fresh
            last += 1
        if last == first:
            break
        if last - first >= LEAST_EVENTS and when[last - 1] > origin:
            goal = origin + 1 + np.int64(ends[number] * (when[last - 1] - origin))
            number += 1
            split = first + np.searchsorted(when[first:last], goal)
            for instrument in range(len(named)):
                if named[instrument]:
                    out[size] = prefix_of[instrument]
                    size += 1
            out[size], out[size + 1] = start, delimiter
            size = _write(out, size + 2, heads, durations, when, split, last, origin, segment, onset_base)
            out[size] = delimiter
            size = _write(out, size + 1, heads, durations, when, first, split, origin, segment, onset_base)
            due = (when[split] - origin) // _STEPS - (when[split - 1] - origin) // _STEPS
            out[size : size + due] = segment
            out[size + due] = end
            size += due + 1
        first = last
    return out if size else tokens
