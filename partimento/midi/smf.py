"""The compiled pass over the bytes of a Standard MIDI File.

It knows chunks, events, which release ends which note, and where to read on behind a damaged place; it refuses to know
paths, containers, error messages (`reader.py`), and what a tick is worth (`resolve.py`). All of it stands in one file,
because a compiled function that is kept does not see that one of another file has changed. Every read is preceded by a
check against the chunk's end, and numba's own bounds checks stay on as a second net: the bytes are untrusted.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numba import njit

# Outcomes of the pass and what is wrong at a place; `reader.Reason` gives them their names and messages.
OK: Final = 0
NO_TRACKS: Final = 1
BAD_DELTA: Final = 2
NO_STATUS: Final = 3
BAD_DATA_BYTE: Final = 4
TOO_MANY_NOTES: Final = 5
OVERRUN: Final = 6
"""An event that goes on behind the end of its track."""
TRACK_TOO_SHORT: Final = 7
TRACK_TOO_LONG: Final = 8
STRAY_BYTES: Final = 9
TAKEN_AS_127: Final = -1  # what was done, where that is not to read on elsewhere
LEFT_OUT: Final = -2

_MTRK: Final = 0x4D54726B
_EVENTS: Final = 4  # so many in a row are no accident: a data byte below 128 is one by a half

MAX_NOTES: Final = 1_000_000
MAX_TEXTS: Final = 128  # titles stand at the beginning; karaoke files go on with a text for every syllable
MAX_REPAIRS: Final = 100
"""What is damaged in more places is noise, and refused."""


@njit(cache=True, boundscheck=True)
def _big_endian_32(data, pos):
    """The number in the four bytes at `pos`."""
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
def _repaired(repairs, n, code, place, done):
    """Write down a repair -> (how many there are, OK or, where they are too many, what was wrong first)."""
    repairs[n, 0] = code
    repairs[n, 1] = place
    repairs[n, 2] = done
    n += 1
    return n, repairs[0, 0] if n == MAX_REPAIRS else np.int64(OK)


@njit(cache=True, boundscheck=True)
def scan(data, begin):
    """All tracks from byte `begin` (just after the header) on.

    Returns (outcome, offset, truncated, repairs, tracks, notes, controls, tempi, programs, texts), where offset is the
    byte that decided the outcome, repairs int64 [r, 3] are what was wrong, at which byte, and where reading
    went on (or `TAKEN_AS_127` or `LEFT_OUT`, each told once for each track), and the rest are events in file order,
    times in ticks:

    - notes: (start int64, end int64, rank int32, bytes uint8 [n, 3] of pitch, velocity, channel), in order of their
      strikes. end is -1 for a note that was never released; rank counts the releases of the file.
    - controls: (tick int64, uint8 [m, 3] of channel, value and controller), of those that move pedals or end notes
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
    control_ticks = np.empty(room, np.int64)
    control_bytes = np.empty((room, 3), np.uint8)
    n_controls = 0
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
    repairs = np.empty((MAX_REPAIRS, 3), np.int64)
    n_repairs = 0
    told = np.empty(3, np.bool_)
    more_tracks = True
    pos = begin
    while outcome == OK and pos + 8 <= size:
        chunk = pos
        chunk_id = _big_endian_32(data, pos)
        length = _big_endian_32(data, pos + 4)
        pos += 8
        stop = pos + length
        if chunk_id != _MTRK:
            if more_tracks and (stop > size or not _is_chunk(data, stop)):
                track = _next_track(data, chunk + 1, size)
                more_tracks = track < size
                if more_tracks:
                    pos = track
                    n_repairs, outcome = _repaired(repairs, n_repairs, STRAY_BYTES, chunk, pos)
                    continue
            truncated = truncated or stop > size
            pos = min(stop, size)
            continue
        overruns = stop > size
        stop = min(stop, size)
        tracks += 1
        first[:] = -1
        tick = np.int64(0)
        running = np.int64(0)
        status = np.int64(0)
        ended = False
        extended = False
        told[:] = False
        clipped = np.int64(-1)
        while True:  # one stretch without damage after the other
            problem = OK
            event = pos
            before = tick
            while pos < stop:
                event = pos
                before = tick
                delta, after = np.int64(data[pos]), pos + 1
                if delta == 0x4D and _begins_track(data, pos):
                    problem = TRACK_TOO_LONG
                    break
                if delta >= 0x80:  # one byte is the rule, and worth a shortcut
                    delta, after = _variable_length(data, pos, stop)
                if delta == -2:
                    problem = BAD_DELTA
                    break
                if delta < 0 or after >= stop:
                    problem = OVERRUN
                    break
                pos = after
                tick += delta
                status = np.int64(data[pos])
                if status >= 0x80:
                    pos += 1
                elif running == 0:
                    problem = NO_STATUS
                    break
                else:
                    status = running

                if status < 0xF0:
                    running = status
                    kind = status & 0xF0
                    channel = status & 0x0F
                    n_data = 1 if kind == 0xC0 or kind == 0xD0 else 2
                    if pos + n_data > stop:
                        problem = OVERRUN
                        break
                    one = np.int64(data[pos])
                    two = np.int64(data[pos + 1]) if n_data == 2 else 0
                    if one >= 0x80 or two >= 0x80:
                        if event != clipped:
                            problem = BAD_DATA_BYTE
                            break
                        two = np.int64(127)
                    pos += n_data
                    key = channel * 128 + one
                    if kind == 0x90 and two > 0:
                        if n_notes == max_notes:
                            problem = TOO_MANY_NOTES
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
                        # Release: every open note of this key that began earlier ends here. Notes begun at this very
                        # tick survive if the release had an earlier one to close, otherwise they had no length and go.
                        note = first[key]
                        closes = note >= 0 and start[note] < tick
                        while note >= 0 and start[note] < tick:
                            end[note] = tick
                            rank[note] = n_released
                            n_released += 1
                            note = following[note]
                        first[key] = note if closes else -1
                    elif kind == 0xB0:
                        if one == 64 or one == 66 or one == 120 or one == 121 or one == 123:
                            control_ticks[n_controls] = tick
                            control_bytes[n_controls, 0] = channel
                            control_bytes[n_controls, 1] = two
                            control_bytes[n_controls, 2] = one
                            n_controls += 1
                    elif kind == 0xC0:
                        program_ticks[n_programs] = tick
                        program_bytes[n_programs, 0] = channel
                        program_bytes[n_programs, 1] = one
                        n_programs += 1
                elif status == 0xFF or status == 0xF0 or status == 0xF7:
                    meta = -1
                    if status == 0xFF:
                        if pos >= stop:
                            problem = OVERRUN
                            break
                        meta = np.int64(data[pos])
                        pos += 1
                    length, after = _variable_length(data, pos, stop)
                    if length == -2:
                        problem = BAD_DELTA
                        break
                    if length < 0 or after + length > stop:
                        problem = OVERRUN
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
                        problem = OVERRUN
                        break
            if problem == TOO_MANY_NOTES:
                outcome = problem
                break
            if ended:
                # Some sequencers write music behind an early end of track, others leave rubbish there: what follows is
                # read as far as it can be, and where it cannot be the track is over.
                pos = stop if problem == OK else _next_track(data, event, stop)
                if pos < stop:
                    overruns = False
                    n_repairs, outcome = _repaired(repairs, n_repairs, TRACK_TOO_LONG, chunk, pos)
                break
            known = running if problem == OK else status
            code, resumed, end_of_track = _mend(data, problem, event, pos, (stop, known, extended))
            if code == OK:
                pos = stop
                break
            if code == OVERRUN and resumed == stop:  # nothing but a cut
                truncated = True
                pos = stop
                break
            place, done = event, resumed
            if code == TRACK_TOO_SHORT:
                place, done = chunk, end_of_track
                extended = True
                overruns = False
            elif code == TRACK_TOO_LONG:
                place = chunk
            elif code == NO_STATUS:
                place = pos
            elif code == BAD_DATA_BYTE:
                place = pos if data[pos] >= 0x80 else pos + 1
                if resumed == event:
                    clipped, done = event, TAKEN_AS_127
                elif resumed == pos + n_data:
                    done = LEFT_OUT
            if done >= 0 or not told[-done]:
                n_repairs, outcome = _repaired(repairs, n_repairs, code, place, done)
            if done < 0:
                told[-done] = True
            if resumed == event:
                tick = before
            pos, stop = resumed, end_of_track
            if _begins_track(data, pos):
                overruns = False
                break
            if outcome != OK or pos == stop:
                break
        truncated = truncated or overruns
    if n_repairs == MAX_REPAIRS:
        pos = repairs[0, 1]
    if outcome == OK and tracks == 0:
        outcome = NO_TRACKS
    return (
        outcome,
        pos,
        truncated,
        repairs[:n_repairs],
        tracks,
        (start[:n_notes], end[:n_notes], rank[:n_notes], note_bytes[:n_notes]),
        (control_ticks[:n_controls], control_bytes[:n_controls]),
        tempi[:n_tempi],
        (program_ticks[:n_programs], program_bytes[:n_programs]),
        texts[:n_texts],
    )


