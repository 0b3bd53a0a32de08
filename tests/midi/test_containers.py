"""The same music in every container a MIDI file comes in, by content and not by name."""

from __future__ import annotations

import gzip
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.corpus.sources import performances
from partimento.midi.performance import Performance
from partimento.midi.reader import MAX_BYTES, MidiError, Reason
from tests.midi.smf_bytes import control, header, note_off, note_on, program, riff, smf, tempo, track

PIECE = smf(
    [
        track(
            (0, tempo(400_000)), (0, program(40, 2)), (0, note_on(60, 1)), (10, note_on(64, 100, 2)),
            (86, control(64, 127)), (300, note_off(60)), (4, tempo(1_000_000)),
            (600, note_off(64, 2)), (9, control(64, 0)),
        )
    ],
    division=96,
)  # fmt: skip


def words(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def after(ticks: int, *packet: int) -> bytes:
    """A packet behind a delta clockstamp."""
    return words(0x0040_0000 | ticks, *packet)


def note(on: bool, pitch: int, velocity: int, channel: int = 0, group: int = 0) -> tuple[int, int]:
    """A note on or off of MIDI 2.0; `velocity` has 16 bits."""
    return (0x4080_0000 | on << 20 | group << 24 | channel << 16 | pitch << 8, velocity << 16)


START, END = (0xF020_0000, 0, 0, 0), (0xF021_0000, 0, 0, 0)
CLIP = b"SMF2CLIP" + b"".join(
    [
        after(0, 0x0030_0000 | 96),  # ticks a quarter
        after(7, *START),
        after(0, 0xD010_0000, 40_000_000, 0, 0),
        after(0, 0x40C2_0000, 40 << 24),
        after(0, *note(True, 60, 0)),
        words(0x0020_1234),  # a jitter reduction timestamp
        after(10, *note(True, 64, 100 << 9 | 0x1FF, 2)),
        after(86, 0x40B0_4000, 0xFFFF_FFFF),
        after(300, *note(False, 60, 0)),
        after(4, 0xD010_0000, 100_000_000, 0, 0),
        words(0x30120000, 0),  # a system exclusive
        after(600, 0x2082_4000),  # MIDI 1.0, in the same clip
        after(9, 0x40B0_4000, 0x7FFF_FFFF),
        after(0, *END),
        words(0xDEAD_BEEF),
    ]
)


def same(data: bytes, expected: bytes = PIECE) -> None:
    found, wanted = Performance.from_midi(data, strict=True), Performance.from_midi(expected)
    columns, theirs = found.columns(), wanted.columns()
    for name in ("pitch", "velocity", "onset", "duration", "channel", "instrument", "pedal_down", "pedal_up"):
        assert columns[name].tolist() == theirs[name].tolist(), name
    assert found.programs == wanted.programs


@pytest.mark.parametrize("name", ["a.mid", "a.MID", "a.midi", "a.kar", "a.rmi", "a.mid.gz", "a", "a.txt"])
@pytest.mark.parametrize(
    "data",
    [PIECE, riff(PIECE), gzip.compress(PIECE), gzip.compress(riff(PIECE)), CLIP],
    ids=["smf", "riff", "gzip", "gzip of riff", "clip"],  # gzip writes the time into its bytes
)
def test_what_a_file_is_comes_from_its_bytes_whatever_its_name(name: str, data: bytes, tmp_path):
    (tmp_path / name).write_bytes(data)
    found = Performance.from_midi(tmp_path / name)
    assert (found.pitch.tolist(), found.repairs, found.source.truncated) == ([60, 64], (), False)


def test_the_same_music_in_every_container():
    same(PIECE)
    same(riff(PIECE))
    same(gzip.compress(PIECE))
    same(CLIP)
    same(gzip.compress(CLIP))


@pytest.mark.parametrize("name", ["a.MID", "b.midi", "c.kar", "d.rmi", "e.mid.gz", "f.MIDI2"])
def test_a_folder_is_searched_for_all_of_them(name: str, tmp_path):
    (tmp_path / name).write_bytes(gzip.compress(PIECE))
    ((path, found),) = performances(tmp_path)
    assert path == name and isinstance(found, Performance) and len(found) == 2


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 0xFFFFF), st.integers(0, 127), st.integers(0, 65_535)), max_size=20))
def test_velocities_of_sixteen_bits_and_times_of_twenty(notes: list[tuple[int, int, int]]):
    packets, plain = [after(0, 0x0030_0000 | 960), after(0, *START)], []
    for wait, pitch, velocity in notes:
        packets += [after(wait, *note(True, pitch, velocity)), after(1, *note(False, pitch, velocity))]
        plain += [(wait, note_on(pitch, max(velocity >> 9, 1))), (1, note_off(pitch))]
    same(b"SMF2CLIP" + b"".join(packets), smf([track(*plain)], division=960))


def test_groups_of_a_clip_are_tracks_and_silences_may_be_long():
    packets = [
        after(0, 0x0030_0000 | 0x7FFF),
        after(0, *START),
        after(0, *note(True, 60, 5000)),
        after(1, *note(True, 60, 9000, 0, 3)),
    ]
    packets += [after(0xFFFFF, 0) for _ in range(300)] + [
        after(0, *note(False, 60, 0)),
        after(9, *note(False, 60, 0, 0, 3)),
    ]
    found = Performance.from_midi(b"SMF2CLIP" + b"".join(packets))
    assert found.velocity.tolist() == [9, 17]
    assert (found.onset + found.duration)[1] - (found.onset + found.duration)[0] == 9 * 500_000_000 // 0x7FFF


@pytest.mark.parametrize("whole", [CLIP, gzip.compress(PIECE)], ids=["clip", "gzip"])
def test_of_what_is_cut_no_more_is_read_than_stands_there(whole: bytes):
    read = 0
    for cut in range(2, len(whole)):
        try:
            found = Performance.from_midi(whole[:cut])
        except MidiError:
            continue
        read += 1
        assert set(found.pitch.tolist()) <= {60, 64}
    assert read > 10


def test_what_unpacks_to_too_much_is_refused_at_once():
    bomb = gzip.compress(b"MThd" + bytes(MAX_BYTES))
    for data in (bomb, gzip.compress(header() + bytes(40 * 2**20), 1)):
        with pytest.raises(MidiError) as refusal:
            Performance.from_midi(data)
        assert refusal.value.reason is Reason.TOO_LARGE
    with pytest.raises(MidiError) as refusal:
        Performance.from_midi(gzip.compress(gzip.compress(PIECE)))
    assert refusal.value.reason is Reason.NOT_MIDI
