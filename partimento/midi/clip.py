"""A MIDI Clip File (SMF2CLIP, MIDI 2.0) -> the bytes of a Standard MIDI File with the same notes.

It knows Universal MIDI Packets: which of them carry notes, controllers, programs and tempo, and how a clip counts time.
It refuses to know what becomes of them: the one reader (`reader.py`) reads what is written here. Left out: the lower
nine bits of a velocity, a tempo below a microsecond, jitter reduction, per-note controllers, text.

    smf, whole = as_smf(Path("take.midi2").read_bytes())
"""

from __future__ import annotations

from collections import defaultdict
from typing import Final

import numpy as np

MAGIC: Final = b"SMF2CLIP"

_WORDS: Final = (1, 1, 1, 2, 2, 4, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4)  # of a packet, by its message type
_UTILITY, _MIDI_1, _MIDI_2, _FLEX, _STREAM = 0x0, 0x2, 0x4, 0xD, 0xF
_TICKS_PER_BEAT, _DELTA = 3, 4  # utility messages
_START, _END = 0x20, 0x21  # stream messages
_NOTE_OFF, _NOTE_ON, _CONTROL, _PROGRAM = 0x8, 0x9, 0xB, 0xC
_LONGEST: Final = 0x0FFF_FFFF
_NOTHING: Final = b"\xff\x7f\x00"


def as_smf(data: bytes) -> tuple[bytes, bool]:
    """The file, a track for each group, and whether the clip was whole (not cut inside a packet)."""
    cut = (len(data) - len(MAGIC)) % 4
    words = np.frombuffer(data[len(MAGIC) : len(data) - cut], ">u4").tolist()
    tracks: dict[int, list[tuple[int, bytes]]] = defaultdict(list)
    tick, division, place = 0, 0, 0
    whole = cut == 0
    while place < len(words):
        word = words[place]
        kind, group, length = word >> 28, word >> 24 & 0xF, _WORDS[word >> 28]
        second = words[place + 1] if length > 1 and place + 1 < len(words) else 0
        place += length
        if place > len(words):
            whole = False
            break
        if kind == _UTILITY:
            status = word >> 20 & 0xF
            if status == _TICKS_PER_BEAT:
                division = division or word & 0xFFFF
            elif status == _DELTA:
                tick += word & 0xF_FFFF
        elif kind == _STREAM:
            if word >> 16 & 0x3FF == _START:
                tick = 0
            elif word >> 16 & 0x3FF == _END:
                break
        else:
            event = _event(kind, word, second)
            if event:
                tracks[group].append((tick, event))
    chunks = [_track(events) for _, events in sorted(tracks.items())] or [_track([])]
    header = b"MThd\x00\x00\x00\x06\x00\x01" + len(chunks).to_bytes(2, "big") + min(division, 0x7FFF).to_bytes(2, "big")
    return header + b"".join(chunks), whole


def _event(kind: int, word: int, second: int) -> bytes:
    """A packet as the message of a Standard MIDI File; empty if it says nothing about notes."""
    if kind == _FLEX:
        microseconds = (second + 50) // 100  # it counts in tens of nanoseconds
        is_tempo = word & 0xFFFF == 0
        return b"\xff\x51\x03" + min(max(microseconds, 1), 0xFFFFFF).to_bytes(3, "big") if is_tempo else b""
    status, first, last = word >> 16 & 0xFF, word >> 8 & 0x7F, word & 0x7F
    message = status >> 4
    if kind == _MIDI_2:
        # Values have 16 or 32 bits, of which the upper seven stand here; a velocity of 0 is a note, the softest.
        first, last = (second >> 24 & 0x7F, 0) if message == _PROGRAM else (first, second >> 25)
        last = max(last, 1) if message == _NOTE_ON else last
    elif kind != _MIDI_1:
        return b""
    if message in (_NOTE_OFF, _NOTE_ON, _CONTROL):
        return bytes([status, first, last])
    return bytes([status, first]) if message == _PROGRAM else b""


def _track(events: list[tuple[int, bytes]]) -> bytes:
    body = bytearray()
    now = 0
    for tick, event in [*events, (events[-1][0] if events else 0, b"\xff\x2f\x00")]:
        while tick - now > _LONGEST:
            body += _number(_LONGEST) + _NOTHING
            now += _LONGEST
        body += _number(tick - now) + event
        now = tick
    return b"MTrk" + len(body).to_bytes(4, "big") + bytes(body)


def _number(value: int) -> bytes:
    """A variable-length number."""
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))
