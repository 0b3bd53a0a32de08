"""Standard MIDI Files put together byte by byte, and hypothesis strategies for valid ones.

Knows the file format and nothing of this package, so that what it builds can accuse the reader.

    data = smf([track((0, note_on(60)), (480, note_off(60)))], division=480)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from hypothesis import strategies as st

END_OF_TRACK = b"\xff\x2f\x00"
SMPTE_RATES = (24, 25, 29, 30)


def number(value: int) -> bytes:
    """A variable-length number: seven bits a byte, most significant first."""
    out = bytearray([value & 0x7F])
    while value := value >> 7:
        out.insert(0, value & 0x7F | 0x80)
    return bytes(out)


def note_on(pitch: int, velocity: int = 64, channel: int = 0) -> bytes:
    return bytes([0x90 | channel, pitch, velocity])


def note_off(pitch: int, channel: int = 0, velocity: int = 0) -> bytes:
    return bytes([0x80 | channel, pitch, velocity])


def control(controller: int, value: int, channel: int = 0) -> bytes:
    return bytes([0xB0 | channel, controller, value])


def program(number_: int, channel: int = 0) -> bytes:
    return bytes([0xC0 | channel, number_])


def meta(kind: int, payload: bytes) -> bytes:
    return bytes([0xFF, kind]) + number(len(payload)) + payload


def tempo(microseconds: int) -> bytes:
    return meta(0x51, microseconds.to_bytes(3, "big"))


def sysex(payload: bytes, status: int = 0xF0) -> bytes:
    return bytes([status]) + number(len(payload)) + payload


def chunk(name: bytes, body: bytes, declared: int | None = None) -> bytes:
    return name + struct.pack(">I", len(body) if declared is None else declared) + body


def track(*events: tuple[int, bytes], running: bool = False, end: bool = True) -> bytes:
    """An MTrk chunk of (delta, event) pairs; with `running`, channel messages drop a status that repeats."""
    body = bytearray()
    status = 0
    for delta, event in events:
        body += number(delta)
        body += event[1:] if running and event[0] == status else event
        # After a meta event or system exclusive the format wants a status byte again.
        status = event[0] if event[0] < 0xF0 else 0
    return chunk(b"MTrk", bytes(body) + (b"\x00" + END_OF_TRACK if end else b""))


def header(division: int = 480, smf_format: int = 1, tracks: int = 1, extra: bytes = b"") -> bytes:
    return chunk(b"MThd", struct.pack(">HHH", smf_format, tracks, division) + extra)


def smf(tracks: list[bytes], division: int = 480, smf_format: int = 1, declared: int | None = None) -> bytes:
    return header(division, smf_format, len(tracks) if declared is None else declared) + b"".join(tracks)


def riff(data: bytes, before: bytes = b"") -> bytes:
    """`data` as the RIFF file Windows calls .rmi, behind the chunks `before`."""
    body = b"RMID" + before + b"data" + struct.pack("<I", len(data)) + data + b"\x00" * (len(data) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def smpte(rate: int, ticks_per_frame: int) -> int:
    """The division field for SMPTE time."""
    return (256 - rate) << 8 | ticks_per_frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A valid file: `data` uses all that the format allows, `plain` says the same as plainly as it can be said."""

    data: bytes
    plain: bytes


_channels = st.sampled_from([0, 0, 0, 1, 9, 15])
_pitches = st.sampled_from([0, 59, 60, 60, 61, 127])  # few, so that keys meet
_bytes7 = st.integers(0, 127)
_deltas = st.one_of(
    st.integers(0, 3), st.integers(0, 3), st.integers(0, 700), st.sampled_from([127, 128, 16383, 16384])
)

