"""Slicing, transposing, stretching and the rest: what always holds, and that nothing changes in place."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError, fields, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import UserError
from partimento.midi.columns import Provenance
from partimento.midi.instruments import CLASS_OF_PROGRAM, DRUM, INSTRUMENTS
from partimento.midi.performance import Performance
from tests.midi.performances import MS, anything, build, separate

NOTE_COLUMNS = ("pitch", "velocity", "onset", "duration", "channel", "instrument")
PEDAL_COLUMNS = ("pedal_down", "pedal_up", "pedal_channel")


def columns(performance: Performance, names: tuple[str, ...] = NOTE_COLUMNS + PEDAL_COLUMNS) -> dict[str, list[int]]:
    return {name: getattr(performance, name).tolist() for name in names}


def pedals_of(performance: Performance) -> list[tuple[int, int, int]]:
    return list(zip(*columns(performance, PEDAL_COLUMNS).values(), strict=True))


def assert_whole(performance: Performance) -> None:
    """Everything that the class promises of its columns."""
    n, m = len(performance.pitch), len(performance.pedal_down)
    for name in NOTE_COLUMNS + PEDAL_COLUMNS:
        column = getattr(performance, name)
        wide = name in ("onset", "duration", "pedal_down", "pedal_up")
        assert column.dtype == (np.int64 if wide else np.uint8), name
        assert column.shape == (n if name in NOTE_COLUMNS else m,), name
        assert not column.flags.writeable, name
    assert np.all(np.diff(performance.onset) >= 0)
    assert np.all(np.diff(performance.pedal_down) >= 0)
    assert np.all(performance.duration > 0)
    assert np.all(performance.pedal_up >= performance.pedal_down)
    assert np.all((performance.velocity >= 1) & (performance.velocity <= 127))
    assert np.all(performance.pitch <= 127)
    assert np.all(performance.channel <= 15)
    assert np.all(performance.instrument < len(INSTRUMENTS))


# -- immutability -----------------------------------------------------------------------------------------------------

CHANGES = {
    "slice_time": lambda p: p.slice_time(0.1, 0.5),
    "slice_notes": lambda p: p.slice_notes(0, len(p) // 2),
    "select": lambda p: p.select(p.pitch > 30),
    "transpose": lambda p: p.select((p.pitch > 5) & (p.pitch < 120)).transpose(-3),
    "stretch": lambda p: p.stretch(1.37),
    "change_velocity": lambda p: p.change_velocity(40),
    "shift": lambda p: p.shift(1.5),
    "merge": lambda p: p.merge(p.shift(0.25)),
}


@pytest.mark.parametrize("change", CHANGES)
@settings(max_examples=25)
@given(performance=anything())
def test_a_change_gives_a_whole_performance_and_leaves_the_old_one_alone(change: str, performance: Performance):
    before = columns(performance)
    assert_whole(CHANGES[change](performance))
    assert columns(performance) == before


def test_columns_and_fields_cannot_be_written():
    performance = build([(0, MS, 60, 64, 0)], [(0, MS, 0)])
    for name in NOTE_COLUMNS + PEDAL_COLUMNS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(performance, name)[:] = 0
    for field in fields(performance):
        with pytest.raises(FrozenInstanceError):
            setattr(performance, field.name, None)


def test_columns_of_unequal_length_are_refused():
    performance = build([(0, MS, 60, 64, 0)], [(0, MS, 0)])
    parts = {field.name: getattr(performance, field.name) for field in fields(performance)}
    for name in ("velocity", "pedal_up"):
        with pytest.raises(ValueError, match="one length"):
            Performance(**{**parts, name: np.zeros(2, parts[name].dtype)})


# -- slices -----------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(anything(), st.lists(st.integers(0, 100_000), min_size=2, max_size=5, unique=True))
def test_slices_of_time_that_follow_each_other_hold_every_note_once(performance: Performance, cuts: list[int]):
    bounds = [0.0, *(cut / 1000 for cut in sorted(cuts)), 10_000.0]
    found: dict[str, list[int]] = {name: [] for name in NOTE_COLUMNS}
    for start, end in pairwise(bounds):
        part = performance.slice_time(start, end)
        assert_whole(part)
        assert np.all((part.onset >= 0) & (part.onset < round(end * 1e9) - round(start * 1e9)))
        for name, values in columns(part, NOTE_COLUMNS).items():
            found[name] += [value + round(start * 1e9) for value in values] if name == "onset" else values
    assert found == columns(performance, NOTE_COLUMNS)


@settings(max_examples=60)
@given(anything(), st.data())
def test_a_slice_of_notes_is_those_notes_on_a_clock_of_its_own(performance: Performance, data: st.DataObject):
    first = data.draw(st.integers(0, len(performance)))
    last = data.draw(st.integers(first, len(performance)))
    part = performance.slice_notes(first, last)
    assert_whole(part)
    assert len(part) == last - first
    if last > first:
        assert part.onset[0] == 0
        np.testing.assert_array_equal(part.onset, performance.onset[first:last] - performance.onset[first])
    for name in ("pitch", "velocity", "duration", "channel", "instrument"):
        np.testing.assert_array_equal(getattr(part, name), getattr(performance, name)[first:last])


def test_a_slice_takes_its_share_of_every_pedal():
    performance = build(
        [(i * 100 * MS, 50 * MS, 60, 64, 0) for i in range(10)],
        [(0, 250 * MS, 0), (300 * MS, 400 * MS, 0), (550 * MS, 900 * MS, 0)],
    )
    part = performance.slice_time(0.2, 0.6)
    assert list(zip(part.pedal_down // MS, part.pedal_up // MS, strict=True)) == [(0, 50), (100, 200), (350, 400)]


def test_the_notes_that_start_in_the_slice_keep_their_length():
    performance = build([(0, 900 * MS, 50, 64, 0), (100 * MS, 900 * MS, 60, 64, 0), (200 * MS, MS, 70, 64, 0)])
    part = performance.slice_time(0.1, 0.2)
    assert (part.pitch.tolist(), part.onset.tolist(), part.duration.tolist()) == ([60], [0], [900 * MS])


@pytest.mark.parametrize(("start", "end"), [(-1, 1), (2, 1), (float("nan"), 1), (0, float("nan"))])
def test_impossible_slices_of_time_are_refused(start: float, end: float):
    with pytest.raises(UserError, match="slice"):
        build([]).slice_time(start, end)


@pytest.mark.parametrize(("first", "last"), [(-1, 1), (1, 0), (0, 3)])
def test_impossible_slices_of_notes_are_refused(first: int, last: int):
    with pytest.raises(UserError, match="slice"):
        build([(0, MS, 60, 64, 0), (0, MS, 61, 64, 0)]).slice_notes(first, last)


def test_a_slice_without_an_end_goes_to_the_end():
    performance = build([(0, MS, 60, 64, 0), (10**15, MS, 61, 64, 0)])
    assert len(performance.slice_time(0, float("inf"))) == 2


# -- transposing, velocity --------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(anything(), st.integers(-130, 130))
def test_transposing_moves_all_but_drums_or_refuses(performance: Performance, semitones: int):
    melodic = performance.instrument != DRUM
    moved = performance.pitch.astype(int) + semitones * melodic
    if len(moved) and (moved.min() < 0 or moved.max() > 127):
        with pytest.raises(UserError, match="pitch after transposing"):
            performance.transpose(semitones)
        return
    up = performance.transpose(semitones)
    np.testing.assert_array_equal(up.pitch, moved)
    assert columns(up.transpose(-semitones)) == columns(performance)


@settings(max_examples=60)
@given(anything(), st.integers(-200, 200))
def test_velocity_changes_by_the_same_amount_up_to_the_limits(performance: Performance, delta: int):
    changed = performance.change_velocity(delta)
    assert changed.velocity.tolist() == [min(max(v + delta, 1), 127) for v in performance.velocity.tolist()]
    others = tuple(name for name in NOTE_COLUMNS + PEDAL_COLUMNS if name != "velocity")
    assert columns(changed, others) == columns(performance, others)


# -- stretching, shifting, merging ------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(anything(), st.floats(0.01, 100))
def test_stretching_multiplies_every_time(performance: Performance, factor: float):
    slower = performance.stretch(factor)
    assert_whole(slower)
    np.testing.assert_allclose(slower.onset, performance.onset * factor, atol=0.5)
    np.testing.assert_allclose(slower.duration, np.maximum(performance.duration * factor, 1), atol=0.5)
    untimed = ("pitch", "velocity", "channel", "instrument")
    assert columns(slower, untimed) == columns(performance, untimed)
    scaled = [(round(down * factor), round(up * factor), channel) for down, up, channel in pedals_of(performance)]
    np.testing.assert_allclose(pedals_of(slower), [(d, u, c) for d, u, c in scaled if u > d], atol=1)


@pytest.mark.parametrize("factor", [0, -1, float("nan"), float("inf")])
def test_impossible_stretches_are_refused(factor: float):
    with pytest.raises(UserError, match="stretch"):
        build([]).stretch(factor)


@settings(max_examples=60)
@given(anything(), st.integers(0, 10**6))
def test_shifting_there_and_back_is_nothing(performance: Performance, milliseconds: int):
    later = performance.shift(milliseconds / 1000)
    np.testing.assert_array_equal(later.onset, performance.onset + milliseconds * MS)
    back = later.shift(-milliseconds / 1000)
    assert columns(back, NOTE_COLUMNS) == columns(performance, NOTE_COLUMNS)
    assert pedals_of(back) == [(down, up, channel) for down, up, channel in pedals_of(performance) if up > down]


def test_of_a_pedal_shifted_before_the_start_what_is_left_remains():
    performance = build(
        [(5 * MS, MS, 60, 64, 0)], [(0, MS, 0), (MS, 2 * MS, 0), (2 * MS, 4 * MS, 0), (4 * MS, 9 * MS, 0)]
    )
    assert pedals_of(performance.shift(-0.003)) == [(0, MS, 0), (MS, 6 * MS, 0)]
    assert pedals_of(performance.shift(-0.002)) == [(0, 2 * MS, 0), (2 * MS, 7 * MS, 0)]


@settings(max_examples=50)
@given(anything(), st.data())
def test_no_cut_leaves_a_pedal_without_length(performance: Performance, data: st.DataObject):
    first = data.draw(st.integers(0, len(performance)))
    part = performance.slice_notes(first, data.draw(st.integers(first, len(performance))))
    start = data.draw(st.sampled_from([0, *performance.pedal_up.tolist(), *performance.pedal_down.tolist()])) / 1e9
    end = start + data.draw(st.sampled_from([0.0, 0.001, 5.0]))
    earlier = performance.shift(-int(performance.onset[0] if len(performance) else 10**9) / 1e9)
    for changed in (part, performance.slice_time(start, end), earlier, performance.stretch(1e-9)):
        assert np.all(changed.pedal_up > changed.pedal_down)


def test_no_note_can_be_shifted_before_the_start():
    with pytest.raises(UserError, match="before the start"):
        build([(5 * MS, MS, 60, 64, 0)]).shift(-0.006)


@settings(max_examples=60)
@given(separate(), separate())
def test_merging_keeps_every_note_of_both(one: Performance, other: Performance):
    both = one.merge(other)
    assert_whole(both)
    found, mine, theirs = (zip(*columns(p, NOTE_COLUMNS[:-1]).values(), strict=True) for p in (both, one, other))
    assert sorted(found) == sorted([*mine, *theirs])


@settings(max_examples=60)
@given(anything(), anything())
def test_merged_a_pedal_is_down_where_it_was_in_either(one: Performance, other: Performance):
    both = one.merge(other)
    edges = sorted({time for p in (one, other) for down, up, _ in pedals_of(p) for time in (down, up)})
    for channel in range(16):

        def is_down(performance: Performance, time: float, channel: int = channel) -> int:
            return sum(down <= time < up for down, up, of in pedals_of(performance) if of == channel)

        for before, after in pairwise(edges):
            middle = (before + after) / 2
            assert is_down(both, middle) == max(min(1, is_down(one, middle)), min(1, is_down(other, middle)))


def test_pedal_intervals_that_overlap_become_one_and_impossible_ones_are_refused():
    note = {"pitch": 60, "velocity": 64, "onset": 0, "duration": 1}
    performance = Performance.from_notes(**note, pedal=[(0.5, 0.9), (0.1, 0.6), (0.2, 0.3), (2, 3)])
    assert pedals_of(performance) == [(100 * MS, 900 * MS, 0), (2000 * MS, 3000 * MS, 0)]
    for impossible in [(0.5, 0.4)], [(-0.1, 0.4)]:
        with pytest.raises(UserError, match="up not before down"):
            Performance.from_notes(**note, pedal=impossible)


def test_a_repedalling_survives_a_merge():
    one = build([(0, MS, 60, 64, 0)], [(0, 2 * MS, 0), (2 * MS, 3 * MS, 0)])
    other = build([(0, MS, 60, 64, 0)], [(4 * MS, 6 * MS, 0), (5 * MS, 7 * MS, 0), (5 * MS, 6 * MS, 1)])
    expected = [(0, 2 * MS, 0), (2 * MS, 3 * MS, 0), (4 * MS, 7 * MS, 0), (5 * MS, 6 * MS, 1)]
    assert pedals_of(one.merge(other)) == pedals_of(other.merge(one)) == expected


@settings(max_examples=50)
@given(separate(), separate())
def test_after_a_merge_every_channel_is_what_its_program_says(one: Performance, other: Performance):
    both = one.merge(other)
    programs = dict(both.programs)
    for channel, instrument in zip(both.channel.tolist(), both.instrument.tolist(), strict=True):
        assert instrument == (DRUM if channel == 9 else CLASS_OF_PROGRAM[programs.get(channel, 0)])
    for channel in range(16):
        mine = channel in one.channel or channel in dict(one.programs)
        assert programs.get(channel) == dict((one if mine else other).programs).get(channel)


def test_the_first_piano_is_not_turned_into_the_second_s_strings():
    piano, strings = (
        build([(0, MS, 60, 64, 0)]),
        build([(0, MS, 62, 64, 0), (0, MS, 64, 64, 1)], programs={0: 40, 1: 40}),
    )
    both = piano.merge(strings)
    assert [INSTRUMENTS[i] for i in both.instrument] == ["piano", "piano", "strings"]
    assert [INSTRUMENTS[i] for i in Performance.from_midi(both.to_midi()).instrument] == ["piano", "piano", "strings"]


# -- sounding ---------------------------------------------------------------------------------------------------------


@settings(max_examples=100)
@given(separate())
def test_the_pedal_lengthens_the_notes_released_strictly_inside_it(performance: Performance):
    expected = []
    for onset, duration, channel in zip(performance.onset, performance.duration, performance.channel, strict=True):
        end = onset + duration
        for down, up, of in zip(performance.pedal_down, performance.pedal_up, performance.pedal_channel, strict=True):
            if of == channel and down < onset + duration < up:
                end = up
        expected.append(end - onset)
    assert performance.sounding_duration().tolist() == expected


# -- making one -------------------------------------------------------------------------------------------------------


def test_notes_are_sorted_stably_and_scalars_broadcast():
    performance = Performance.from_notes(pitch=[70, 60, 65, 62], velocity=80, onset=[1, 0, 1, 0], duration=0.5)
    assert_whole(performance)
    assert performance.pitch.tolist() == [60, 62, 70, 65]
    assert performance.onset_seconds.tolist() == [0, 0, 1, 1]
    assert performance.duration_seconds.tolist() == [0.5] * 4
    assert (len(performance), performance.seconds, performance.end) == (4, 1.5, 1_500_000_000)
    assert "4 notes" in repr(performance)


def test_no_notes_are_a_performance_too():
    for channel in (0, []):
        performance = Performance.from_notes(pitch=[], velocity=[], onset=[], duration=[], channel=channel)
        assert_whole(performance)
        assert len(performance) == 0


def test_the_caller_s_arrays_stay_the_caller_s():
    pitch = np.array([60, 62], np.uint8)
    performance = Performance.from_notes(pitch=pitch, velocity=80, onset=[0.0, 1.0], duration=0.5)
    pitch[0] = 1
    assert performance.pitch.tolist() == [60, 62]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pitch", 128),
        ("pitch", -1),
        ("velocity", 0),
        ("velocity", 128),
        ("channel", 16),
        ("onset", -1),
        ("duration", 0),
    ],
)
def test_values_that_midi_cannot_hold_are_refused(field: str, value: int):
    good = {"pitch": 60, "velocity": 64, "onset": 0.0, "duration": 1.0, "channel": 0}
    with pytest.raises(UserError, match=field):
        Performance.from_notes(**{**good, field: value})


def test_instruments_follow_the_programs_and_channel_ten_is_drums():
    performance = Performance.from_notes(
        pitch=60, velocity=64, onset=0, duration=1, channel=[0, 1, 2, 9], programs=[(0, 0), (1, 40), (9, 40)]
    )
    assert [INSTRUMENTS[i] for i in performance.instrument] == ["piano", "strings", "piano", "drum"]


def test_a_file_and_its_bytes_read_the_same(tmp_path):
    performance = Performance.from_notes(pitch=[60, 64], velocity=64, onset=[0, 0.5], duration=1, pedal=[(0.1, 0.9)])
    path = tmp_path / "a.mid"
    performance.write_midi(path)
    assert path.read_bytes() == performance.to_midi()
    assert columns(Performance.from_midi(path)) == columns(Performance.from_midi(path.read_bytes()))
    assert columns(Performance.from_midi(path)) == columns(performance)


def test_reading_and_writing_load_no_torch():
    code = (
        "import sys; from partimento.midi.performance import Performance;"
        "p = Performance.from_notes(pitch=60, velocity=64, onset=0, duration=1); Performance.from_midi(p.to_midi());"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# -- as people reach for it -------------------------------------------------------------------------------------------


SOME = build([(0, 5 * MS, 60, 80, 0), (MS, MS, 35, 90, 9), (7 * MS, MS, 60, 1, 1)], [(0, 9 * MS, 0)], {1: 40})


@pytest.mark.parametrize("performance", [SOME, build([])])
def test_notes_are_the_columns_row_by_row(performance: Performance):
    rows = [(n.pitch, n.velocity, n.onset_s, n.duration_s, n.instrument) for n in performance]
    assert rows == list(
        zip(
            performance.pitch.tolist(),
            performance.velocity.tolist(),
            performance.onset_seconds.tolist(),
            performance.duration_seconds.tolist(),
            performance.instrument.tolist(),
            strict=True,
        )
    )
    assert performance.notes == list(performance)
    if rows:
        assert (performance[0], performance[-1]) == (performance.notes[0], performance.notes[-1])
    with pytest.raises(IndexError):
        performance[len(performance)]


@pytest.mark.parametrize("performance", [SOME, build([])])
def test_equal_is_who_plays_the_same_wherever_it_came_from(performance: Performance):
    same = replace(performance, source=Provenance(name="elsewhere"))
    assert same == performance
    assert hash(same) == hash(performance)
    assert performance != "a performance"
    if len(performance):
        assert performance.shift(0.001) != performance
        assert replace(performance, programs=((0, 77),)) != replace(performance, programs=((0, 78),))
        assert performance.select(np.arange(len(performance)) > 0) != performance


def test_save_is_write_midi(tmp_path):
    performance = Performance.from_notes(pitch=[60, 64], velocity=70, onset=[0, 1], duration=1)
    performance.save(tmp_path / "a.mid")
    assert (tmp_path / "a.mid").read_bytes() == performance.to_midi()
