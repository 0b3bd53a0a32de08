"""Performance -> Standard MIDI File.

Knows how notes, pedal intervals and programs become the bytes of a type 0 file that every player reads the same way.
Refuses to know what the notes mean, where they came from, and how tokens look. Equal performances give equal bytes.

    write_file(performance, "out.mid")

Time: 120 beats a minute throughout, and one tick is 1 ms when every time is a whole number of milliseconds (generated
music always is), else 0.1 ms; long performances fall back to 1 ms (see `_TICK_LIMIT`). Keys: a key cannot be down
twice, so a note ends at the latest where its key (pitch and channel) is struck again, release written before strike;
notes of one key struck at the same tick are all written and all end with the longest of them. `docs/midi.md` has the
whole list.
"""

from __future__ import annotations

import os
import struct

import numpy as np
from numpy.typing import NDArray

from partimento.errors import UserError
from partimento.files import replacing
from partimento.midi.columns import NoteColumns, unite_pedals
from partimento.midi.instruments import DRUM_CHANNEL

_MICROSECONDS_PER_BEAT = 500_000
_COARSE, _FINE = 500, 5_000  # ticks per beat: 1 ms and 0.1 ms a tick
# The most widely used Python reader of this field (pretty_midi) refuses files of more than ten million ticks.
_TICK_LIMIT = 10_000_000
_LONGEST_DELTA = 0x0FFF_FFFF  # four bytes of seven bits

_NOTE_OFF, _NOTE_ON, _CONTROL, _PROGRAM = 0x80, 0x90, 0xB0, 0xC0
_SUSTAIN, _PEDAL_DOWN, _PEDAL_UP = 64, 127, 0
_RELEASE_VELOCITY = 64  # what keyboards without release sensing send

# At one tick keys come up, then the pedal, and only then does anything go down: no player can release what it has
# just struck, and a repedalling damps the notes that ended with the first pedal and not those that begin.
_RANK_KEY_UP, _RANK_PEDAL_UP, _RANK_PEDAL_DOWN, _RANK_KEY_DOWN = range(4)

_Int64 = NDArray[np.int64]


def write(performance: NoteColumns) -> bytes:
    """The bytes of a type 0 Standard MIDI File.

    Onsets, releases and pedal times are rounded to the nearest tick (half to even), each on its own, so that no error
    adds up; every note lasts at least one tick. Raises `UserError` for times before the start of the file and for
    silences too long for the format (74 hours).
    """
    coarse = ticks_per_beat(performance) == _COARSE
    nanoseconds = 1_000_000 if coarse else 100_000
    note_on, note_off = _key_ticks(performance, nanoseconds)
    pedal_channel, pedal_down, pedal_up = _pedal_ticks(performance, nanoseconds)
    channel, pitch = performance.channel.astype(np.int64), performance.pitch.astype(np.int64)
    velocity = performance.velocity.astype(np.int64)
    n, m = len(pitch), len(pedal_channel)

    tick = np.concatenate([note_off, pedal_up, pedal_down, note_on])
    rank = np.repeat([_RANK_KEY_UP, _RANK_PEDAL_UP, _RANK_PEDAL_DOWN, _RANK_KEY_DOWN], [n, m, m, n])
    status = np.concatenate(
        [_NOTE_OFF | channel, _CONTROL | pedal_channel, _CONTROL | pedal_channel, _NOTE_ON | channel]
    )
    first = np.concatenate([pitch, np.full(2 * m, _SUSTAIN), pitch])
    second = np.concatenate([np.full(n, _RELEASE_VELOCITY), np.full(m, _PEDAL_UP), np.full(m, _PEDAL_DOWN), velocity])
    order = np.lexsort((rank, tick))  # stable: notes keep the performance's order within a chord

    head = b"\x00\xff\x51\x03" + _MICROSECONDS_PER_BEAT.to_bytes(3, "big")
    programs = b"".join(bytes([0, _PROGRAM | channel, program]) for channel, program in _programs(performance))
    track = head + programs + _events(tick[order], status[order], first[order], second[order]) + b"\x00\xff\x2f\x00"
    header = struct.pack(">4sIHHH", b"MThd", 6, 0, 1, _COARSE if coarse else _FINE)
    return header + struct.pack(">4sI", b"MTrk", len(track)) + track