_note_ons = st.builds(note_on, _pitches, st.integers(0, 127), _channels)
_note_offs = st.builds(note_off, _pitches, _channels, _bytes7)
_pedals = st.builds(
    control, st.sampled_from([64, 64, 64, 66, 120, 121, 123]), st.sampled_from([0, 63, 64, 127]), _channels
)
_other_channel_messages = st.one_of(
    st.builds(control, st.sampled_from([0, 1, 7, 63, 65, 122, 127]), _bytes7, _channels),
    st.builds(lambda c, p, v: bytes([0xA0 | c, p, v]), _channels, _bytes7, _bytes7),
    st.builds(lambda c, v: bytes([0xD0 | c, v]), _channels, _bytes7),
    st.builds(lambda c, a, b: bytes([0xE0 | c, a, b]), _channels, _bytes7, _bytes7),
)
_programs = st.builds(program, _bytes7, _channels)
_tempi = st.builds(tempo, st.one_of(st.integers(100_000, 2_000_000), st.sampled_from([500_000, 20_000, 0xFFFFFF])))
_texts = st.builds(meta, st.integers(1, 7), st.binary(max_size=5).map(lambda b: bytes(c & 0x7F for c in b)))
_sysexes = st.binary(max_size=200).map(lambda b: sysex(bytes(c & 0x7F for c in b) + b"\xf7"))
# Metas that other readers choke on: a key that does not exist, a time signature without its bytes, an unknown kind.
_broken_metas = st.sampled_from(
    [
        meta(0x59, b"\x63\x07"),
        meta(0x59, b""),
        meta(0x58, b"\x04"),
        meta(0x54, b"\xff"),
        meta(0x70, b"\xff\xfe"),
        meta(0, b""),
    ]
)
_events = st.one_of(
    _note_ons, _note_ons, _note_ons, _note_offs, _note_offs, _note_offs, _pedals, _pedals,
    _other_channel_messages, _programs, _tempi, _texts, _sysexes, _broken_metas,
)  # fmt: skip
_BROKEN = frozenset({0x59, 0x58, 0x54, 0x70, 0x00})
_aliens = st.builds(
    chunk, st.sampled_from([b"XFIH", b"XFKM", b"MTxx", b"\x00\x00\x00\x00", b"mtrk"]), st.binary(max_size=12)
)

divisions = st.one_of(
    st.sampled_from([1, 24, 96, 384, 480, 960, 1000, 0x7FFF]),
    st.builds(smpte, st.sampled_from(SMPTE_RATES), st.sampled_from([1, 4, 10, 80, 100, 255])),
)


def _plain(event: bytes) -> bytes:
    return meta(1, b"") if event[0] == 0xFF and event[1] in _BROKEN else event


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Valid files of every shape that a single performance can have."""
    tracks = draw(st.lists(st.lists(st.tuples(_deltas, _events), max_size=40), min_size=1, max_size=3))
    division = draw(divisions)
    smf_format = 0 if len(tracks) == 1 and draw(st.booleans()) else 1
    declared = draw(st.sampled_from([len(tracks), len(tracks), 0, len(tracks) + 1, 65_535]))
    odd = header(division, smf_format, declared, extra=draw(st.sampled_from([b"", b"", b"\x00\x01"])))
    for events in tracks:
        if draw(st.integers(0, 3)) == 0:
            odd += draw(_aliens)
        odd += track(*events, running=draw(st.booleans()), end=draw(st.booleans()))
    if draw(st.integers(0, 3)) == 0:
        odd += draw(_aliens)
    if draw(st.integers(0, 4)) == 0:
        info = draw(st.sampled_from([b"", b"DISP\x03\x00\x00\x00abc\x00", b"LIST\x04\x00\x00\x00INFO"]))
        odd = riff(odd, before=info)
    plain = smf(
        [track(*((delta, _plain(event)) for delta, event in events)) for events in tracks], division, smf_format
    )
    return Case(data=odd, plain=plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One struck key on a millisecond clock."""

    onset: int
    duration: int
    pitch: int
    velocity: int
    channel: int


@st.composite
def separate_keys(draw: st.DrawFn, channels: tuple[int, ...] = (0,), max_notes: int = 12) -> list[Key]:
    """Notes of which no two of one pitch and channel touch, in milliseconds."""
    keys: list[Key] = []
    for pitch in draw(st.lists(st.integers(0, 127), unique=True, max_size=4)):
        for channel in draw(st.lists(st.sampled_from(channels), unique=True, min_size=1)):
            now = 0
            for gap, duration, velocity in draw(
                st.lists(st.tuples(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 127)), max_size=max_notes)
            ):
                keys.append(Key(onset=now + gap, duration=duration, pitch=pitch, velocity=velocity, channel=channel))
                now += gap + duration
    return keys
