"""Sounding durations -> keys of playable length and a pedal, which sound the same.

Models that read the pedal folded into durations also write it so, and hands cannot hold what they write. Knows what a
pedal lift does (every key that is up falls silent at once) and what fingers do. So the pedal may be down only where no
other note has to end, and lifts stand where notes end; a note that ends anywhere else is held by its key. Refuses to
change what was given: keys and pedal of the notes beside stay as they are.

    played = pedalled(generated, beside=prompt)
    prompt.merge(played).write_midi("continued.mid")     # read back, every note ends within 10 ms of where it did
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from partimento.midi.instruments import INSTRUMENTS
from partimento.midi.performance import Performance

_MS: Final = 1_000_000
_PIANO: Final = INSTRUMENTS.index("piano")
TOLERANCE: Final = 10 * _MS
"""So far from where it ended a note may end (ns)."""
LEAST_UP: Final = 50 * _MS
"""So long (ns) the pedal stays up between two intervals: a player's foot, and a player piano's, needs that."""
_INSIDE: Final = 2 * _MS  # so far from the pedal's moves keys come up, whatever rounding a file brings
_COST: Final = 100 * _MS  # what an interval must at least spare the fingers
_WORTH: Final = 50 * _MS  # a key let go of less early than this is held to the end
_AHEAD: Final = 60 * _MS  # the pedal goes down so long before the first finger leaves
_CHORD: Final = 50 * _MS  # what begins within this is one chord
_REACH: Final = 12  # semitones: what lies nearer is played by the same hand
_LEGATO: Final = 40 * _MS  # a key comes up so long after the hand's next one went down
_SHORTEST: Final = 80 * _MS
_LONGEST: Final = 2000 * _MS
_REPEAT: Final = 60 * _MS  # a key comes up so long before it is struck again

Times = NDArray[np.int64]


def pedalled(music: Performance, *, beside: Performance) -> Performance:
    """`music`, whose durations sound, as it is played beside what was given, on the same clock: keys and pedal.

    Of each channel with a piano; other notes stay as they are. In `beside.merge(result)` every note of both sounds
    until it ended in `music` or `beside`, to 10 ms, or until its key is struck again before that. Only what ends under
    a pedal of `beside` lasts until that is lifted. Pedal intervals of `music` itself are dropped.
    """
    duration = music.duration.copy()
    pedals: list[tuple[int, int, int]] = []
    for channel in np.unique(music.channel[music.instrument == _PIANO]).tolist():
        mine, theirs = music.channel == channel, beside.channel == channel
        pedal = beside.pedal_channel == channel
        given = _Given(
            onset=beside.onset[theirs],
            pitch=beside.pitch[theirs],
            release=np.sort((beside.onset + beside.duration)[theirs]),
            pedal=tuple(zip(beside.pedal_down[pedal].tolist(), beside.pedal_up[pedal].tolist(), strict=True)),
        )
        onset = music.onset[mine]
        release, intervals = _play(onset, onset + music.duration[mine], music.pitch[mine], given)
        duration[mine] = release - onset
        pedals += [(down, up, channel) for down, up in intervals]
    pedals.sort()
    down, up, of_channel = np.array(pedals, np.int64).reshape(-1, 3).T.copy()
    return replace(music, duration=duration, pedal_down=down, pedal_up=up, pedal_channel=of_channel.astype(np.uint8))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Given:
    """What one channel already has: strikes, releases in order of time, and pedal intervals (ns)."""

    onset: Times
    pitch: NDArray[np.uint8]
    release: Times
    pedal: tuple[tuple[int, int], ...]


def _play(onset: Times, end: Times, pitch: NDArray[np.uint8], given: _Given) -> tuple[Times, list[tuple[int, int]]]:
    """Key releases and pedal intervals for notes of one channel that sound until `end`."""
    all_onsets, all_pitches = np.append(onset, given.onset), np.append(pitch, given.pitch).astype(np.int64)
    again, end = _strikes(all_onsets, all_pitches, end)
    for down, up in given.pedal:
        end = np.where((down < end) & (end < up), up, end)
    struck = again < end
    end = np.minimum(end, again)
    leave = _hand_moves_on(onset, pitch.astype(np.int64), all_onsets, all_pitches)
    leave = np.where(struck, np.minimum(leave, again - _REPEAT), leave)
    leave = np.maximum(leave, np.minimum(onset + _SHORTEST, end))
    intervals = _choose(end[~struck], leave[~struck], given)
    release = end.copy()
    pedal = sorted([*given.pedal, *intervals])
    downs, ups = [down for down, _ in pedal], [up for _, up in pedal]
    for i in range(len(onset)):
        ends, sooner = int(end[i]), int(leave[i])
        if struck[i]:
            k = bisect_left(downs, ends) - 1
            under = k >= 0 and ends <= ups[k]
        else:
            k = bisect_left(ups, ends - TOLERANCE)
            under = k < len(ups) and ups[k] <= ends + TOLERANCE
            under = under and (pedal[k] not in given.pedal or ups[k] == ends)
        if under:
            sooner = max(sooner, downs[k] + _INSIDE)
            if sooner < min(ends, ups[k]) - (_INSIDE if struck[i] else _WORTH):
                release[i] = sooner
    return release, intervals


def _strikes(onset: Times, pitch: Times, end: Times) -> tuple[Times, Times]:
    """For the first notes, those that `end` is of: when their key is next struck (the largest number where never), and
    when they end, given that notes which strike a key together end together.
    """
    again, joint = np.full(len(end), np.iinfo(np.int64).max), end.copy()
    for key in np.unique(pitch[: len(end)]):
        strikes = np.unique(onset[pitch == key])
        of_key = np.flatnonzero(pitch[: len(end)] == key)
        at = np.searchsorted(strikes, onset[of_key])
        again[of_key] = np.append(strikes[1:], np.iinfo(np.int64).max)[at]
        longest = np.zeros(len(strikes), np.int64)
        np.maximum.at(longest, at, end[of_key])
        joint[of_key] = longest[at]
    return again, joint


def _hand_moves_on(onset: Times, pitch: Times, all_onsets: Times, all_pitches: Times) -> Times:
    """When a finger leaves its key if the pedal holds the note: soon after its hand's next chord, or after a while."""
    order = np.argsort(all_onsets, kind="stable")
    onsets, pitches = all_onsets[order], all_pitches[order]
    leave = onset + _LONGEST
    first = np.searchsorted(onsets, onset + _CHORD)
    last = np.searchsorted(onsets, leave)
    for i in range(len(onset)):
        near = np.flatnonzero(np.abs(pitches[first[i] : last[i]] - pitch[i]) <= _REACH)
        if len(near):
            leave[i] = onsets[first[i] + near[0]] + _LEGATO
    return leave


