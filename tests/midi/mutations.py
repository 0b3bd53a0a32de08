"""Hostile and broken MIDI files, without end, reproducibly: what the reader must survive.

Knows how files break (flipped, missing and foreign bytes, lying lengths) and how valid grammar can be abused (numbers
as large as they go, millions of events, stacks of one key). Everything grows from files that this module makes itself;
real ones may be added. The test suite runs a small share, benchmarks/robustness the whole.

    for mutant in mutants(1500, seed=1):
        outcome(mutant.data)
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from partimento.midi.instruments import INSTRUMENTS
from partimento.midi.performance import Performance
from partimento.midi.reader import MAX_NOTES, MAX_SECONDS, MidiError, Reason
from tests.midi.smf_bytes import (
    SMPTE_RATES,
    chunk,
    control,
    header,
    meta,
    note_off,
    note_on,
    number,
    program,
    riff,
    smf,
    smpte,
    sysex,
    tempo,
    track,
)

LONGEST_NUMBER = 0x0FFF_FFFF
_EDGES = (0x00, 0x01, 0x2F, 0x3F, 0x40, 0x51, 0x7F, 0x80, 0x90, 0xB0, 0xC0, 0xF0, 0xF7, 0xFE, 0xFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A file and how it came about."""

    name: str
    data: bytes


