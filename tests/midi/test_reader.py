"""The reader against mido, symusic and the rules written out slowly."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import Literal

import mido
import numpy as np
import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.midi import reader
from partimento.midi.instruments import INSTRUMENTS
from partimento.midi.performance import Performance
from partimento.midi.reader import MidiError, Reason, read_file
from tests.midi import reference_reader
from tests.midi.smf_bytes import (
    SMPTE_RATES,
    Case,
    Key,
    cases,
    chunk,
    control,
    header,
    meta,
    note_off,
    note_on,
    program,
    riff,
    separate_keys,
    smf,
    smpte,
    sysex,
    tempo,
    track,
)
from tests.midi.test_damage import DAMAGED

BEAT_NS = 500_000_000
ONE_NOTE = track((0, note_on(60)), (480, note_off(60)))


def notes_of(performance: Performance) -> list[tuple[int, int, int, int]]:
    """(pitch, velocity, onset ms, end ms) in column order."""
    end = performance.onset + performance.duration
    columns = (performance.pitch, performance.velocity, performance.onset // 10**6, end // 10**6)
    return [tuple(int(v) for v in row) for row in zip(*columns, strict=True)]


def read_ms(*tracks: bytes) -> list[tuple[int, int, int, int]]:
    """Read tracks whose ticks are milliseconds."""
    return notes_of(Performance.from_midi(smf(list(tracks), division=500)))


def near(nanoseconds: int, seconds: Fraction) -> bool:
    return abs(int(nanoseconds) - seconds * 10**9) < 1


# -- against the slow reference ---------------------------------------------------------------------------------------


@settings(max_examples=200)
@given(cases(), st.sampled_from(["all", "all", "published"]))
def test_every_valid_file_reads_as_the_rules_say(case: Case, controllers: Literal["all", "published"]):
    expected = reference_reader.read(case.plain, published=controllers == "published")
    if expected.too_long:
        with pytest.raises(MidiError) as refusal:
            Performance.from_midi(case.data, controllers=controllers)
        assert refusal.value.reason is Reason.TOO_LONG
        return
    found = Performance.from_midi(case.data, controllers=controllers)
    assert not found.source.truncated
    assert len(found) == len(expected.notes)
    for i, note in enumerate(expected.notes):
        assert (found.pitch[i], found.velocity[i], found.channel[i]) == (note.pitch, note.velocity, note.channel)
        assert INSTRUMENTS[found.instrument[i]] == note.instrument
        assert near(found.onset[i], note.start)
        assert near(found.onset[i] + found.duration[i], note.end) or (note.end - note.start) * 10**9 < 2
    pedals = sorted(zip(found.pedal_down, found.pedal_up, found.pedal_channel, strict=True))
    assert len(pedals) == len(expected.pedals)
    for (down, up, channel), (start, end, on_channel) in zip(pedals, expected.pedals, strict=True):
        assert near(down, start)
        assert near(up, end)
        assert channel == on_channel


@settings(max_examples=100)
@given(
    division=st.integers(1, 0x7FFF),
    tempi=st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 0xFFFFFF)), max_size=8),
    ticks=st.lists(st.integers(0, 20_000), min_size=1, max_size=8),
)
def test_the_tempo_map_is_summed_exactly(division: int, tempi: list[tuple[int, int]], ticks: list[int]):
    at, events = 0, []
    for delta, microseconds in tempi:
        at += delta
        events.append((at, microseconds))
    onsets = sorted(ticks)
    deltas = np.diff(onsets, prepend=0).tolist()
    data = smf(
        [
            track(*((delta, tempo(microseconds)) for delta, microseconds in tempi)),
            # All struck, then released together: the releases keep the order of the strikes.
            track(
                *((delta, note_on(i)) for i, delta in enumerate(deltas)),
                (1, note_off(0)),
                *((0, note_off(i)) for i in range(1, len(ticks))),
            ),
        ],
        division,
    )

    def exact(tick: int) -> Fraction:
        total, before, rate = Fraction(0), 0, 500_000
        for start, microseconds in events:
            if start >= tick:
                break
            total += Fraction((start - before) * rate, division)
            before, rate = start, microseconds
        return (total + Fraction((tick - before) * rate, division)) / 10**6

    if exact(onsets[-1] + 1) > 24 * 3600:
        with pytest.raises(MidiError):
            Performance.from_midi(data)
        return
    found = Performance.from_midi(data)
    assert all(near(ns, exact(tick)) for ns, tick in zip(found.onset, onsets, strict=True))


# -- against symusic --------------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(separate_keys(channels=(0, 1, 9)), st.booleans())
def test_symusic_finds_the_same_notes(keys: list[Key], running: bool):
    found = Performance.from_midi(from_keys(keys, running=running))
    score = symusic.Score.from_midi(from_keys(keys, running=running), ttype="tick")
    expected = sorted((n.time, n.end, n.pitch, n.velocity) for t in score.tracks for n in t.notes)
    assert sorted((on, off, pitch, velocity) for pitch, velocity, on, off in notes_of(found)) == expected
    assert len(expected) == len(keys)


def test_symusic_hears_a_tempo_map_the_same():
    tempi = track((0, tempo(400_000)), (700, tempo(650_000)), (333, tempo(1_200_000)))
    notes = [(97, note_on(50 + i)) for i in range(20)]
    data = smf([tempi, track(*notes, (0, note_off(50)), *((41, note_off(51 + i)) for i in range(19)))], 480)
    theirs = sorted(
        (n.time, n.pitch, n.duration) for n in symusic.Score.from_midi(data, ttype="second").tracks[0].notes
    )
    found = Performance.from_midi(data)
    assert [pitch for _, pitch, _ in theirs] == found.pitch.tolist()
    np.testing.assert_allclose([time for time, _, _ in theirs], found.onset_seconds, atol=1e-5)
    np.testing.assert_allclose([length for _, _, length in theirs], found.duration_seconds, atol=1e-5)


def test_mido_plays_a_tempo_map_in_the_same_time():
    tempi = track((0, tempo(350_000)), (481, tempo(777_777)), (1, tempo(123_456)))
    data = smf([tempi, track((0, note_on(60)), (5000, note_off(60)))], 384)
    assert Performance.from_midi(data).seconds == pytest.approx(mido.MidiFile(file=io.BytesIO(data)).length, abs=1e-6)


def from_keys(keys: list[Key], *, running: bool = False) -> bytes:
    """One track a channel, releases as note_on with velocity 0 where running status profits from it."""
    tracks = []
    for channel in sorted({key.channel for key in keys}) or [0]:
        events = []
        for key in keys:
            if key.channel == channel:
                end = note_on(key.pitch, 0, channel) if running else note_off(key.pitch, channel)
                events += [
                    (key.onset, 1, note_on(key.pitch, key.velocity, channel)),
                    (key.onset + key.duration, 0, end),
                ]
        events.sort(key=lambda event: event[:2])
        deltas = np.diff([tick for tick, _, _ in events], prepend=0).tolist()
        tracks.append(track(*zip(deltas, (event for _, _, event in events), strict=True), running=running))
    return smf(tracks, division=500)


# -- the note rules, one by one ---------------------------------------------------------------------------------------


def test_a_release_closes_every_note_of_its_key():
    assert read_ms(track((0, note_on(60, 10)), (100, note_on(60, 20)), (100, note_off(60)), (100, note_off(60)))) == [
        (60, 10, 0, 200),
        (60, 20, 100, 200),
    ]


def test_a_release_closes_notes_of_its_own_track_only():
    one = track((0, note_on(60, 10)), (400, note_off(60)))
    two = track((100, note_on(60, 20)), (100, note_off(60)))
    assert read_ms(one, two) == [(60, 10, 0, 400), (60, 20, 100, 200)]


def test_a_note_left_open_in_one_track_is_not_closed_by_the_next():
    assert read_ms(track((0, note_on(60))), track((100, note_off(60)))) == []


def test_a_release_closes_notes_of_its_own_channel_only():
    assert read_ms(track((0, note_on(60, 10)), (0, note_on(60, 20, 1)), (50, note_off(60, 1)), (50, note_off(60)))) == [
        (60, 20, 0, 50),
        (60, 10, 0, 100),
    ]


def test_a_strike_at_the_tick_of_a_release_that_closed_something_survives_it():
    on_before_off = track((0, note_on(60, 10)), (100, note_on(60, 20)), (0, note_off(60)), (100, note_off(60)))
    assert read_ms(on_before_off) == [(60, 10, 0, 100), (60, 20, 100, 200)]


def test_a_note_without_length_is_dropped():
    assert read_ms(track((0, note_on(60, 10)), (0, note_off(60)), (100, note_off(60)))) == []


def test_a_note_never_released_is_dropped():
    assert read_ms(track((0, note_on(60)), (0, note_on(62)), (100, note_off(62)))) == [(62, 64, 0, 100)]


def test_a_strike_with_velocity_0_is_a_release():
    assert read_ms(track((0, note_on(60)), (100, note_on(60, 0)))) == [(60, 64, 0, 100)]


def test_a_chord_stands_in_the_order_of_its_releases():
    chord = [(0, note_on(p)) for p in (60, 64, 67)]
    releases = [(100, note_off(67)), (10, note_off(60)), (10, note_off(64))]
    assert [row[0] for row in read_ms(track(*chord, *releases))] == [67, 60, 64]


def test_silence_before_the_first_note_is_kept():
    assert read_ms(track((1500, note_on(60)), (100, note_off(60)))) == [(60, 64, 1500, 1600)]


def test_a_note_shorter_than_a_nanosecond_still_has_a_length():
    fast = track((0, tempo(1)), (0, note_on(60)), (1, note_off(60)))
    found = Performance.from_midi(smf([fast], division=0x7FFF))
    assert found.duration.tolist() == [1]


# -- pedal ------------------------------------------------------------------------------------------------------------


def pedals_of(*events: tuple[int, bytes]) -> list[tuple[int, int, int]]:
    found = Performance.from_midi(smf([track(*events)], division=500))
    columns = (found.pedal_down // 10**6, found.pedal_up // 10**6, found.pedal_channel)
    return [tuple(int(v) for v in row) for row in zip(*columns, strict=True)]


def test_the_pedal_is_down_from_64_on_and_pressing_deeper_changes_nothing():
    down = [(0, control(64, 63)), (10, control(64, 64)), (10, control(64, 127)), (10, control(64, 64))]
    assert pedals_of(*down, (10, control(64, 63)), (10, control(64, 0))) == [(10, 40, 0)]


def test_every_channel_has_its_own_pedal():
    events = [(0, control(64, 127)), (10, control(64, 127, 3)), (10, control(64, 0)), (10, control(64, 0, 3))]
    assert pedals_of(*events) == [(0, 20, 0), (10, 30, 3)]


def test_a_pedal_left_down_ends_with_the_note_that_starts_last():
    long_first = [(0, note_on(48)), (0, control(64, 127)), (100, note_on(60)), (100, note_off(60)), (500, note_off(48))]
    assert pedals_of(*long_first) == [(0, 200, 0)]


def test_a_pedal_pressed_after_the_music_and_left_down_is_no_pedal():
    assert pedals_of((0, note_on(60)), (100, note_off(60)), (50, control(64, 127))) == []


def test_a_pedal_pressed_in_one_track_is_lifted_from_another():
    one, two = track((10, control(64, 127))), track((300, control(64, 0)))
    found = Performance.from_midi(smf([one, two, ONE_NOTE], division=500))
    assert (found.pedal_down.tolist(), found.pedal_up.tolist()) == ([10_000_000], [300_000_000])


@pytest.mark.parametrize(
    ("release", "sounds_until"),
    [(100, 100), (101, 500), (499, 500), (500, 500), (501, 501)],
    ids=["at-press", "under", "just-before-lift", "at-lift", "after-lift"],
)
def test_the_pedal_holds_notes_released_strictly_inside_it(release: int, sounds_until: int):
    events = [(0, note_on(60), 0), (100, control(64, 127), 1), (release, note_off(60), 2), (500, control(64, 0), 3)]
    events.sort(key=lambda event: event[0])
    deltas = np.diff([tick for tick, _, _ in events], prepend=0).tolist()
    found = Performance.from_midi(smf([track(*zip(deltas, (e for _, e, _ in events), strict=True))], division=500))
    assert found.sounding_duration().tolist() == [sounds_until * 10**6]
    assert found.duration.tolist() == [release * 10**6]


# -- programs ---------------------------------------------------------------------------------------------------------


def instruments_of(*events: tuple[int, bytes]) -> list[str]:
    return [INSTRUMENTS[i] for i in Performance.from_midi(smf([track(*events)])).instrument]


def strike(channel: int) -> list[tuple[int, bytes]]:
    return [(0, note_on(60, channel=channel)), (10, note_off(60, channel))]


def test_the_last_program_of_a_channel_counts_for_all_of_it():
    assert instruments_of((0, program(0)), *strike(0), (0, program(40)), *strike(0)) == ["strings", "strings"]


def test_a_channel_that_was_ever_left_out_stays_left_out():
    assert instruments_of((0, program(12)), *strike(0), (0, program(0)), *strike(1)) == ["chromatic", "piano"]


def test_channel_ten_is_drums_whatever_its_program():
    assert instruments_of((0, program(40, 9)), *strike(9)) == ["drum"]


def test_the_programs_that_count_are_told():
    events = [
        (0, program(12)),
        (0, program(0)),
        (0, program(12, 9)),
        (0, program(3, 9)),
        (0, program(5, 2)),
        (0, program(6, 2)),
    ]
    assert Performance.from_midi(smf([track(*events)])).programs == ((0, 12), (2, 6), (9, 3))
    assert Performance.from_midi(smf([ONE_NOTE])).programs == ((0, 0),)


def test_all_128_programs_have_the_class_of_general_midi():
    table = reference_reader.CLASSES
    for number in range(128):
        assert instruments_of((0, program(number)), *strike(0)) == [table[number // 8]]


# -- containers -------------------------------------------------------------------------------------------------------


def same(data: bytes) -> None:
    found = Performance.from_midi(data)
    assert notes_of(found) == notes_of(Performance.from_midi(smf([ONE_NOTE])))
    assert not found.source.truncated


def test_running_status_goes_on_behind_metas_and_exclusives_as_other_readers_let_it():
    body = b"\x00\x90\x3c\x40" + b"\x00" + meta(1, b"x") + b"\x00" + sysex(b"\x01\xf7") + b"\x83\x60\x3c\x00"
    same(smf([chunk(b"MTrk", body)]))


def test_riff_files_are_unwrapped():
    same(riff(smf([ONE_NOTE])))
    same(riff(smf([ONE_NOTE]), before=b"LIST\x05\x00\x00\x00INFOx\x00"))


def test_chunks_that_are_not_tracks_are_skipped():
    same(header() + chunk(b"XFIH", b"\x90\x3c\x40") + ONE_NOTE + chunk(b"????", b""))


@pytest.mark.parametrize("declared", [0, 1, 2, 65_535])
def test_the_number_of_tracks_in_the_header_does_not_matter(declared: int):
    same(smf([ONE_NOTE], declared=declared))


def test_broken_metas_that_say_nothing_about_notes_are_ignored():
    broken = [meta(0x59, b"\x63"), meta(0x58, b""), meta(0x54, b"\xff" * 9), meta(0x51, b""), meta(0x7F, b"\xff" * 300)]
    same(smf([track(*((0, event) for event in broken)), ONE_NOTE]))


def test_a_tempo_of_0_is_ignored():
    same(smf([track((0, tempo(0))), ONE_NOTE]))


@pytest.mark.parametrize("message", [b"\xf1\x00", b"\xf2\x00\x00", b"\xf3\x00", b"\xf6", b"\xf8", b"\xfe"])
def test_system_messages_that_have_no_place_in_a_file_are_skipped(message: bytes):
    same(smf([track((0, message), (0, note_on(60)), (480, note_off(60)))]))


def test_music_behind_an_early_end_of_track_is_read_up_to_the_end_of_the_chunk():
    early = b"\x00\xff\x2f\x00" + track((0, note_on(60)), (480, note_off(60)))[8:]
    same(smf([chunk(b"MTrk", early)]))


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x00" * 9,
        b"\xff" * 9,
        b"\x00\x3c\x40\x10\x3c\x00",
        b"\x00\x90\xff\xff",
        b"\x00\x90\x3c",
        b"\x1a",
        b"\x00\xff\x01\x7f",
    ],
)
def test_rubbish_behind_the_end_of_track_is_ignored(rubbish: bytes):
    events = track((0, note_on(60)), (480, note_off(60)))[8:]
    same(smf([chunk(b"MTrk", events + rubbish), track()]))


@pytest.mark.parametrize("rate", SMPTE_RATES)
@pytest.mark.parametrize("per_frame", [1, 4, 40, 80, 255])
def test_smpte_time_needs_no_tempo(rate: int, per_frame: int):
    ticks = 12_345
    data = smf([track((0, tempo(1_000)), (0, note_on(60)), (ticks, note_off(60)))], division=smpte(rate, per_frame))
    seconds = Fraction(ticks, per_frame) / {24: 24, 25: 25, 29: Fraction(30_000, 1001), 30: 30}[rate]
    assert near(Performance.from_midi(data).duration[0], seconds)


# -- truncation -------------------------------------------------------------------------------------------------------


def test_of_a_truncated_file_the_notes_before_the_cut_are_kept_and_it_is_marked():
    whole = smf([track(*(event for p in range(60, 70) for event in ((0, note_on(p)), (100, note_off(p)))))], 500)
    all_notes = notes_of(Performance.from_midi(whole))
    assert not Performance.from_midi(whole).source.truncated
    for cut in range(22, len(whole)):
        found = Performance.from_midi(whole[:cut])
        assert found.source.truncated
        assert notes_of(found) == all_notes[: len(found)]
    assert len(Performance.from_midi(whole[:-4])) == len(all_notes)


def test_a_track_that_overruns_its_own_chunk_marks_the_file_but_costs_no_other_track():
    cut = chunk(b"MTrk", b"\x00\x90\x3c")
    found = Performance.from_midi(smf([cut, ONE_NOTE]))
    assert found.source.truncated
    assert len(found) == 1


# -- refusals ---------------------------------------------------------------------------------------------------------


def body(*parts: bytes) -> bytes:
    return smf([chunk(b"MTrk", b"".join(parts))])


REFUSED = {
    Reason.TOO_LARGE: (b"MThd" + bytes(16 * 2**20), None),
    Reason.EMPTY: (b"", None),
    Reason.NOT_MIDI: (b"\x89PNG\r\n\x1a\n", 0),
    Reason.BAD_RIFF: (b"RIFF\x04\x00\x00\x00WAVE", 0),
    Reason.BAD_HEADER: (header()[:-1], 0),
    Reason.FORMAT_2: (smf([ONE_NOTE], smf_format=2), 8),
    Reason.UNKNOWN_FORMAT: (smf([ONE_NOTE], smf_format=3), 8),
    Reason.BAD_DIVISION: (smf([ONE_NOTE], division=0), 12),
    Reason.NO_TRACKS: (header(), 14),
    Reason.BAD_VARIABLE_LENGTH: (body(b"\xff\xff\xff\xff\x7f\x90\x3c\x40"), 22),
    Reason.NO_STATUS: (body(b"\x00\x3c\x40"), 23),
    Reason.BAD_DATA_BYTE: (body(b"\x00\x90\x3c\x80"), 25),
    Reason.TOO_MANY_NOTES: (body(b"\x00\x90\x3c\x40" + b"\x00\x3c\x40" * 1_000_000), None),
    Reason.TOO_LONG: (smf([track((0, note_on(60)), (200_000, note_off(60)))], division=1), None),
}
"""Bytes that are refused for each reason that bytes can give, and the offset to blame."""


@pytest.mark.parametrize("reason", REFUSED)
def test_every_reason_is_given_with_its_offset(reason: Reason):
    data, offset = REFUSED[reason]
    with pytest.raises(MidiError) as refusal:
        Performance.from_midi(data, name="some.mid")
    assert refusal.value.reason is reason
    if offset is not None:
        assert refusal.value.offset == offset
    message = str(refusal.value)
    assert message.startswith("some.mid: ")
    assert message.endswith(f"[{reason.value}]")
    assert "\n" not in message


def test_a_file_that_cannot_be_opened_is_refused_like_one_that_cannot_be_read(tmp_path):
    for path in (tmp_path / "missing.mid", tmp_path):
        with pytest.raises(MidiError) as refusal:
            read_file(path)
        assert refusal.value.reason is Reason.CANNOT_OPEN


def test_no_reason_goes_untested():
    assert {*REFUSED, Reason.CANNOT_OPEN, Reason.TRUNCATED, *DAMAGED} == set(Reason)


def test_a_million_notes_are_read_and_one_more_is_not():
    pair = b"\x01\x3c\x40\x01\x3c\x00"
    lead_in = b"\x00\x90\x3c\x40\x01\x3c\x00"
    assert len(Performance.from_midi(body(lead_in, pair * 999_999))) == 1_000_000
    with pytest.raises(MidiError) as refusal:
        Performance.from_midi(body(lead_in, pair * 1_000_000))
    assert refusal.value.reason is Reason.TOO_MANY_NOTES


def test_a_day_is_read_and_a_second_more_is_not():
    day = 24 * 3600
    lasting = smf([track((0, tempo(1_000_000)), (0, note_on(60)), (day, note_off(60)))], division=1)
    assert Performance.from_midi(lasting).seconds == day
    with pytest.raises(MidiError):
        Performance.from_midi(
            smf([track((0, tempo(1_000_000)), (0, note_on(60)), (day + 1, note_off(60)))], division=1)
        )


# -- provenance -------------------------------------------------------------------------------------------------------


def test_the_source_says_where_the_notes_came_from(tmp_path):
    import hashlib

    data = smf([track((0, tempo(400_000)), (9, tempo(500_000))), ONE_NOTE], division=96)
    path = tmp_path / "piece.mid"
    path.write_bytes(data)
    source = Performance.from_midi(path).source
    assert source.name.endswith("piece.mid")
    assert source.sha256 == hashlib.sha256(data).hexdigest()
    assert (source.smf_format, source.tracks, source.ticks_per_beat, source.tempi) == (1, 2, 96, 2)


def test_one_beat_at_the_default_tempo_is_half_a_second():
    assert Performance.from_midi(smf([ONE_NOTE])).duration.tolist() == [BEAT_NS]


# -- what a performance refuses to know -------------------------------------------------------------------------------


def test_texts_are_the_ones_mido_finds():
    tracks = [
        track((0, meta(1, "Für Elise".encode())), (5, meta(2, "© Jemand".encode("latin-1"))), (0, meta(3, b""))),
        track((0, meta(4, b"Piano")), (0, meta(5, b"la la")), (0, meta(6, b"a marker")), (9, meta(3, b"x" * 2000))),
        ONE_NOTE,
    ]
    read_ = reader.read(smf(tracks))
    assert read_.texts == ("Für Elise", "© Jemand", "", "Piano", "x" * 1000)
    latin = mido.MidiFile(file=io.BytesIO(smf(tracks)), charset="latin-1")
    kinds = ("text", "copyright", "track_name", "instrument_name")
    theirs = [message for t in latin.tracks for message in t if message.type in kinds]
    assert [m.text if m.type in ("text", "copyright") else m.name for m in theirs] == [
        "Für Elise".encode().decode("latin-1"), "© Jemand", "", "Piano", "x" * 2000
    ]  # fmt: skip


def test_only_the_first_texts_are_kept():
    syllables = track(*((1, meta(1, str(i).encode())) for i in range(300)))
    assert reader.read(smf([syllables])).texts == tuple(map(str, range(128)))


def test_onsets_in_ticks_go_with_the_notes():
    one = track((0, tempo(400_000)), (10, note_on(60)), (50, note_off(60)), (7, note_on(62)), (5, note_off(62)))
    two = track((3, note_on(64)), (90, note_off(64)))
    read_ = reader.read(smf([one, two], division=100))
    assert read_.onset_ticks.tolist() == [3, 10, 67]
    assert read_.onset.tolist() == [tick * 4_000_000 for tick in (3, 10, 67)]