def _choose(end: Times, leave: Times, given: _Given) -> list[tuple[int, int]]:
    """The pedal intervals (down, up) that spare the fingers most.

    Ends that lie within twice the tolerance can share a lift. An interval begins when no end stands between it and its
    lift, and the last one is over; so only lifts less than that apart depend on each other, and the best choice up to
    each lift is found from the best ones before it.
    """
    order = np.argsort(end, kind="stable")
    end, leave = end[order], leave[order]
    lifts = _lifts(end, given)
    ups = [lift.up for lift in lifts]
    best: list[
        tuple[int, int, int]
    ] = []  # for each lift: time spared up to it, its pedal going down, the lift before it
    best_so_far: list[int] = []
    for j, lift in enumerate(lifts):
        candidates = []
        apart = bisect_right(ups, lift.floor - LEAST_UP)
        if apart:
            candidates.append(best_so_far[apart - 1])
        near = [i for i in range(apart, j) if lifts[i].last < lift.first and best[i][1] >= 0]
        chosen = (-1, -1, -1)
        for before in [-1, *candidates, *near]:
            floor = lift.floor if before < 0 else max(lift.floor, ups[before] + LEAST_UP)
            spared, down = _spared(end, leave, lift, floor)
            total = spared + (best[before][0] if before >= 0 else 0)
            if spared > 0 and total > chosen[0]:
                chosen = (total, down, before)
        best.append(chosen)
        previous = best_so_far[-1] if j else -1
        best_so_far.append(j if previous < 0 or chosen[0] > best[previous][0] else previous)
    intervals = []
    at = best_so_far[-1] if lifts else -1
    while at >= 0 and best[at][1] >= 0:
        intervals.append((best[at][1], lifts[at].up))
        at = best[at][2]
    return intervals[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lift:
    """A moment at which the pedal can come up: for notes first..last (by end), down from `floor` on at the earliest."""

    up: int
    first: int
    last: int
    floor: int


def _lifts(end: Times, given: _Given) -> list[_Lift]:
    """All lifts worth thinking about, in order of time."""
    moments, begins = np.unique(end, return_index=True)
    stops = np.append(begins[1:], len(end))
    at = moments.tolist()
    found = []
    for a in range(len(at)):
        for b in range(a, len(at)):
            spread = at[b] - at[a]
            if spread > 2 * TOLERANCE:
                break
            up = at[b] if spread <= TOLERANCE else at[b] - -(-spread // (2 * _MS)) * _MS
            if b + 1 < len(at) and at[b + 1] <= up:
                continue
            floor = _floor(up, given)
            if floor is not None:
                floor = max(floor, at[a - 1] if a else 0)
                found.append(_Lift(up=up, first=int(begins[a]), last=int(stops[b]) - 1, floor=floor))
    return sorted(found, key=lambda lift: lift.up)


def _floor(up: int, given: _Given) -> int | None:
    """From when on the pedal may be down for a lift at `up`, for all that was given; None if there is no such lift."""
    before = bisect_left(given.release, up)
    floor = int(given.release[before - 1]) if before else 0
    for given_down, given_up in given.pedal:
        if given_down - LEAST_UP < up:
            if up <= given_up:
                return None
            floor = max(floor, given_up + LEAST_UP)
    return -(-floor // _MS) * _MS


def _spared(end: Times, leave: Times, lift: _Lift, floor: int) -> tuple[int, int]:
    """How long fingers need not hold keys (ns) if the pedal holds them from `floor` on, and when it goes down."""
    mine = slice(lift.first, lift.last + 1)
    left = np.maximum(leave[mine], floor + _INSIDE)
    spared = np.minimum(end[mine], lift.up) - left
    freed = spared >= _WORTH
    if not freed.any():
        return 0, -1
    down = max(floor, int(left[freed].min()) - _AHEAD)
    return int(spared[freed].sum()) - _COST, down
