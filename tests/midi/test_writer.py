"""What is written, heard by this reader, by mido, by symusic and by a model of a player."""

from __future__ import annotations

import io
from collections import Counter

import mido
import numpy as np
import pytest
import symusic
from hypothesis import example, given, settings

from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.midi.writer import write, write_file
from tests.midi import reference_reader
from tests.midi.performances import MS, anything, build, separate


def rows(performance: Performance) -> list[tuple[int, ...]]:
    """(channel, pitch, onset ns, duration ns, velocity), sorted."""
    columns = ("channel", "pitch", "onset", "duration", "velocity")
    return sorted(zip(*(getattr(performance, name).tolist() for name in columns), strict=True))


def pedals_of(performance: Performance) -> list[tuple[int, int, int]]:
    columns = (performance.pedal_channel, performance.pedal_down, performance.pedal_up)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def messages(data: bytes) -> list[tuple[int, mido.Message]]:
    """(tick, message) of the one track."""
    file = mido.MidiFile(file=io.BytesIO(data))
    assert file.type == 0
    assert len(file.tracks) == 1
    ticks = np.cumsum([message.time for message in file.tracks[0]]).tolist()
    return list(zip(ticks, file.tracks[0], strict=True))


# -- there and back ---------------------------------------------------------------------------------------------------


@settings(max_examples=80)
@given(separate())
def test_whole_milliseconds_come_back_exactly(performance: Performance):
    back = Performance.from_midi(write(performance))
    assert rows(back) == rows(performance)
    assert pedals_of(back) == pedals_of(performance)
    assert instruments(back) == instruments(performance)


def instruments(performance: Performance) -> dict[int, int]:
    return dict(zip(performance.channel.tolist(), performance.instrument.tolist(), strict=True))


@settings(max_examples=80)
@given(separate(grain=1))
def test_finer_times_come_back_within_a_twentieth_of_a_millisecond(performance: Performance):
    back = Performance.from_midi(write(performance))
    assert len(back) == len(performance)
    for found, wanted in zip(rows(back), rows(performance), strict=True):
        assert (found[0], found[1], found[4]) == (wanted[0], wanted[1], wanted[4])
        assert abs(found[2] - wanted[2]) <= 50_000
        assert abs(found[2] + found[3] - wanted[2] - wanted[3]) <= 50_000


@settings(max_examples=80)
@given(anything())
def test_a_second_trip_changes_nothing_not_even_the_order(performance: Performance):
    once = Performance.from_midi(write(performance))
    twice = Performance.from_midi(write(once))
    for name in ("pitch", "velocity", "onset", "duration", "channel", "instrument"):
        np.testing.assert_array_equal(getattr(twice, name), getattr(once, name), err_msg=name)
    assert pedals_of(twice) == pedals_of(once)


@settings(max_examples=60)
@given(anything())
def test_no_note_is_lost_and_none_is_silent(performance: Performance):
    back = Performance.from_midi(write(performance))
    assert Counter(zip(back.channel.tolist(), back.pitch.tolist(), strict=True)) == Counter(
        zip(performance.channel.tolist(), performance.pitch.tolist(), strict=True)
    )
    assert np.all(back.duration > 0)


def test_times_of_a_real_file_at_an_odd_resolution_survive():
    ticks = np.arange(0, 384 * 200, 97)
    onset = ticks * (500_000_000 / 384)
    performance = build([(int(o), 37_000_000, 60, 64, 0) for o in onset])
    assert np.abs(Performance.from_midi(write(performance)).onset - performance.onset).max() <= 50_000


def test_halves_of_a_tick_go_to_the_even_neighbour():
    performance = build([(time, MS, pitch, 64, 0) for pitch, time in enumerate((50_000, 150_000, 250_000, 350_001))])
    assert Performance.from_midi(write(performance)).onset.tolist() == [0, 200_000, 200_000, 400_000]


def test_a_long_performance_is_written_in_whole_milliseconds():
    performance = build([(0, 1_234_567, 60, 64, 0), (1_100 * 10**9 + 300_001, MS, 60, 64, 0)])
    data = write(performance)
    assert max(tick for tick, _ in messages(data)) < 10_000_000
    assert np.abs(Performance.from_midi(data).onset - performance.onset).max() <= MS // 2