# -- where to read on behind a damaged place ---------------------------------------------------------------------------


@njit(cache=True, boundscheck=True)
def _begins_track(data, pos):
    """Whether an MTrk chunk begins at `pos`."""
    return pos + 8 <= len(data) and _big_endian_32(data, pos) == _MTRK


@njit(cache=True, boundscheck=True)
def _next_track(data, pos, stop):
    """Where the next MTrk begins in [pos, stop), else `stop`."""
    for i in range(pos, stop):
        if data[i] == 0x4D and _begins_track(data, i):
            return i
    return stop


@njit(cache=True, boundscheck=True)
def _is_chunk(data, pos):
    """Whether a chunk begins at `pos`, or the file ends there: MTrk, or a name with a length that leads to one."""
    size = len(data)
    if pos >= size:
        return True
    if pos + 8 > size:
        return False
    if _begins_track(data, pos):
        return True
    behind = pos + 8 + _big_endian_32(data, pos + 4)
    if behind == size or _begins_track(data, behind):
        return True
    for i in range(pos, pos + 4):
        if not 0x20 <= data[i] <= 0x7E:
            return False
    return behind <= size


@njit(cache=True, boundscheck=True)
def _reads_on(data, pos, stop, running):
    """Whether four plausible events, or fewer up to an end of track, stand at `pos`.

    `running` is the status that holds there, 0 for none; -1 says that the first event begins with its status, not with
    its delta time. Where a status holds, data bytes above 127 are borne in half of the events: in those with a status
    of their own, and in the second place of those behind the first.
    """
    in_step = running > 0
    clean = 0
    for i in range(_EVENTS):
        if running >= 0:
            delta, pos = _variable_length(data, pos, stop)
            if delta < 0:
                return False
        if pos >= stop:
            return False
        status = np.int64(data[pos])
        explicit = status >= 0x80
        if explicit:
            pos += 1
        else:
            status = running
        if status < 0x80:
            return False
        if status < 0xF0:
            running = status
            n_data = 1 if 0xC0 <= status < 0xE0 else 2
            if pos + n_data > stop:
                return False
            if data[pos] < 0x80 and data[pos + n_data - 1] < 0x80:
                clean += 1
            elif not (in_step and (explicit or (i > 0 and data[pos] < 0x80))):
                return False
            pos += n_data
            continue
        running = max(running, 0)
        if 0xF0 < status < 0xFF and status != 0xF7:
            return False
        kind = 0
        if status == 0xFF:
            if pos >= stop or data[pos] >= 0x80:
                return False
            kind = data[pos]
            pos += 1
        length, pos = _variable_length(data, pos, stop)
        if length < 0 or pos + length > stop:
            return False
        if kind == 0x2F:
            return length == 0
        if status == 0xF0 and (length == 0 or data[pos + length - 1] != 0xF7):
            return False
        pos += length
        clean += 1
    return 2 * clean >= _EVENTS


