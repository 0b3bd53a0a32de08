"""Standard MIDI File -> `MidiFile`, which `Performance.from_midi` makes a performance of.

It knows headers and which instrument a channel is; what stands around them is `containers.py`'s, the byte-level pass
`smf.py`'s, what becomes of its ticks `resolve.py`'s. A refusal is a `MidiError` with a stable reason code and the byte
offset. docs/midi.md states every rule.

    >>> from partimento.midi.reader import read_file
    >>> read_file("prompt.mid").texts  # doctest: +SKIP
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from os import PathLike, fspath
from pathlib import Path
from typing import Final, Literal, NoReturn, get_args

import numpy as np
import numpy.typing as npt

from partimento.errors import UserError
from partimento.midi import containers, resolve, smf
from partimento.midi.columns import NoteColumns, Provenance, Repair
from partimento.midi.controllers import end_and_hold, sustain_pedal
from partimento.midi.instruments import CLASS_OF_PROGRAM, DRUM_CHANNEL, LEFT_OUT, instrument_of_channels

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_NOTES: Final = smf.MAX_NOTES
MAX_SECONDS: Final = resolve.MAX_SECONDS
Controllers = Literal["all", "published"]
"""Which controllers end and hold notes (docs/midi.md)."""
_MAX_TEXT_BYTES: Final = 1000


_IS_LEFT_OUT: Final = np.tile(np.isin(CLASS_OF_PROGRAM, list(LEFT_OUT)), (16, 1))
_IS_LEFT_OUT[DRUM_CHANNEL] = False


class Reason(StrEnum):
    """Why a file was refused, or what was repaired in it; the values are stable and may be stored."""

    CANNOT_OPEN = "cannot-open"
    TOO_LARGE = "too-large"
    EMPTY = "empty"
    NOT_MIDI = "not-midi"
    BAD_RIFF = "bad-riff"
    BAD_HEADER = "bad-header"
    FORMAT_2 = "format-2"
    UNKNOWN_FORMAT = "unknown-format"
    BAD_DIVISION = "bad-division"
    NO_TRACKS = "no-tracks"
    BAD_VARIABLE_LENGTH = "bad-variable-length"
    NO_STATUS = "no-status"
    BAD_DATA_BYTE = "bad-data-byte"
    OVERRUN = "event-overruns-track"
    TRACK_TOO_SHORT = "track-length-too-short"
    TRACK_TOO_LONG = "track-length-too-long"
    STRAY_BYTES = "stray-bytes"
    HEADER_LENGTH = "header-length"
    LEADING_BYTES = containers.LEADING_BYTES
    LINE_ENDS = containers.LINE_ENDS
    TRUNCATED = "truncated"
    TOO_MANY_NOTES = "too-many-notes"
    TOO_LONG = "too-long"


_OUTCOMES: Final = {
    smf.NO_TRACKS: (Reason.NO_TRACKS, "no MTrk chunk follows the header"),
    smf.BAD_DELTA: (Reason.BAD_VARIABLE_LENGTH, "a variable-length number is longer than four bytes"),
    smf.NO_STATUS: (Reason.NO_STATUS, "an event has no status byte and none is running"),
    smf.BAD_DATA_BYTE: (Reason.BAD_DATA_BYTE, "a data byte is above 127"),
    smf.OVERRUN: (Reason.OVERRUN, "an event goes on behind the end of its track"),
    smf.TRACK_TOO_SHORT: (Reason.TRACK_TOO_SHORT, "the track is longer than it declares"),
    smf.TRACK_TOO_LONG: (Reason.TRACK_TOO_LONG, "the track is shorter than it declares"),
    smf.STRAY_BYTES: (Reason.STRAY_BYTES, "bytes that belong to no chunk"),
    smf.TOO_MANY_NOTES: (Reason.TOO_MANY_NOTES, f"more than {MAX_NOTES:,} notes; split the file"),
}
_DONE: Final = {
    smf.TAKEN_AS_127: "taken as 127, as every such value in this track",
    smf.LEFT_OUT: "the message left out, as every such message in this track",
    smf.TRACK_TOO_SHORT: "read on to byte {}",
    smf.TRACK_TOO_LONG: "ended at byte {}",
}


class MidiError(UserError):
    """A file that cannot be read: `reason` (a `Reason`), `offset` (byte in the file, None if no byte is to blame)."""

    def __init__(self, reason: Reason, detail: str, *, name: str = "", offset: int | None = None) -> None:
        where = "" if offset is None else f" at byte {offset}"
        super().__init__(f"{name or 'MIDI data'}: {detail}{where} [{reason}]")
        self.reason = reason
        self.offset = offset


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MidiFile(NoteColumns):
    """The columns of a performance, and what of its file a `Performance` refuses to know.

    `onset_ticks` int64 [n]: the onset of each note on the file's metrical clock, `source.ticks_per_beat` a beat;
    `texts`: the first texts, copyright notices, track and instrument names, as they stand in the file;
    `pedal_time` int64 [m] (ns), `pedal_value` and `pedal_of_channel` uint8 [m]: every move of the sustain pedals in
    order of time, with the values between down and up.
    """

    onset_ticks: npt.NDArray[np.int64]
    texts: tuple[str, ...]
    pedal_time: npt.NDArray[np.int64]
    pedal_value: npt.NDArray[np.uint8]
    pedal_of_channel: npt.NDArray[np.uint8]


def read_file(path: str | PathLike[str], *, strict: bool = False, controllers: Controllers = "all") -> MidiFile:
    """Read the file at `path` (see `read`); raises `MidiError`."""
    return read(bytes_of(path), name=fspath(path), strict=strict, controllers=controllers)


def bytes_of(path: str | PathLike[str]) -> bytes:
    """The bytes at `path`, for `read`; of files that are too large not all. Raises `MidiError`."""
    try:
        with Path(path).open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        detail = (error.strerror or str(error)).lower()
        raise MidiError(Reason.CANNOT_OPEN, detail, name=fspath(path)) from error


def read(data: bytes, *, name: str = "", strict: bool = False, controllers: Controllers = "all") -> MidiFile:
    """Read the bytes of a Standard MIDI File, plain or in RIFF; raises `MidiError`. `name` is for messages.

    Damage costs what is damaged, and stands in `source.repairs`; `strict` refuses a file that has any. Of "published"
    `controllers` only the sustain pedal does anything, as in the published models' data.
    """
    if controllers not in get_args(Controllers):
        raise UserError(f"controllers must be one of {', '.join(get_args(Controllers))}, not {controllers!r}")

    def refuse(reason: Reason, detail: str, offset: int | None = None) -> NoReturn:
        raise MidiError(reason, detail, name=name, offset=offset)

    if len(data) > MAX_BYTES:
        refuse(Reason.TOO_LARGE, f"larger than {MAX_BYTES // 2**20} MiB")
    if not data:
        refuse(Reason.EMPTY, "the file is empty")
    file = containers.unwrapped(data, most=MAX_BYTES)
    if len(file.data) > MAX_BYTES:
        refuse(Reason.TOO_LARGE, f"unpacks to more than {MAX_BYTES // 2**20} MiB")
    sha256 = hashlib.sha256(data).hexdigest()
    data, header = file.data, file.header
    if header < 0:
        if data[:4] == b"RIFF":
            refuse(Reason.BAD_RIFF, "a RIFF file without a MIDI file in its data chunk", 0)
        refuse(Reason.NOT_MIDI, f"not a MIDI file (it begins with {data[:4]!r}, not b'MThd')", 0)
    header_length = int.from_bytes(data[header + 4 : header + 8], "big")
    if len(data) < header + 14:
        refuse(Reason.BAD_HEADER, "the MThd header is cut short", header)
    smf_format = int.from_bytes(data[header + 8 : header + 10], "big")
    if smf_format == 2:
        refuse(Reason.FORMAT_2, "a type 2 file holds independent patterns, not one performance", header + 8)
    if smf_format > 2:
        refuse(Reason.UNKNOWN_FORMAT, f"unknown MIDI file type {smf_format}", header + 8)
    division, fixed_tempo = _division(data[header + 12], data[header + 13])
    if division == 0:
        refuse(
            Reason.BAD_DIVISION, "the time division is neither ticks per quarter nor a known SMPTE rate", header + 12
        )

    begin = header + 8 + header_length
    repairs = list(file.repairs)
    if data[header + 14 : header + 18] == b"MTrk" and header_length != 6:
        begin = header + 14
        repairs.append(Repair(reason=Reason.HEADER_LENGTH, offset=header + 4, done="its length taken as 6"))
    elif header_length < 6:
        refuse(Reason.BAD_HEADER, "the MThd header is cut short", header)
    outcome, offset, truncated, places, tracks, notes, moved, tempi, programs, texts = smf.scan(
        np.frombuffer(data, np.uint8), min(begin, len(data))
    )
    if outcome != smf.OK:
        refuse(*_OUTCOMES[outcome], offset=int(offset))
    truncated = bool(truncated or file.truncated)
    repairs += [_repair(*place) for place in places.tolist()]
    if strict and (repairs or truncated):
        cut = Repair(reason=Reason.TRUNCATED, offset=len(data), done="nothing follows")
        first = min(repairs or [cut], key=lambda repair: repair.offset)
        refuse(Reason(first.reason), "damaged, and to be read strictly", first.offset)

    if fixed_tempo:
        tempi = np.array([[0, fixed_tempo]])
    published = controllers == "published"
    pedals = sustain_pedal(moved, published=published)
    if not published:
        end_and_hold(notes, moved)
    fits, onset_ticks, note_columns, pedal_columns, (pedal_time, pedal_bytes) = resolve.columns(
        notes, pedals, tempi, division
    )
    if len(places) and not (fits and len(onset_ticks)):
        refuse(*_OUTCOMES[places[0, 0]], offset=int(places[0, 1]))
    if not fits:
        refuse(Reason.TOO_LONG, f"lasts longer than {MAX_SECONDS // 3600} hours")
    kept_programs = _programs(*programs)
    source = Provenance(
        name=name,
        sha256=sha256,
        truncated=truncated,
        smf_format=smf_format,
        tracks=int(tracks),
        ticks_per_beat=0 if fixed_tempo else division,
        tempi=len(tempi),
        repairs=tuple(repairs),
    )
    pitch, velocity, channel, onset, duration = note_columns
    pedal_down, pedal_up, pedal_channel = pedal_columns
    spans = ((start, start + min(length, _MAX_TEXT_BYTES)) for start, length in texts.tolist())
    return MidiFile(
        pitch=pitch,
        velocity=velocity,
        onset=onset,
        duration=duration,
        channel=channel,
        instrument=instrument_of_channels(dict(kept_programs))[channel],
        pedal_down=pedal_down,
        pedal_up=pedal_up,
        pedal_channel=pedal_channel,
        programs=kept_programs,
        source=source,
        onset_ticks=onset_ticks,
        texts=tuple(_text(data[start:stop]) for start, stop in spans),
        pedal_time=pedal_time,
        pedal_value=pedal_bytes[:, 1],
        pedal_of_channel=pedal_bytes[:, 0],
    )


def _repair(code: int, offset: int, resumed: int) -> Repair:
    done = _DONE.get(resumed if resumed < 0 else code, "read on at byte {}")
    return Repair(reason=_OUTCOMES[code][0].value, offset=offset, done=done.format(resumed))


def _text(data: bytes) -> str:
    """MIDI names no encoding: what is not UTF-8 is read as Latin-1, which takes every byte."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _division(high: int, low: int) -> tuple[int, int]:
    """-> (ticks per quarter, 0), or for SMPTE (ticks per unit, microseconds per unit); division 0 means unreadable.

    30 drop-frame (code 29) runs at 30000/1001 frames a second.
    """
    if high < 0x80:
        return high << 8 | low, 0
    frames = 256 - high
    if frames not in (24, 25, 29, 30) or low == 0:
        return 0, 0
    return (30 * low, 1_001_000) if frames == 29 else (frames * low, 1_000_000)


def _programs(ticks: np.ndarray, channel_and_program: np.ndarray) -> tuple[tuple[int, int], ...]:
    """The program that counts for each channel.

    The last one, but a channel that ever carries a program of a left-out class keeps that one: it is left out whole.
    A file without any program is played on the piano of its first channel.
    """
    if not len(ticks):
        return ((0, 0),)
    counting = resolve.programs_that_count(ticks, channel_and_program, _IS_LEFT_OUT).tolist()
    return tuple((channel, program) for channel, program in enumerate(counting) if program >= 0)
