"""Damaged files: what can be read is read, the rest is told; what is sound is read as before."""

from __future__ import annotations

import random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from partimento.midi.columns import Repair
from partimento.midi.performance import Performance
from partimento.midi.reader import MidiError, Reason
from partimento.midi.smf import MAX_REPAIRS
from tests.midi.smf_bytes import (
    END_OF_TRACK,
    Key,
    chunk,
    control,
    header,
    meta,
    note_off,
    note_on,
    program,
    separate_keys,
    smf,
    sysex,
    track,
)

FIRST = b"\x00" + note_on(60) + b"\x83\x60" + note_off(60) + b"\x00" + END_OF_TRACK
SECOND = track((0, note_on(64)), (480, note_off(64)))
BOTH = [(60, 0, 500), (64, 0, 500)]
"""Pitch, onset and end in milliseconds, of the two notes of `smf([chunk(b"MTrk", FIRST), SECOND])`."""


def notes_of(performance: Performance) -> list[tuple[int, int, int]]:
    """(pitch, onset ms, end ms), by pitch."""
    end = performance.onset + performance.duration
    rows = zip(performance.pitch.tolist(), performance.onset.tolist(), end.tolist(), strict=True)
    return sorted((pitch, begin // 10**6, stop // 10**6) for pitch, begin, stop in rows)


def first_track(*parts: bytes, declared: int | None = None) -> bytes:
    return smf([chunk(b"MTrk", b"".join(parts), declared), SECOND])


DAMAGED = {
    Reason.NO_STATUS: (first_track(b"\x00\x3c\x50", FIRST), 23, BOTH),
    Reason.BAD_VARIABLE_LENGTH: (first_track(b"\x82" + b"\x80" * 6 + b"\x00", control(7, 99), FIRST), 22, BOTH),
    Reason.BAD_DATA_BYTE: (first_track(b"\x00\x90\xfd\x4b", FIRST), 24, BOTH),
    Reason.OVERRUN: (first_track(b"\x00\xff\x01\x7f", FIRST), 22, BOTH),
    Reason.TRACK_TOO_SHORT: (first_track(FIRST, declared=8), 14, BOTH),
    Reason.TRACK_TOO_LONG: (first_track(FIRST, declared=30), 14, BOTH),
    Reason.STRAY_BYTES: (header() + chunk(b"MTrk", FIRST) + b"\x00" + SECOND, 14 + 8 + len(FIRST), BOTH),
    Reason.HEADER_LENGTH: (header().replace(b"\x06", b"\x07", 1) + chunk(b"MTrk", FIRST) + SECOND, 4, BOTH),
    Reason.LEADING_BYTES: (bytes(128) + smf([chunk(b"MTrk", FIRST), SECOND]), 0, BOTH),
    Reason.LINE_ENDS: (
        smf([chunk(b"MTrk", FIRST), SECOND], declared=10).replace(b"\n", b"\r\n"), 11, BOTH
    ),
}  # fmt: skip
"""For each reason to repair a file with damage of that kind, the byte that is told, and the notes that are read."""


@pytest.mark.parametrize("reason", DAMAGED)
def test_damage_costs_what_is_damaged_and_is_told(reason: Reason):
    data, offset, notes = DAMAGED[reason]
    found = Performance.from_midi(data, name="some.mid")
    assert notes_of(found) == notes
    assert [(repair.reason, repair.offset) for repair in found.repairs] == [(reason.value, offset)]
    assert found.repairs[0].done
    assert not found.source.truncated


@pytest.mark.parametrize("reason", DAMAGED)
def test_read_strictly_damage_is_refused(reason: Reason):
    data, offset, _ = DAMAGED[reason]
    with pytest.raises(MidiError, match=f"some.mid: .* at byte {offset} \\[{reason.value}\\]") as refusal:
        Performance.from_midi(data, name="some.mid", strict=True)
    assert (refusal.value.reason, refusal.value.offset) == (reason, offset)


def test_a_cut_is_refused_strictly_and_read_otherwise():
    cut = smf([SECOND, chunk(b"MTrk", FIRST)])[:-6]
    assert Performance.from_midi(cut).source.truncated
    with pytest.raises(MidiError) as refusal:
        Performance.from_midi(cut, strict=True)
    assert (refusal.value.reason, refusal.value.offset) == (Reason.TRUNCATED, len(cut))


@pytest.mark.parametrize("declared", [*range(len(FIRST)), *range(len(FIRST) + 1, 41), 0x7FFF_FFFF, 0xFFFF_FFFF])
def test_whatever_length_a_track_declares_both_are_read(declared: int):
    assert notes_of(Performance.from_midi(first_track(FIRST, declared=declared))) == BOTH


def test_a_velocity_above_127_is_taken_as_127_and_told_once_a_track():
    events = (b"\x00\x90\x3c\xff\x40\x3c\x00" + b"\x00\x3e\xc0\x40\x3e\x00" + b"\x00") + END_OF_TRACK
    found = Performance.from_midi(smf([chunk(b"MTrk", events), SECOND], division=64))
    assert found.velocity.tolist() == [127, 64, 127]
    assert found.repairs == (
        Repair(reason="bad-data-byte", offset=25, done="taken as 127, as every such value in this track"),
    )


def test_a_lost_byte_costs_one_event_and_the_time_of_the_next_stands():
    lost = b"\x00\x90" + b"\x83\x60" + program(5) + FIRST
    found = Performance.from_midi(first_track(lost))
    assert notes_of(found) == [(60, 500, 1000), (64, 0, 500)]


@settings(max_examples=150)
@given(separate_keys(max_notes=4), separate_keys(channels=(1,), max_notes=4), st.randoms(use_true_random=False))
def test_damage_in_one_track_leaves_the_others_as_they_are(broken: list[Key], sound: list[Key], random):
    good = _track_of(sound)
    bad = bytearray(_track_of(broken))
    for _ in range(3):
        bad[random.randrange(8, len(bad))] = random.choice([0x00, 0x7F, 0x80, 0x90, 0xFF, random.randrange(256)])
    try:
        found = Performance.from_midi(smf([bytes(bad), good], division=500))
    except MidiError:
        assume(False)
    expected = notes_of(Performance.from_midi(smf([good], division=500)))
    mine = notes_of(found.select(found.channel == 1))
    assert all(note in mine for note in expected)


def _track_of(keys: list[Key]) -> bytes:
    events = []
    for key in keys:
        events += [(key.onset, 1, note_on(key.pitch, key.velocity, key.channel))]
        events += [(key.onset + key.duration, 0, note_off(key.pitch, key.channel))]
    events.sort(key=lambda event: event[:2])
    now, out = 0, []
    for tick, _, event in events:
        out.append((tick - now, event))
        now = tick
    return track(*out)


# -- what keeps the format is no damage -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        smf([track((0, note_on(60)), (480, note_off(60)), end=False), SECOND]),
        smf([track((0, note_on(60)), (480, note_off(60)), end=False), chunk(b"XFIH", b"\x90\x3c\x40"), SECOND]),
        smf([chunk(b"MTrk", FIRST + b"\x00\x3c\x40\x10\x3c\x00"), SECOND]),
        smf([chunk(b"MTrk", FIRST), SECOND]) + b"\r\n",
        smf([chunk(b"MTrk", FIRST), SECOND, chunk(b"MTrk", b"")]),
        smf([track((0, meta(1, b"MTrk\x00\x00\x00\x01")), (0, note_on(60)), (480, note_off(60))), SECOND]),
        smf([track((0, sysex(b"MThd\xf7")), (0, note_on(60)), (480, note_off(60))), SECOND]),
        smf([chunk(b"MTrk", FIRST), chunk(b"\x00\x01\x02\x03", b"abc"), SECOND]),
    ],
    ids=[
        "no-end", "no-end-then-other-chunk", "rubbish", "line-end", "empty-track", "text", "exclusive", "unnamed-chunk",
    ],
)  # fmt: skip
def test_what_keeps_the_format_needs_no_repair(data: bytes):
    found = Performance.from_midi(data, strict=True)
    assert notes_of(found) == BOTH
    assert found.repairs == ()