@njit(cache=True, boundscheck=True)
def _next_event(data, pos, stop):
    """Where to read on at or behind `pos`: a delta time whose event has a status and is followed by more, or MTrk.

    `stop` if there is neither. Every byte is looked at a few times at most.
    """
    begin = pos
    while pos < stop:
        if data[pos] == 0x4D and _begins_track(data, pos):
            return pos
        if pos > begin and data[pos] >= 0x80 and data[pos - 1] < 0x80 and _reads_on(data, pos, stop, -1):
            delta = pos - 1
            while delta > begin and pos - delta < 4 and data[delta - 1] >= 0x80:
                delta -= 1
            # Numbers of 28 bits with the highest one set were negative once.
            return pos - 1 if pos - delta == 4 and data[delta] >= 0xC0 else delta
        pos += 1
    return stop


@njit(cache=True, boundscheck=True)
def _in_step(data, pos, stop, status):
    """Whether events go on as if the message whose data begin at `pos` had its length, whatever its bytes."""
    behind = pos + (1 if 0xC0 <= status < 0xE0 else 2)
    return behind == stop or (behind < stop and _reads_on(data, behind, stop, status))


@njit(cache=True, boundscheck=True)
def _mend(data, problem, event, pos, track):
    """What to do about a problem with the event at `event` -> (code, where to read on, new end of the track).

    Called where a track's events came to an end that is not marked as one. `pos` is where the reader stopped: of a bad
    message the first data byte. `track` is (its end, the status that holds, whether its end was moved already).
    OK says that nothing is wrong and the track is over. Where the place to read on is the end of the track, its rest
    is left out. A message whose data byte is to be taken as 127 is read again from `event`.
    """
    stop, status, extended = track
    size = len(data)
    chunk_follows = _is_chunk(data, stop)
    if problem == OK:
        if extended or chunk_follows or not _reads_on(data, stop, size, status):
            return OK, stop, stop
        return TRACK_TOO_SHORT, pos, _next_track(data, stop, size)
    if problem == OVERRUN:
        if stop < size and not extended and not chunk_follows:
            return TRACK_TOO_SHORT, event, _next_track(data, stop, size)
        ends = stop - event > 4 and data[stop - 3] == 0xFF and data[stop - 2] == 0x2F and data[stop - 1] == 0
        return OVERRUN, _next_event(data, event + 1, stop) if stop < size or ends else stop, stop
    if problem == TRACK_TOO_LONG:
        return TRACK_TOO_LONG, event, stop
    if problem == BAD_DATA_BYTE and _in_step(data, pos, stop, status):
        behind = pos + (1 if 0xC0 <= status < 0xE0 else 2)
        return BAD_DATA_BYTE, event if data[pos] < 0x80 else behind, stop
    return problem, _next_event(data, pos if problem == BAD_DATA_BYTE else event, stop), stop
