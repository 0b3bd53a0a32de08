"""The compiled pass over the bytes of a Standard MIDI File.

It knows chunks, events and the note and pedal rules of the published models; it refuses to know paths, RIFF, error
messages and numpy-level convenience (`reader.py`). Every read is preceded by a check against the chunk's end, and
numba's own bounds checks stay on as a second net: the bytes are untrusted.

Times leave here as integer nanoseconds: ticks are first summed exactly as (ticks x microseconds per quarter), then
divided once.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

# Outcomes of the pass; `reader.Reason` gives them their names and messages.
OK: Final = 0
NO_TRACKS: Final = 1
BAD_DELTA: Final = 2
NO_STATUS: Final = 3
BAD_DATA_BYTE: Final = 4
TOO_MANY_NOTES: Final = 5

MAX_NOTES: Final = 1_000_000
MAX_SECONDS: Final = 24 * 3600
MAX_TEXTS: Final = 128  # titles stand at the beginning; karaoke files go on with a text for every syllable
_MAX_TICK: Final = 1 << 38
_DEFAULT_TEMPO: Final = 500_000
_MTRK: Final = 0x4D54726B


@njit(cache=True, boundscheck=True)
def _big_endian_32(data, pos):
    return (
        (np.int64(data[pos]) << 24) | (np.int64(data[pos + 1]) << 16) | (np.int64(data[pos + 2]) << 8) | data[pos + 3]
    )


@njit(cache=True, boundscheck=True)
def _variable_length(data, pos, stop):
    """-> (value, position after it); value -1: cut off; -2: longer than four bytes."""
    value = np.int64(0)
    for i in range(4):
        if pos + i >= stop:
            return np.int64(-1), pos
        byte = data[pos + i]
        value = (value << 7) | (byte & 0x7F)
        if byte < 0x80:
            return value, pos + i + 1
    return np.int64(-2), pos


@njit(cache=True, boundscheck=True)
def _system_data_length(status):
    """Data bytes of the system messages F1..FE (0 for the real-time ones), which files should not hold but do."""
    if status == 0xF2:
        return 2
    if status == 0xF1 or status == 0xF3:
        return 1
    return 0


@njit(cache=True, boundscheck=True)
def scan(data, begin):
    """All tracks from byte `begin` (just after the header) on.

    Returns (outcome, offset, truncated, tracks, notes, pedals, tempi, programs, texts), where offset is the byte that
    decided the outcome, notes is int64 [n, 2] of start and end ticks with a parallel uint8 [n, 3] of pitch, velocity,
    channel in order of release, pedals (int64 [m], uint8 [m, 2] of channel and up/down), tempi int64 [k, 2] of tick and
    microseconds, programs (int64 [p], uint8 [p, 2] of channel and program), texts int64 [t, 3] of kind (1 text,
    2 copyright, 3 track name, 4 instrument name), byte offset and length, each in file order.
    """
    size = len(data)
    room = (size - begin) // 3 + 1
    max_notes = min(room, MAX_NOTES)
    note_ticks = np.empty((max_notes, 2), np.int64)
    note_bytes = np.empty((max_notes, 3), np.uint8)
    n_notes = 0
    pedal_ticks = np.empty(room, np.int64)
    pedal_bytes = np.empty((room, 2), np.uint8)
    n_pedals = 0
    tempi = np.empty((room // 2 + 1, 2), np.int64)
    n_tempi = 0
    room_of_two = (
        size - begin
    ) // 2 + 1  # in running status a program takes two bytes, the other events three and more
    program_ticks = np.empty(room_of_two, np.int64)
    program_bytes = np.empty((room_of_two, 2), np.uint8)
    n_programs = 0
    texts = np.empty((MAX_TEXTS, 3), np.int64)
    n_texts = 0

    # Sounding notes: one first-in-first-out list per (channel, pitch), threaded through a pool with a free list.
    pool_start = np.empty(max_notes, np.int64)
    pool_velocity = np.empty(max_notes, np.uint8)
    pool_next = np.empty(max_notes, np.int32)
    first = np.full(2048, -1, np.int32)
    last = np.full(2048, -1, np.int32)

    outcome = OK
    truncated = False
    tracks = 0
    pos = begin
    while outcome == OK and pos + 8 <= size:
        chunk_id = _big_endian_32(data, pos)
        length = _big_endian_32(data, pos + 4)
        pos += 8
        stop = pos + length
        if stop > size:
            truncated = True
            stop = size
        if chunk_id != _MTRK:
            pos = stop
            continue
        tracks += 1
        first[:] = -1
        free = -1
        pool_used = 0
        tick = np.int64(0)
        running = 0
        ended = False
        cut = False
        while pos < stop:
            delta, after = _variable_length(data, pos, stop)
            if delta == -2:
                outcome = BAD_DELTA
                break
            if delta < 0 or after >= stop:
                cut = True
                break
            pos = after
            tick += delta
            status = np.int64(data[pos])
            if status >= 0x80:
                pos += 1
            elif running == 0:
                outcome = NO_STATUS
                break
            else:
                status = running

            if status < 0xF0:
                running = status
                kind = status & 0xF0
                channel = status & 0x0F
                n_data = 1 if kind == 0xC0 or kind == 0xD0 else 2
                if pos + n_data > stop:
                    cut = True
                    break
                one = data[pos]
                two = data[pos + 1] if n_data == 2 else np.uint8(0)
                if one >= 0x80 or two >= 0x80:
                    outcome = BAD_DATA_BYTE
                    if one < 0x80:
                        pos += 1
                    break
                pos += n_data
                if kind == 0x90 and two > 0:
                    if free >= 0:
                        slot = free
                        free = pool_next[slot]
                    elif pool_used < max_notes:
                        slot = pool_used
                        pool_used += 1
                    else:
                        outcome = TOO_MANY_NOTES
                        break
                    pool_start[slot] = tick
                    pool_velocity[slot] = two
                    pool_next[slot] = -1
                    key = channel * 128 + one
                    if first[key] < 0:
                        first[key] = slot
                    else:
                        pool_next[last[key]] = slot
                    last[key] = slot
                elif kind == 0x80 or kind == 0x90:
                    # Release: every open note of this key that began earlier ends here. Notes begun at this very tick
                    # survive if the release had an earlier one to close, otherwise they had no length and go.
                    key = channel * 128 + one
                    slot = first[key]
                    closed = 0
                    while slot >= 0 and pool_start[slot] < tick:
                        if n_notes >= max_notes:
                            outcome = TOO_MANY_NOTES
                            break
                        note_ticks[n_notes, 0] = pool_start[slot]
                        note_ticks[n_notes, 1] = tick
                        note_bytes[n_notes, 0] = one
                        note_bytes[n_notes, 1] = pool_velocity[slot]
                        note_bytes[n_notes, 2] = channel
                        n_notes += 1
                        closed += 1
                        following = pool_next[slot]
                        pool_next[slot] = free
                        free = slot
                        slot = following
                    if outcome != OK:
                        break
                    if closed > 0:
                        first[key] = slot
                    elif slot >= 0:
                        pool_next[last[key]] = free
                        free = slot
                        first[key] = -1
                elif kind == 0xB0:
                    if one == 64:
                        pedal_ticks[n_pedals] = tick
                        pedal_bytes[n_pedals, 0] = channel
                        pedal_bytes[n_pedals, 1] = 1 if two >= 64 else 0
                        n_pedals += 1
                elif kind == 0xC0:
                    program_ticks[n_programs] = tick
                    program_bytes[n_programs, 0] = channel
                    program_bytes[n_programs, 1] = one
                    n_programs += 1
            elif status == 0xFF or status == 0xF0 or status == 0xF7:
                meta = -1
                if status == 0xFF:
                    if pos >= stop:
                        cut = True
                        break
                    meta = np.int64(data[pos])
                    pos += 1
                length, after = _variable_length(data, pos, stop)
                if length == -2:
                    outcome = BAD_DELTA
                    break
                if length < 0 or after + length > stop:
                    cut = True
                    break
                pos = after
                if meta == 0x51 and length >= 3:
                    tempo = (np.int64(data[pos]) << 16) | (np.int64(data[pos + 1]) << 8) | data[pos + 2]
                    if tempo > 0:
                        tempi[n_tempi, 0] = tick
                        tempi[n_tempi, 1] = tempo
                        n_tempi += 1
                elif 1 <= meta <= 4 and n_texts < MAX_TEXTS:
                    texts[n_texts, 0] = meta
                    texts[n_texts, 1] = pos
                    texts[n_texts, 2] = length
                    n_texts += 1
                pos += length
                if meta == 0x2F:
                    ended = True
                    running = 0
            else:
                pos += _system_data_length(status)
                if pos > stop:
                    cut = True
                    break
        # Some sequencers write music behind an early end of track, others leave rubbish there: what follows is read as
        # far as it can be, and where it cannot be the track is over.
        if ended and outcome != TOO_MANY_NOTES:
            outcome = OK
        elif cut:
            truncated = True
        if outcome == OK:
            pos = stop
    if outcome == OK and tracks == 0:
        outcome = NO_TRACKS
    return (
        outcome,
        pos,
        truncated,
        tracks,
        (note_ticks[:n_notes], note_bytes[:n_notes]),
        (pedal_ticks[:n_pedals], pedal_bytes[:n_pedals]),
        tempi[:n_tempi],
        (program_ticks[:n_programs], program_bytes[:n_programs]),
        texts[:n_texts],
    )


@njit(cache=True, boundscheck=True)
def tempo_segments(tempi):
    """Tempo map -> (tick, microseconds per quarter, exact units before it), units being ticks x microseconds.

    `tempi` is int64 [k, 2], sorted by tick; before the first one 120 quarters a minute hold.
    """
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
def to_nanoseconds(ticks, start, tempo, units, division):
    """Ticks -> nanoseconds, in place; False if one lies beyond the longest duration accepted."""
    last = len(start) - 1
    limit = np.int64(MAX_SECONDS) * 1_000_000 * division
    i = last
    for k in range(len(ticks)):
        tick = ticks[k]
        if tick > _MAX_TICK:
            return False
        if not (start[i] <= tick and (i == last or tick < start[i + 1])):
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
def pedal_intervals(ticks, channel_and_down, order, final_tick):
    """CC64 events -> (down ticks, up ticks, channels), sorted by the moment of release within each channel.

    `order` sorts the events by tick, stably. A pedal that is never lifted counts as lifted at `final_tick`.
    """
    n = len(ticks)
    down = np.empty(n, np.int64)
    up = np.empty(n, np.int64)
    channels = np.empty(n, np.uint8)
    pressed_at = np.full(16, -1, np.int64)
    m = 0
    for i in order:
        channel = channel_and_down[i, 0]
        if channel_and_down[i, 1] == 1:
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
    return down[:m], up[:m], channels[:m]


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