# -- what is too much -------------------------------------------------------------------------------------------------


def test_noise_is_refused_as_noise_with_what_is_wrong_first():
    damage = b"\x00\x90\x83\x60\xc0\x05" + b"\x00\xc0\x05" * 3
    few, many = (first_track(damage * count, FIRST) for count in (MAX_REPAIRS - 1, MAX_REPAIRS))
    assert len(Performance.from_midi(few).repairs) == MAX_REPAIRS - 1
    with pytest.raises(MidiError) as refusal:
        Performance.from_midi(many)
    assert refusal.value.reason is Reason.BAD_DATA_BYTE


def test_a_file_of_which_no_note_is_left_is_refused():
    with pytest.raises(MidiError) as refusal:
        Performance.from_midi(smf([chunk(b"MTrk", b"\x00\x3c\x50\x00" + program(3) + b"\x00" + END_OF_TRACK)]))
    assert refusal.value.reason is Reason.NO_STATUS


def test_damage_at_every_byte_of_a_large_file_takes_no_longer_than_reading_it():
    rng = random.Random(0)
    noise = bytes(rng.choice([0x00, 0x80, 0x90, 0xFF, 0x4D, 0x7F]) for _ in range(400_000))
    for data in (first_track(noise), header() + noise + SECOND, header() + b"\x01abc\x00\x00\x00\x00" * 50_000):
        with pytest.raises(MidiError):
            Performance.from_midi(data, strict=True)