def write_file(performance: NoteColumns, path: str | os.PathLike[str]) -> None:
    """Write `performance` to `path`, which afterwards holds either all of it or what it held before.

    Raises `UserError` where the file cannot be written.
    """
    data = write(performance)
    with replacing(path) as part:
        part.write_bytes(data)


def ticks_per_beat(performance: NoteColumns) -> int:
    """The resolution that says its times best: 500 where all are whole milliseconds, else 5,000 while that fits."""
    times = (performance.onset, performance.duration, performance.pedal_down, performance.pedal_up)
    if all(not np.any(column % 1_000_000) for column in times):
        return _COARSE
    ends = (performance.onset + performance.duration, performance.pedal_up)
    last = max((int(column.max()) for column in ends if len(column)), default=0)
    return _FINE if last // 100_000 < _TICK_LIMIT else _COARSE


def _to_ticks(time: _Int64, nanoseconds: int) -> _Int64:
    """Round to the nearest tick, half to even, in integers: a float64 of nanoseconds is inexact after 104 days."""
    tick, rest = np.divmod(time, nanoseconds)
    double = 2 * rest
    up = (double > nanoseconds) | ((double == nanoseconds) & (tick % 2 == 1))
    return np.asarray(tick + up, dtype=np.int64)


def _key_ticks(performance: NoteColumns, nanoseconds: int) -> tuple[_Int64, _Int64]:
    """Strike and release tick of each note, no key being released after its next strike."""
    on = _to_ticks(performance.onset, nanoseconds)
    off = np.maximum(_to_ticks(performance.onset + performance.duration, nanoseconds), on + 1)
    if len(on) == 0:
        return on, off
    key = performance.channel.astype(np.int64) * 128 + performance.pitch
    order = np.lexsort((on, key))
    key, struck = key[order], on[order]
    new_key = np.concatenate([[True], key[1:] != key[:-1]])
    starts = np.flatnonzero(new_key | np.concatenate([[True], struck[1:] != struck[:-1]]))
    released = np.maximum.reduceat(off[order], starts)
    next_strike = np.append(struck[starts[1:]], np.iinfo(np.int64).max)
    next_strike[:-1][new_key[starts[1:]]] = np.iinfo(np.int64).max
    released = np.minimum(released, next_strike)
    off = np.empty_like(on)
    off[order] = np.repeat(released, np.diff(np.append(starts, len(on))))
    return on, off


def _pedal_ticks(performance: NoteColumns, nanoseconds: int) -> tuple[_Int64, _Int64, _Int64]:
    """Channel, down and up tick of each pedal interval: none shorter than a tick, none overlapping on one channel."""
    down = _to_ticks(performance.pedal_down, nanoseconds)
    up = _to_ticks(performance.pedal_up, nanoseconds)
    down, up, channel = unite_pedals(down, up, performance.pedal_channel)
    return channel.astype(np.int64), down, up


def _programs(performance: NoteColumns) -> list[tuple[int, int]]:
    """Every program of the performance, and the piano said aloud for channels that rely on it.

    A player that has another file's organ still set would otherwise keep it.
    """
    stated = dict(performance.programs)
    silent = [int(c) for c in np.unique(performance.channel) if c != DRUM_CHANNEL]
    return sorted({**dict.fromkeys(silent, 0), **stated}.items())


def _events(tick: _Int64, status: _Int64, first: _Int64, second: _Int64) -> bytes:
    """Three-byte channel messages behind their delta times; no running status, which only saves space."""
    delta = np.diff(tick, prepend=0)
    if np.any(delta < 0):
        raise UserError(
            "a note or pedal begins before the start of the file; shift the performance to begin at 0 or later"
        )
    if np.any(delta > _LONGEST_DELTA):
        raise UserError(f"a silence of {int(delta.max())} ticks is too long for a MIDI file (at most {_LONGEST_DELTA})")
    width = 1 + (delta >= 1 << 7) + (delta >= 1 << 14) + (delta >= 1 << 21)
    last = np.cumsum(width + 3) - 4  # where each delta's last byte stands
    data = np.zeros(int(np.sum(width + 3)), dtype=np.uint8)
    for place in range(4):
        wide = np.flatnonzero(width > place)
        data[last[wide] - place] = (delta[wide] >> (7 * place)) & 0x7F | (0x80 if place else 0)
    data[last + 1], data[last + 2], data[last + 3] = status, first, second
    return data.tobytes()