def mutants(count: int, *, seed: int, extra: Sequence[bytes] = (), largest: int = 20_000) -> Iterator[Mutant]:
    """`count` files, the same for the same arguments: two of three broken seed files, the third hostile by intent.

    `extra` are more seed files; `largest` bounds the number of events in the hostile ones.
    """
    rng = random.Random(seed)
    seeds = [*(make(rng) for make in SEEDS for _ in range(4)), *extra]
    hostile = tuple(HOSTILE.items())
    for i in range(count):
        if i % 3 == 2:
            name, make = hostile[i // 3 % len(hostile)]
            yield Mutant(name=f"{i}: {name}", data=make(rng, _size(rng, largest)))
        else:
            name, data = _broken(rng, seeds)
            yield Mutant(name=f"{i}: {name}", data=data)


def outcome(data: bytes) -> str:
    """Read `data` and hold the result to what the reader promises: "read" or the value of the reason of refusal."""
    try:
        performance = Performance.from_midi(data)
    except MidiError as refusal:
        _assert_clear(refusal, len(data))
        return refusal.reason.value
    assert_sound(performance)
    return "read"


def _assert_clear(refusal: MidiError, size: int) -> None:
    """The promises of a refusal."""
    assert isinstance(refusal.reason, Reason)
    assert refusal.offset is None or 0 <= refusal.offset <= size
    assert "\n" not in str(refusal)


def assert_sound(performance: Performance) -> None:
    """The promises of a performance that came from a file."""
    notes = ("pitch", "velocity", "onset", "duration", "channel", "instrument")
    assert len({len(getattr(performance, name)) for name in notes}) == 1
    assert len(performance) <= MAX_NOTES
    assert np.all(performance.pitch <= 127)
    assert np.all((performance.velocity >= 1) & (performance.velocity <= 127))
    assert np.all(performance.channel <= 15)
    assert np.all(performance.instrument < len(INSTRUMENTS))
    assert np.all(performance.onset >= 0)
    assert np.all(np.diff(performance.onset) >= 0)
    assert np.all(performance.duration > 0)
    assert performance.end <= MAX_SECONDS * 10**9
    assert np.all(performance.pedal_down >= 0)
    assert np.all(np.diff(performance.pedal_down) >= 0)
    assert np.all(performance.pedal_up >= performance.pedal_down)
    assert np.all(performance.pedal_up <= MAX_SECONDS * 10**9)
    for channel, number_ in performance.programs:
        assert 0 <= channel <= 15
        assert 0 <= number_ <= 127


def _size(rng: random.Random, largest: int) -> int:
    """Mostly small, at times as large as allowed: log-uniform."""
    return int(10 ** rng.uniform(0.5, np.log10(largest)))


# -- seed files -------------------------------------------------------------------------------------------------------


def _piano(rng: random.Random) -> bytes:
    events: list[tuple[int, bytes]] = [(0, tempo(500_000)), (0, program(0))]
    for _ in range(rng.randint(5, 60)):
        pitch = rng.randint(21, 108)
        events += [(rng.randint(0, 300), note_on(pitch, rng.randint(1, 127)))]
        if rng.random() < 0.3:
            events += [(rng.randint(0, 50), control(64, rng.choice([0, 127])))]
        events += [(rng.randint(0, 600), note_off(pitch))]
    return smf([track(*events)], division=384, smf_format=0)


def _band(rng: random.Random) -> bytes:
    tracks = [track(*((rng.randint(0, 2000), tempo(rng.randint(200_000, 900_000))) for _ in range(6)))]
    for channel in rng.sample(range(16), 4):
        events = [(0, meta(3, b"part")), (0, program(rng.randint(0, 127), channel))]
        for _ in range(20):
            pitch = rng.randint(30, 90)
            events += [(rng.randint(0, 99), note_on(pitch, 80, channel)), (240, note_on(pitch, 0, channel))]
        tracks.append(track(*events, running=True))
    return smf(tracks, division=480)


def _everything(rng: random.Random) -> bytes:
    kinds = (
        lambda: note_on(rng.randint(58, 62), rng.randint(0, 127)),
        lambda: note_off(rng.randint(58, 62)),
        lambda: control(rng.choice([1, 64, 123]), rng.randint(0, 127), rng.randint(0, 15)),
        lambda: bytes([0xE0, rng.randint(0, 127), rng.randint(0, 127)]),
        lambda: bytes([0xD0, rng.randint(0, 127)]),
        lambda: sysex(bytes(rng.randint(0, 20)) + b"\xf7", rng.choice([0xF0, 0xF7])),
        lambda: meta(rng.randint(0, 127), bytes(rng.randint(0, 140))),
        lambda: tempo(rng.randint(1, 0xFFFFFF)),
    )
    events = [(rng.choice([0, 0, 1, 130, 20_000]), rng.choice(kinds)()) for _ in range(60)]
    rate = smpte(rng.choice(SMPTE_RATES), rng.choice([4, 40, 100]))
    data = header(rng.choice([rate, 96, 1000]), 1, 2) + chunk(b"XFIH", b"abc") + track(*events, running=True)
    return data + track(*events[:10])


def _wrapped(rng: random.Random) -> bytes:
    return riff(_piano(rng), before=b"LIST\x04\x00\x00\x00INFO")


SEEDS: tuple[Callable[[random.Random], bytes], ...] = (_piano, _band, _everything, _wrapped)


# -- broken files -----------------------------------------------------------------------------------------------------


def _flip_bits(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _set_bytes(rng: random.Random, data: bytearray) -> None:
    for _ in range(rng.randint(1, 8)):
        data[rng.randrange(len(data))] = rng.choice(_EDGES)


def _damage_header(rng: random.Random, data: bytearray) -> None:
    data[rng.randrange(min(len(data), 30))] = rng.choice([*_EDGES, rng.randrange(256)])


def _truncate(rng: random.Random, data: bytearray) -> None:
    del data[rng.randrange(len(data)) :]


def _delete_bytes(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    del data[at : at + rng.randint(1, 20)]


def _insert_bytes(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data) + 1)
    data[at:at] = rng.randbytes(rng.randint(1, 20))


def _repeat_bytes(rng: random.Random, data: bytearray) -> None:
    at = rng.randrange(len(data))
    piece = data[at : at + rng.randint(1, 200)]
    data[at:at] = piece * rng.randint(1, 5)


def _insert_chunk(rng: random.Random, data: bytearray) -> None:
    at = _chunk_starts(data, rng)
    body = rng.randbytes(rng.randint(0, 30))
    declared = rng.choice([len(body), 0, 1, len(body) + 4, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])
    data[at:at] = chunk(rng.choice([b"MTrk", b"MThd", b"XFIH", b"\x00" * 4]), body, declared)


def _delete_chunk(rng: random.Random, data: bytearray) -> None:
    at = _chunk_starts(data, rng)
    end = data.find(b"MTrk", at + 4)
    del data[at : end if end > 0 else len(data)]


def _lie_about_a_length(rng: random.Random, data: bytearray) -> None:
    at = _chunk_starts(data, rng)
    data[at + 4 : at + 8] = struct.pack(">I", rng.choice([0, 1, 3, rng.randrange(2000), 0x7FFF_FFFF, 0xFFFF_FFFF]))


def _chunk_starts(data: bytearray, rng: random.Random) -> int:
    starts = [i for i in range(len(data)) if data[i : i + 4] in (b"MTrk", b"MThd", b"data", b"RIFF")]
    return rng.choice(starts) if starts else 0


BREAKAGES = (
    _flip_bits, _set_bytes, _damage_header, _truncate, _delete_bytes, _insert_bytes, _repeat_bytes,
    _insert_chunk, _delete_chunk, _lie_about_a_length,
)  # fmt: skip


def _broken(rng: random.Random, seeds: Sequence[bytes]) -> tuple[str, bytes]:
    data = bytearray(rng.choice(seeds))
    names = []
    for breakage in rng.choices(BREAKAGES, k=rng.choice([1, 1, 1, 2, 3])):
        if data:
            breakage(rng, data)
            names.append(breakage.__name__.strip("_"))
    return " + ".join(names), bytes(data)


# -- files that abuse the grammar -------------------------------------------------------------------------------------


def _body(*parts: bytes, division: int = 480) -> bytes:
    return smf([chunk(b"MTrk", b"".join(parts) + b"\x00\xff\x2f\x00")], division)


def _huge_deltas(rng: random.Random, n: int) -> bytes:
    far = number(LONGEST_NUMBER)
    pair = far + note_on(60) + rng.choice([far, b"\x01"]) + note_off(60)
    slowest = b"\x00" + tempo(rng.choice([1, 500_000, 0xFFFFFF]))
    return _body(slowest, pair * min(n, 3000), division=rng.choice([1, 480, 0x7FFF]))


def _numbers_without_end(rng: random.Random, n: int) -> bytes:
    return _body(b"\xff" * n, rng.choice([b"\x7f", b""]), note_on(60))


def _huge_lengths(rng: random.Random, n: int) -> bytes:
    length = number(rng.choice([LONGEST_NUMBER, n, 0x7F]))
    event = rng.choice([b"\xff\x01", b"\xf0", b"\xf7", b"\xff\x51", b"\xff\x2f"])
    return _body(b"\x00", note_on(60), b"\x10", note_off(60), b"\x00", event, length, rng.randbytes(20))


def _huge_chunks(rng: random.Random, n: int) -> bytes:
    huge = rng.choice([0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0xFFFF_FFF8, n])
    name = rng.choice([b"MTrk", b"junk"])
    notes = b"\x00" + note_on(60) + b"\x10" + note_off(60)
    return header() + track((0, note_on(60)), (9, note_off(60))) + chunk(name, notes, declared=huge)


def _notes_in_running_status(rng: random.Random, n: int) -> bytes:
    pitch = rng.randrange(128)
    return _body(b"\x00", note_on(pitch), bytes([1, pitch, 0]), bytes([0, pitch, 64, 1, pitch, 0]) * n)


def _strikes_never_released(rng: random.Random, n: int) -> bytes:
    strikes = bytes(b for i in range(128) for b in (rng.randrange(2), i, 1))
    return _body(b"\x00", note_on(0), strikes * (n // 128 + 1))


def _stack_released_at_once(rng: random.Random, n: int) -> bytes:
    strikes, releases = bytes([rng.randrange(2), 60, 64]), bytes([rng.randrange(2), 60, 0])
    return _body(b"\x00", note_on(60), strikes * n, b"\x01\x3c\x00", releases * n)


def _stack_that_survives_its_releases(rng: random.Random, n: int) -> bytes:
    # Every release closes one earlier note and leaves a tower struck at its own tick standing.
    floor = b"\x3c\x40\x00" * rng.randint(1, n)
    again = b"\x3c\x40\x00\x3c\x00\x01"
    return _body(b"\x00\x90", floor, again * n, b"\x3c\x00")


def _strike_and_release_at_one_tick(rng: random.Random, n: int) -> bytes:
    return _body(b"\x00\x90", b"\x3c\x40\x00\x3c\x00\x00" * n, b"\x3c\x00")


def _releases_of_nothing(rng: random.Random, n: int) -> bytes:
    return _body(b"\x00", note_off(60), b"\x00\x3c\x00" * n)


def _one_key_in_many_tracks(rng: random.Random, n: int) -> bytes:
    one = chunk(b"MTrk", b"\x00" + note_on(60) + b"\x02" + note_off(60))
    return header(tracks=65_535) + one * n


def _tracks_of_nothing(rng: random.Random, n: int) -> bytes:
    return header(tracks=65_535) + chunk(rng.choice([b"MTrk", b"none"]), b"") * n


def _tracks_declared_but_absent(rng: random.Random, n: int) -> bytes:
    return smf([track((0, note_on(60)), (n, note_off(60)))], declared=65_535)


def _program_storm(rng: random.Random, n: int) -> bytes:
    return _body(b"\x00\xc0", bytes([rng.randrange(128), rng.randrange(2)]) * n, b"\x01")


def _pedal_storm(rng: random.Random, n: int) -> bytes:
    return _body(
        b"\x00\xb0", b"\x40\x7f\x01\x40\x00" + bytes([rng.randrange(2)]), b"\x40\x7f\x01\x40\x00\x00" * n, b"\x40\x00"
    )


def _pedals_on_all_channels(rng: random.Random, n: int) -> bytes:
    events = [
        (rng.randrange(3), control(64, rng.choice([0, 63, 64, 127]), rng.randrange(16))) for _ in range(min(n, 5000))
    ]
    return smf([track((0, note_on(60)), *events, (1, note_off(60))), track(*events[::2])])


def _pressure_storm(rng: random.Random, n: int) -> bytes:
    return _body(b"\x00\xd0", b"\x40\x00" * n, b"\x40")


def _tempo_of_0(rng: random.Random, n: int) -> bytes:
    return smf([track((0, tempo(0)), (n, note_on(60)), (n, tempo(0)), (n, note_off(60)), (0, tempo(1)))])


def _tempo_storm(rng: random.Random, n: int) -> bytes:
    storm = (bytes([rng.randrange(2)]) + tempo(rng.choice([1, 1000, 0xFFFFFF]))) * n
    notes = b"\x00\x90\x3c\x40" + b"\x01\x3c\x00\x01\x3c\x40" * min(n, 50_000)
    return smf(
        [chunk(b"MTrk", storm), chunk(b"MTrk", notes), chunk(b"MTrk", storm[: 7 * n // 2])], rng.choice([1, 480])
    )


def _fastest(rng: random.Random, n: int) -> bytes:
    return _body(b"\x00" + tempo(1), b"\x00\x90\x3c\x40", b"\x01\x3c\x00\x01\x3c\x40" * n, division=0x7FFF)


def _divisions(rng: random.Random, n: int) -> bytes:
    division = rng.choice(
        [0, 1, 0x7FFF, 0x8000, 0x8001, 0xFF00, 0xFFFF, 0xE200, 0xE2FF, 0xE801, rng.randrange(0x10000)]
    )
    return smf([track((0, note_on(60)), (n, note_off(60)))], division)


def _formats(rng: random.Random, n: int) -> bytes:
    tracks = [track((0, note_on(60)), (9, note_off(60)))] * min(n, 9)
    return smf(tracks, smf_format=rng.choice([0, 2, 3, 0xFFFF]), declared=rng.choice([0, 1, 65_535]))


def _header_lengths(rng: random.Random, n: int) -> bytes:
    length = rng.choice([0, 5, 6, 7, n, 0x7FFF_FFFF, 0xFFFF_FFFF])
    return chunk(b"MThd", b"\x00\x01\x00\x01\x01\xe0" + bytes(min(n, 50)), length) + track(
        (0, note_on(60)), (9, note_off(60))
    )


def _meta_storm(rng: random.Random, n: int) -> bytes:
    return _body(bytes([0, 0xFF, rng.randrange(0x30), 0]) * n)


def _system_storm(rng: random.Random, n: int) -> bytes:
    return _body(bytes([0, rng.choice([0xF1, 0xF2, 0xF3, 0xF4, 0xF6, 0xF8, 0xFA, 0xFD, 0xFE])]) * n)


def _exclusive_storm(rng: random.Random, n: int) -> bytes:
    return _body(rng.choice([b"\x00\xf0\x00", b"\x00\xf7\x01\xf7", b"\x00\xf0\x02\x01\x02"]) * n)


def _riff_of_nothing(rng: random.Random, n: int) -> bytes:
    size = rng.choice([0, 1, 0xFFFF_FFFF, 0x7FFF_FFFF])
    return b"RIFF" + struct.pack("<I", size) + b"RMID" + (b"LIST" + struct.pack("<I", rng.choice([0, size]))) * n


def _riff_in_riff(rng: random.Random, n: int) -> bytes:
    data = _piano(rng)
    for _ in range(rng.randint(1, min(n, 50))):
        data = riff(data)
    return data


def _noise(rng: random.Random, n: int) -> bytes:
    return header() + chunk(b"MTrk", rng.randbytes(min(n, 100_000)))


def _noise_of_events(rng: random.Random, n: int) -> bytes:
    """Valid messages with any values, deltas that are mostly small."""
    out = bytearray()
    for _ in range(min(n, 4000)):
        out += number(rng.choice([0, 0, 0, 1, 1, 200, 20_000]))
        status = rng.choice([0x90, 0x90, 0x90, 0x80, 0x80, 0xB0, 0xC0, 0xA0, 0xD0, 0xE0]) | rng.choice(
            [0, 0, 0, 9, rng.randrange(16)]
        )
        out += bytes([status, rng.choice([60, 60, 64, rng.randrange(128)])])
        if status < 0xC0 or status >= 0xE0:
            out.append(rng.choice([0, 64, rng.randrange(128)]))
    return _body(bytes(out))


HOSTILE: dict[str, Callable[[random.Random, int], bytes]] = {
    make.__name__.strip("_").replace("_", " "): make
    for make in (
        _huge_deltas, _numbers_without_end, _huge_lengths, _huge_chunks, _notes_in_running_status,
        _strikes_never_released, _stack_released_at_once, _stack_that_survives_its_releases,
        _strike_and_release_at_one_tick, _releases_of_nothing, _one_key_in_many_tracks, _tracks_of_nothing,
        _tracks_declared_but_absent, _program_storm, _pedal_storm, _pedals_on_all_channels, _pressure_storm,
        _tempo_of_0, _tempo_storm, _fastest, _divisions, _formats, _header_lengths, _meta_storm, _system_storm,
        _exclusive_storm, _riff_of_nothing, _riff_in_riff, _noise, _noise_of_events,
    )
}  # fmt: skip
