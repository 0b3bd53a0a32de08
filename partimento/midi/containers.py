r"""Where in a file's bytes the Standard MIDI File stands, and what was put around or into it on its way.

It knows gzip, RIFF, clips of MIDI 2.0 (`clip.py`), bytes before the header, and files that a transfer took for text; it
refuses to know events (`smf.py`).
What it is comes from the bytes, never from the name.

    >>> unwrapped(b"\x00MThd\x00\x00\x00\x06", most=100).header
    1
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import Final

from partimento.midi import clip
from partimento.midi.columns import Repair

LEADING_BYTES: Final = "leading-bytes"
LINE_ENDS: Final = "line-ends-converted"

_GZIP: Final = b"\x1f\x8b"
_MAX_RIFF_CHUNKS: Final = 1000  # millions of empty ones fit into a file
_MAX_LEADING_BYTES: Final = 1024
_HEADER: Final = b"MThd\x00\x00\x00\x06"
_HEADER_BYTES: Final = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwrapped:
    """`data` with MThd at byte `header` (-1: nowhere), whether it was cut, and what had to be repaired to find it."""

    data: bytes
    header: int
    truncated: bool = False
    repairs: tuple[Repair, ...] = ()


def unwrapped(data: bytes, *, most: int) -> Unwrapped:
    """Find the header in the bytes of a file. Of one that unpacks to more than `most` bytes, `most` + 1 are given."""
    if data[:2] == _GZIP:
        unpacked, whole = _gunzip(data, most)
        inside = Unwrapped(data=unpacked, header=-1) if unpacked[:2] == _GZIP else unwrapped(unpacked, most=most)
        return replace(inside, truncated=inside.truncated or not whole)
    if data[: len(clip.MAGIC)] == clip.MAGIC:
        smf, whole = clip.as_smf(data)
        return Unwrapped(data=smf, header=0, truncated=not whole)
    if data[:4] == b"RIFF":
        return Unwrapped(data=data, header=_in_riff(data))
    if data[:4] != b"MThd":
        # Classic Macintosh files carry 128 bytes of their file system before the first of their own (MacBinary).
        header = data.find(_HEADER, 0, _MAX_LEADING_BYTES + len(_HEADER))
        found = Repair(reason=LEADING_BYTES, offset=0, done=f"read from byte {header} on")
        return Unwrapped(data=data, header=header, repairs=(found,) if header >= 0 else ())
    return _with_line_ends(data)


def _gunzip(data: bytes, most: int) -> tuple[bytes, bool]:
    """What a gzip file holds, at most one byte more than `most`, and whether it is whole."""
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, most + 1)
    except zlib.error:
        return b"", False
    return unpacked, unpacker.eof


def _in_riff(data: bytes) -> int:
    """Offset of MThd inside the data chunk of a RIFF file, -1 if there is none."""
    if data[8:12] != b"RMID":
        return -1
    pos = 12
    for _ in range(_MAX_RIFF_CHUNKS):
        if data[pos : pos + 4] == b"data" and data[pos + 8 : pos + 12] == b"MThd":
            return pos + 8
        size = int.from_bytes(data[pos + 4 : pos + 8], "little")
        pos += 8 + size + size % 2
    return -1


def _with_line_ends(data: bytes) -> Unwrapped:
    """Undo what a transfer in text mode does, 13 10 for 10; it only shows where that moved the first track."""
    place = data.find(b"\r\n", 0, _HEADER_BYTES)
    if place < 0 or data[_HEADER_BYTES:][:4] == b"MTrk" or data[_HEADER_BYTES + 1 :][:4] != b"MTrk":
        return Unwrapped(data=data, header=0)
    everywhere = data.count(b"\n") == data.count(b"\r\n")
    repair = Repair(
        reason=LINE_ENDS, offset=place, done="13 10 taken as 10, " + ("everywhere" if everywhere else "here")
    )
    return Unwrapped(data=data.replace(b"\r\n", b"\n", -1 if everywhere else 1), header=0, repairs=(repair,))
