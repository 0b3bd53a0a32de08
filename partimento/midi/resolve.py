"""From what `smf.scan` found, in ticks and file order, to the columns of a performance.

It knows the tempo map, the order of notes, and the pedal and program rules of the published models (docs/midi.md); it
refuses to know bytes. Ticks are first summed exactly as (ticks x microseconds per quarter), then divided once.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

MAX_SECONDS: Final = 24 * 3600
_MAX_TICK: Final = 1 << 38
_DEFAULT_TEMPO: Final = 500_000
_RANK_BITS: Final = 20  # a file has no more than 1,000,000 notes
_NEAR: Final = 8


@njit(cache=True, boundscheck=True)
def columns(notes, pedals, tempi, division):
    """Notes and tempi of `smf.scan` and moves of pedals -> (fits, onsets in ticks, note columns, pedal columns, moves).

    fits is False if anything lies beyond the longest duration. Note columns are pitch, velocity, channel (uint8), onset
    and duration (int64, nanoseconds), sorted by onset and then by release; pedal columns are down, up (int64,
    nanoseconds) and channel (uint8), sorted by down; moves are times (int64, nanoseconds) and bytes (uint8 [m, 2] of
    channel and value), sorted by time. `division` is in ticks per quarter.
    """
    start, end, rank, note_bytes = notes
    released = np.flatnonzero(end >= 0)
    order = released[stable_order((np.minimum(start[released], _MAX_TICK + 1) << _RANK_BITS) | rank[released])]
    n = len(order)
    pitch, velocity, channel = np.empty(n, np.uint8), np.empty(n, np.uint8), np.empty(n, np.uint8)
    onset, release = np.empty(n, np.int64), np.empty(n, np.int64)
    for i in range(n):
        note = order[i]
        onset[i], release[i] = start[note], end[note]
        pitch[i], velocity[i], channel[i] = note_bytes[note, 0], note_bytes[note, 1], note_bytes[note, 2]
    # A pedal left down ends with the note that starts last, as in the published models' data.
    down, up, pedal_channel = _pedal_intervals(pedals[0], pedals[1], release[n - 1] if n else 0)

    # What a pedal does behind all notes and intervals moves nothing, and may be one damaged delta time away.
    last = max(0, release.max() if n else 0, up.max() if len(up) else 0)
    in_time = stable_order(pedals[0])
    in_time = in_time[: np.searchsorted(pedals[0][in_time], last, side="right")]
    moved, moves = pedals[0][in_time], pedals[1][in_time]

    segments = _tempo_segments(tempi)
    onset_ticks = onset.copy()
    fits = True
    for times in (onset, release, down, up, moved):
        fits = fits and _to_nanoseconds(times, segments, division)
    # At the fastest tempo a tick is less than a nanosecond.
    duration = np.maximum(release - onset, 1)
    return fits, onset_ticks, (pitch, velocity, channel, onset, duration), (down, up, pedal_channel), (moved, moves)


def nanoseconds(ticks: np.ndarray, tempi: np.ndarray, division: int) -> np.ndarray | None:
    """Ticks int64 [n] -> nanoseconds int64 [n] by a map of (tick, microseconds per quarter), int64 [k, 2].

    None if one lies beyond the longest duration.
    """
    times = ticks.astype(np.int64)
    return times if _to_nanoseconds(times, _tempo_segments(tempi), division) else None


@njit(cache=True, boundscheck=True)
def stable_order(keys):
    """The indices that sort `keys` stably: int64 [n]."""
    n = len(keys)
    order = np.arange(n)
    # Within a track little is out of place: a key that belongs a few places back is put there, any other (of the next
    # track) begins a new run, and the runs are merged by twos.
    begins = np.zeros(n + 1, np.int64)
    runs = 1
    for i in range(1, n):
        begin = begins[runs - 1]
        j = i
        while j > begin and i - j <= _NEAR and keys[order[j - 1]] > keys[i]:
            j -= 1
        if i - j > _NEAR:
            begins[runs] = i
            runs += 1
            continue
        for k in range(i, j, -1):
            order[k] = order[k - 1]
        order[j] = i
    merged = np.empty(n, np.int64)
    while runs > 1:
        begins[runs] = n
        for run in range(0, runs, 2):
            bounds = (begins[run], begins[run + 1], begins[min(run + 2, runs)])
            _merge(keys, order, bounds, merged)
            begins[run // 2] = begins[run]
        runs = (runs + 1) // 2
        order, merged = merged, order
    return order


@njit(cache=True, boundscheck=True)
def _merge(keys, order, bounds, merged):
    """order[begin:middle] and order[middle:end], each sorted, into merged[begin:end]; `bounds` are the three."""
    begin, middle, end = bounds
    one, other = begin, middle
    for k in range(begin, end):
        if other == end or (one < middle and keys[order[one]] <= keys[order[other]]):
            merged[k] = order[one]
            one += 1
        else:
            merged[k] = order[other]
            other += 1


@njit(cache=True, boundscheck=True)
def _tempo_segments(tempi):
    """Tempo map -> (tick, microseconds per quarter, exact units before it), units being ticks x microseconds.

    Before the first one 120 quarters a minute hold.
    """
    tempi = tempi[stable_order(tempi[:, 0])]
    n = len(tempi)
    start = np.zeros(n + 1, np.int64)
    tempo = np.full(n + 1, _DEFAULT_TEMPO, np.int64)
    units = np.zeros(n + 1, np.int64)
    limit = np.int64(1) << 61
    for i in range(n):
        start[i + 1] = min(tempi[i, 0], _MAX_TICK)
        tempo[i + 1] = tempi[i, 1]
        step = (start[i + 1] - start[i]) * tempo[i]
        units[i + 1] = limit if units[i] > limit - step else units[i] + step
    return start, tempo, units


@njit(cache=True, boundscheck=True)
def _to_nanoseconds(ticks, segments, division):
    """Ticks -> nanoseconds, in place; False if one lies beyond the longest duration accepted."""
    start, tempo, units = segments
    last = len(start) - 1
    limit = np.int64(MAX_SECONDS) * 1_000_000 * division
    i = last
    for k in range(len(ticks)):
        tick = ticks[k]
        if tick > _MAX_TICK:
            return False
        for _ in range(_NEAR):  # notes follow each other, and so do their segments
            if tick < start[i]:
                i -= 1
            elif i < last and tick >= start[i + 1]:
                i += 1
            else:
                break
        else:
            i = np.searchsorted(start, tick, side="right") - 1
        before = units[i]
        if before > limit:
            return False
        exact = before + (tick - start[i]) * tempo[i]
        if exact > limit:
            return False
        ticks[k] = exact * 1000 // division
    return True


@njit(cache=True, boundscheck=True)
def _pedal_intervals(ticks, channel_and_value, final_tick):
    """Moves of pedals -> (down ticks, up ticks, channels), sorted by down.

    A pedal that is never lifted counts as lifted at `final_tick`.
    """
    n = len(ticks)
    down = np.empty(n, np.int64)
    up = np.empty(n, np.int64)
    channels = np.empty(n, np.uint8)
    pressed_at = np.full(16, -1, np.int64)
    m = 0
    for i in stable_order(ticks):
        channel = channel_and_value[i, 0]
        if channel_and_value[i, 1] >= 64:
            if pressed_at[channel] < 0:
                pressed_at[channel] = ticks[i]
        elif pressed_at[channel] >= 0:
            if ticks[i] > pressed_at[channel]:
                down[m] = pressed_at[channel]
                up[m] = ticks[i]
                channels[m] = channel
                m += 1
            pressed_at[channel] = -1
    for channel in range(16):
        if 0 <= pressed_at[channel] < final_tick:
            down[m] = pressed_at[channel]
            up[m] = final_tick
            channels[m] = channel
            m += 1
    order = stable_order(down[:m])
    return down[order], up[order], channels[order]


@njit(cache=True, boundscheck=True)
def programs_that_count(ticks, channel_and_program, is_left_out):
    """Program changes in file order -> the program that counts for each channel, -1 without any: int64 [16].

    The last one in time; but where `is_left_out` (bool [16, 128]) holds for one, the first such.
    """
    last = np.full(16, -1, np.int64)
    last_tick = np.full(16, -1, np.int64)
    left_out = np.full(16, -1, np.int64)
    left_out_tick = np.zeros(16, np.int64)
    for i in range(len(ticks)):
        channel, program = channel_and_program[i, 0], channel_and_program[i, 1]
        if ticks[i] >= last_tick[channel]:
            last[channel], last_tick[channel] = program, ticks[i]
        if is_left_out[channel, program] and (left_out[channel] < 0 or ticks[i] < left_out_tick[channel]):
            left_out[channel], left_out_tick[channel] = program, ticks[i]
    return np.where(left_out >= 0, left_out, last)