@settings(max_examples=50)
@given(anything())
def test_the_same_performance_gives_the_same_bytes(performance: Performance):
    twin = build(
        list(
            zip(
                *(getattr(performance, n).tolist() for n in ("onset", "duration", "pitch", "velocity", "channel")),
                strict=True,
            )
        ),
        [(down, up, channel) for channel, down, up in pedals_of(performance)],
        dict(performance.programs),
    )
    assert write(performance) == write(twin)


def test_the_bytes_themselves():
    performance = build([(0, 500 * MS, 60, 64, 0), (200 * MS, 100 * MS, 64, 80, 0)], [(0, 250 * MS, 0)], {0: 5})
    assert write(performance) == bytes.fromhex(
        "4d546864 00000006 0000 0001 01f4"
        "4d54726b 00000028"
        "00 ff51 03 07a120"
        "00 c005"
        "00 b0407f"
        "00 903c40"
        "8148 904050"
        "32 b04000"
        "32 804040"
        "8148 803c40"
        "00 ff2f00"
    )


# -- other readers ----------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(anything())
def test_the_slow_rules_on_mido_hear_the_same(performance: Performance):
    data = write(performance)
    back, expected = Performance.from_midi(data), reference_reader.read(data)
    found = zip(back.pitch, back.velocity, back.channel, back.onset, back.duration, strict=True)
    assert [tuple(int(v) for v in row) for row in found] == [
        (note.pitch, note.velocity, note.channel, note.start * 10**9, (note.end - note.start) * 10**9)
        for note in expected.notes
    ]
    assert pedals_of(back) == sorted((c, down * 10**9, up * 10**9) for down, up, c in expected.pedals)


