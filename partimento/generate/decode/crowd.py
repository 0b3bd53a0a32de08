"""How many notes one player can begin at once, and what is left to say where that many have begun.

Knows what is given before and after, which heads are one player's or one key's, and so which tokens would overcrowd an
instant. Refuses to know probabilities and how a token is chosen. A player is an instrument; the foot on the pedal is
one of its own.

    crowd = Crowd(vocabulary, before, after)
    full_V = crowd.full(state, head, made, segment_ms=5000, end_ms=None)      # [V] what may not come next

Shape legend: V vocabulary, G places on the grid of 10 ms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain, takewhile
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from partimento.generate.prompt.events import Event
from partimento.tokens.grammar import Expect, State
from partimento.tokens.vocabulary import GRID_MS, SEGMENT_MS, Kind, Vocabulary

MOST_AT_ONCE: Final = 12
"""Notes of one player within `WITHIN_MS`: ten fingers, and two that the pedal holds while a hand has moved on. Of 250
transcribed performances (498,000 notes) three go beyond it anywhere, in seven places."""

MOST_OF_A_KEY: Final = 4
"""Of them on one key: none can be struck twice so fast, but files merge tracks that double each other."""

WITHIN_MS: Final = 50
"""Both ends count, so that notes that were rounded to the grid keep to it as they were played."""

_REACH = WITHIN_MS // GRID_MS
_FOOT = 255


class Crowd:
    """The rule for what comes between two sides, each in the order of time; the later one may be empty."""

    def __init__(self, vocabulary: Vocabulary, before: Sequence[Event], after: Sequence[Event]) -> None:
        self._vocabulary, self._before, self._after = vocabulary, before, after
        kinds = vocabulary.kind_of
        foot = np.isin(kinds, (Kind.PEDAL_ON, Kind.PEDAL_OFF))
        player_V = np.where(np.isin(kinds, (Kind.NOTE, Kind.DRUM)), vocabulary.instrument_of.astype(int), -1)
        self._player_V = np.where(foot, _FOOT, player_V)
        key_V = 128 * self._player_V + np.where(foot, kinds == Kind.PEDAL_ON, vocabulary.pitch_of)
        self._key_V = np.where(self._player_V < 0, -1, key_V)

    def full(
        self, state: State, head: int, made: Sequence[Event], *, segment_ms: int, end_ms: float
    ) -> NDArray[np.bool_]:
        """Tokens [V] with which too many events would begin at once, or behind which only such tokens could come.

        `head` is the latest one, `made` the new events in the order of time, `segment_ms` where the segment began. From
        `end_ms` on, and from where the gap ends, nothing is placed any more and so nothing is full.
        """
        v = self._vocabulary
        full_V = np.zeros(len(v), np.bool_)
        if state.expect not in (Expect.EVENT, Expect.NOTE_ONSET, Expect.LONE_ONSET):
            return full_V
        first, end = segment_ms + int(v.ms_of[state.onset]), segment_ms + SEGMENT_MS
        if state.gap_end is not None and state.segments == 0:
            end = segment_ms + int(v.ms_of[state.gap_end])
        end = min(end, math.ceil(min(end_ms, end) / GRID_MS) * GRID_MS)
        near = self._near(made, first, end)
        if len(near) < MOST_OF_A_KEY:
            return full_V
        count = max(0, end - first) // GRID_MS
        if state.expect is not Expect.EVENT:
            full_V[state.onset : state.onset + count] = self._places(head, near, first, count)
            return full_V
        for other in {int(self._key_V[event.head]): event.head for event in near}.values():
            if _full(self._begun(self._player_V, other, near), MOST_AT_ONCE, first, count).all():
                full_V |= self._player_V == self._player_V[other]
            elif self._places(other, near, first, count).all():
                full_V |= self._key_V == self._key_V[other]
        return full_V

    def _near(self, made: Sequence[Event], first: int, end: int) -> list[Event]:
        """What begins so shortly before `first` or behind `end` (ms) that it counts with what begins between them."""
        earlier = chain(reversed(made), reversed(self._before))
        near = list(takewhile(lambda event: event.ms >= first - WITHIN_MS, earlier))
        return near + list(takewhile(lambda event: event.ms < end + WITHIN_MS, self._after))

    def _places(self, head: int, near: Sequence[Event], first: int, count: int) -> NDArray[np.bool_]:
        """Places [G] from `first` on where one more event with this head would be too many."""
        player, key = self._begun(self._player_V, head, near), self._begun(self._key_V, head, near)
        return _full(player, MOST_AT_ONCE, first, count) | _full(key, MOST_OF_A_KEY, first, count)

    def _begun(self, who_V: NDArray[np.int_], head: int, near: Sequence[Event]) -> list[int]:
        return [event.ms for event in near if who_V[event.head] == who_V[head]]


def _full(begun: Sequence[int], most: int, first: int, count: int) -> NDArray[np.bool_]:
    """Places [G] that lie in a stretch of `WITHIN_MS` in which `most` have begun."""
    if len(begun) < most or not count:
        return np.zeros(count, np.bool_)
    place = (np.array(begun) - first) // GRID_MS + _REACH
    at_G = np.bincount(place[(place >= 0) & (place < count + 2 * _REACH)], minlength=count + 2 * _REACH)
    within_G = sliding_window_view(at_G, _REACH + 1).sum(axis=1)
    return np.asarray(sliding_window_view(within_G, _REACH + 1).max(axis=1) >= most)
