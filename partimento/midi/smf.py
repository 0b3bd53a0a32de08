"""The compiled pass over the bytes of a Standard MIDI File.

It knows chunks, events and which release ends which note; it refuses to know paths, RIFF, error messages
(`reader.py`), and what a tick is worth (`resolve.py`). Every read is preceded by a check against the chunk's end, and
numba's own bounds checks stay on as a second net: the bytes are untrusted.
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
MAX_TEXTS: Final = 128  # titles stand at the beginning; karaoke files go on with a text for every syllable
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
    decided the outcome and the rest are events in file order, times in ticks:

    - notes: (start int64, end int64, rank int32, bytes uint8 [n, 3] of pitch, velocity, channel), in order of their
      strikes. end is -1 for a note that was never released; rank counts the releases of the file.
    - pedals: (tick int64, uint8 [m, 2] of channel and value)
    - tempi: int64 [k, 2] of tick and microseconds per quarter
    - programs: (tick int64, uint8 [p, 2] of channel and program)
    - texts: int64 [t, 2] of byte offset and length (texts, copyright notices, track and instrument names)
    """
    size = len(data)
    room = (size - begin) // 3 + 1
    room_of_two = (size - begin) // 2 + 1  # in running status a program takes two bytes, the others three and more
    max_notes = min(room, MAX_NOTES)
    start = np.empty(max_notes, np.int64)
    end = np.empty(max_notes, np.int64)
    rank = np.empty(max_notes, np.int32)
    note_bytes = np.empty((max_notes, 3), np.uint8)
    n_notes = 0
    n_released = 0
    pedal_ticks = np.empty(room, np.int64)
    pedal_bytes = np.empty((room, 2), np.uint8)
    n_pedals = 0
    tempi = np.empty((room // 2 + 1, 2), np.int64)
    n_tempi = 0
    program_ticks = np.empty(room_of_two, np.int64)
    program_bytes = np.empty((room_of_two, 2), np.uint8)
    n_programs = 0
    texts = np.empty((MAX_TEXTS, 2), np.int64)
    n_texts = 0

    # Sounding notes: one first-in-first-out list for each (channel, pitch).
    following = np.empty(max_notes, np.int32)
    first = np.empty(2048, np.int32)
    last = np.empty(2048, np.int32)

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
        tick = np.int64(0)
        running = 0
        ended = False
        cut = False
        while pos < stop:
            delta, after = np.int64(data[pos]), pos + 1
            if delta >= 0x80:  # one byte is the rule, and worth a shortcut
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
                one = np.int64(data[pos])
                two = np.int64(data[pos + 1]) if n_data == 2 else 0
                if one >= 0x80 or two >= 0x80:
                    outcome = BAD_DATA_BYTE
                    if one < 0x80:
                        pos += 1
                    break
                pos += n_data
                key = channel * 128 + one
                if kind == 0x90 and two > 0:
                    if n_notes == max_notes:
                        outcome = TOO_MANY_NOTES
                        break
                    start[n_notes] = tick
                    end[n_notes] = -1
                    note_bytes[n_notes, 0] = one
                    note_bytes[n_notes, 1] = two
                    note_bytes[n_notes, 2] = channel
                    following[n_notes] = -1
                    if first[key] < 0:
                        first[key] = n_notes
                    else:
                        following[last[key]] = n_notes
                    last[key] = n_notes
                    n_notes += 1
                elif kind <= 0x90:
                    # Release: every open note of this key that began earlier ends here. Notes begun at this very tick
                    # survive if the release had an earlier one to close, otherwise they had no length and go.
                    note = first[key]
                    closes = note >= 0 and start[note] < tick
                    while note >= 0 and start[note] < tick:
                        end[note] = tick
                        rank[note] = n_released
                        n_released += 1
                        note = following[note]
                    first[key] = note if closes else -1
                elif kind == 0xB0:
                    if one == 64:
                        pedal_ticks[n_pedals] = tick
                        pedal_bytes[n_pedals, 0] = channel
                        pedal_bytes[n_pedals, 1] = two
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
                    texts[n_texts, 0] = pos
                    texts[n_texts, 1] = length
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
        (start[:n_notes], end[:n_notes], rank[:n_notes], note_bytes[:n_notes]),
        (pedal_ticks[:n_pedals], pedal_bytes[:n_pedals]),
        tempi[:n_tempi],
        (program_ticks[:n_programs], program_bytes[:n_programs]),
        texts[:n_texts],
    )