@settings(max_examples=60)
@given(separate())
def test_symusic_hears_the_same(performance: Performance):
    score = symusic.Score.from_midi(write(performance), ttype="tick")
    found = sorted((n.pitch, n.time, n.duration, n.velocity) for t in score.tracks for n in t.notes)
    assert found == sorted((p, on // MS, length // MS, v) for _, p, on, length, v in rows(performance))


# -- one key cannot be down twice -------------------------------------------------------------------------------------


@settings(max_examples=80)
@given(anything())
@example(build([(0, 9 * MS, 60, 64, 0), (5 * MS, 2 * MS, 60, 64, 0)]))
@example(build([(0, 5 * MS, 60, 64, 0), (0, 9 * MS, 60, 64, 0), (9 * MS, MS, 60, 64, 0)]))
def test_a_player_never_meets_a_key_that_is_already_down(performance: Performance):
    down: dict[tuple[int, int], list[int]] = {}
    for tick, message in messages(write(performance)):
        if message.type == "note_on":
            key = (message.channel, message.note)
            assert message.velocity > 0
            assert set(down.get(key, [])) <= {tick}  # a double strike, at one moment
            down.setdefault(key, []).append(tick)
        elif message.type == "note_off":
            assert down[message.channel, message.note].pop() < tick
    assert not any(down.values())


@settings(max_examples=80)
@given(anything())
def test_a_note_ends_where_its_key_is_struck_again_and_doubles_end_with_the_longest(performance: Performance):
    back = Performance.from_midi(write(performance))
    grain = MS if back.source.ticks_per_beat == 500 else 100_000

    def rounded(time: int) -> int:
        return round(int(time) / grain) * grain

    notes = [
        (int(c), int(p), rounded(o), max(rounded(o + d), rounded(o) + grain), int(v))
        for c, p, o, d, v in zip(
            performance.channel, performance.pitch, performance.onset, performance.duration, performance.velocity,
            strict=True,
        )
    ]  # fmt: skip
    expected = []
    for channel, pitch, onset, _, velocity in notes:
        same_key = [note for note in notes if note[:2] == (channel, pitch)]
        longest = max(note[3] for note in same_key if note[2] == onset)
        next_strike = min((note[2] for note in same_key if note[2] > onset), default=longest)
        expected.append((channel, pitch, onset, min(longest, next_strike) - onset, velocity))
    assert rows(back) == sorted(expected)


# -- pedal and programs -----------------------------------------------------------------------------------------------


@settings(max_examples=80)
@given(anything())
def test_pedals_go_down_and_up_by_turns_and_cover_the_same_time(performance: Performance):
    data = write(performance)
    grain = MS if Performance.from_midi(data).source.ticks_per_beat == 500 else 100_000
    written: dict[int, list[tuple[int, int]]] = {}
    for tick, message in messages(data):
        if message.type == "control_change":
            assert (message.control, message.value) in ((64, 127), (64, 0))
            turns = written.setdefault(message.channel, [])
            assert (message.value == 127) == (len(turns) % 2 == 0)
            turns.append((tick, message.value))
    for channel in range(16):
        moments = [tick for tick, _ in written.get(channel, [])]
        found = merged(list(zip(moments[::2], moments[1::2], strict=True)))
        mine = [(round(d / grain), round(u / grain)) for c, d, u in pedals_of(performance) if c == channel]
        assert found == merged([(down, up) for down, up in mine if up > down])


def merged(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The union of intervals."""
    union: list[tuple[int, int]] = []
    for down, up in sorted(intervals):
        if union and down <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], up))
        else:
            union.append((down, up))
    return union


def test_a_repedalling_at_one_moment_stays_two_pedals():
    performance = build([(0, 900 * MS, 60, 64, 0)], [(0, 300 * MS, 0), (300 * MS, 600 * MS, 0)])
    assert pedals_of(Performance.from_midi(write(performance))) == [(0, 0, 300 * MS), (0, 300 * MS, 600 * MS)]


@settings(max_examples=60)
@given(anything())
def test_at_one_tick_keys_rise_then_pedals_move_then_keys_fall(performance: Performance):
    order = {"note_off": 0, "note_on": 3}
    moves = [
        (tick, order.get(message.type, 1 if message.type == "control_change" and message.value == 0 else 2))
        for tick, message in messages(write(performance))
        if message.type in ("note_off", "note_on", "control_change")
    ]
    assert moves == sorted(moves)


@settings(max_examples=60)
@given(anything())
def test_every_sounding_channel_gets_its_program_before_its_first_note(performance: Performance):
    program: dict[int, int] = {}
    for _, message in messages(write(performance)):
        if message.type == "program_change":
            program[message.channel] = message.program
        elif message.type == "note_on":
            assert message.channel in program or message.channel == 9
    melodic = set(performance.channel.tolist()) - {9}
    assert program == dict.fromkeys(melodic, 0) | dict(performance.programs)


# -- the empty, the impossible, the file ------------------------------------------------------------------------------


def test_an_empty_performance_is_a_file_without_notes():
    data = write(build([]))
    assert len(Performance.from_midi(data)) == 0
    assert [message.type for _, message in messages(data)] == ["set_tempo", "end_of_track"]


def test_what_begins_before_the_file_is_refused():
    with pytest.raises(UserError, match="before the start"):
        write(build([(-MS, 2 * MS, 60, 64, 0)]))


def test_a_silence_too_long_for_the_format_is_refused():
    with pytest.raises(UserError, match="too long"):
        write(build([(10**15, MS, 60, 64, 0)]))


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path):
    performance = build([(0, MS, 60, 64, 0)])
    path = tmp_path / "out.mid"
    path.write_bytes(b"old")
    write_file(performance, path)
    assert path.read_bytes() == write(performance)
    assert [entry.name for entry in tmp_path.iterdir()] == ["out.mid"]


def test_a_failed_write_says_why_and_leaves_nothing(tmp_path):
    folder = tmp_path / "folder.mid"
    folder.mkdir()
    with pytest.raises(UserError, match=r"cannot write .*folder\.mid"):
        write_file(build([]), folder)
    with pytest.raises(UserError, match="cannot write"):
        write_file(build([]), tmp_path / "missing" / "out.mid")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder.mid"]
