"""Performances against mido, symusic and pretty_midi themselves: there and back, and what each of them reads."""

from __future__ import annotations

import io
import sys
from dataclasses import replace

import mido
import numpy as np
import pretty_midi
import pytest
import symusic
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import UserError
from partimento.midi.columns import unite_pedals
from partimento.midi.performance import Performance
from tests.midi.interchange.music import music_of
from tests.midi.performances import MS, anything, build, separate
from tests.midi.smf_bytes import separate_keys

QUICK = settings(max_examples=15)


@given(anything())
@QUICK
def test_a_mido_file_is_the_file_that_is_written(performance):
    midi_file = performance.to_mido()
    assert isinstance(midi_file, mido.MidiFile)
    assert Performance.from_mido(midi_file) == Performance.from_midi(performance.to_midi())


@given(separate(grain=100_000))
@QUICK
def test_through_mido_nothing_is_lost_of_tenths_of_milliseconds(performance):
    assert music_of(Performance.from_mido(performance.to_mido())) == music_of(performance)


def test_a_file_that_mido_loaded_keeps_its_name(tmp_path):
    build([(0, MS, 60, 64, 0)]).save(tmp_path / "x.mid")
    midi_file = mido.MidiFile(tmp_path / "x.mid")
    assert Performance.from_mido(midi_file).source.name == str(tmp_path / "x.mid")


def _of_playing_channels(performance: Performance) -> Performance:
    playing = np.isin(performance.pedal_channel, performance.channel)
    pedal = {name: getattr(performance, name)[playing] for name in ("pedal_down", "pedal_up", "pedal_channel")}
    return replace(performance, **pedal)


@given(separate(grain=100_000))
@QUICK
def test_through_symusic_only_channel_numbers_are_lost(performance):
    """And what belongs to a channel without notes, which symusic has no track for."""
    score = performance.to_symusic()
    assert score.ttype == symusic.TimeUnit.tick
    assert music_of(Performance.from_symusic(score)) == music_of(_of_playing_channels(performance))


@given(separate())
@QUICK
def test_a_score_in_quarters_or_seconds_is_read_to_twenty_microseconds(performance):
    score = performance.to_symusic()
    for unit in ("quarter", "second"):
        notes, pedal = music_of(Performance.from_symusic(score.to(unit)))
        for mine, theirs in zip((notes, pedal), music_of(_of_playing_channels(performance)), strict=True):
            assert [row[2:] for row in mine] == [row[2:] for row in theirs]
            assert np.allclose([row[:2] for row in mine], [row[:2] for row in theirs], rtol=0, atol=20_000)


@given(
    separate_keys(),
    st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 16_000_000)), unique_by=lambda t: t[0], max_size=5),
    st.sampled_from([96, 480]),
)
@QUICK
def test_a_scores_tempi_say_when_its_ticks_are(keys, tempi, division):
    """symusic's own file of the same score, read by our reader, has every note and pedal at the same nanosecond."""
    score = symusic.Score(division)
    score.tempos.extend(symusic.Tempo(time, mspq=tempo) for time, tempo in sorted(tempi))
    track = symusic.Track("", 5, False)
    track.notes.extend(symusic.Note(key.onset, key.duration, key.pitch, key.velocity) for key in keys)
    track.controls.extend(symusic.ControlChange(key.onset, 64, key.velocity) for key in keys)
    score.tracks.append(track)
    assert music_of(Performance.from_symusic(score)) == music_of(Performance.from_midi(score.dumps_midi()))


@given(anything())
@QUICK
def test_through_pretty_midi_only_channel_numbers_are_lost_to_the_nanosecond(performance):
    """Keys that overlap themselves and times off every grid, too; pedals that overlap become one."""
    midi = performance.to_pretty_midi()
    assert all(isinstance(one, pretty_midi.Instrument) for one in midi.instruments)
    down, up, channel = unite_pedals(performance.pedal_down, performance.pedal_up, performance.pedal_channel)
    expected = replace(performance, pedal_down=down, pedal_up=up, pedal_channel=channel)
    assert music_of(Performance.from_pretty_midi(midi)) == music_of(expected)


@given(separate(grain=100_000))
@QUICK
def test_pretty_midi_reads_the_written_file_as_the_same_objects(performance):
    read = pretty_midi.PrettyMIDI(io.BytesIO(performance.to_midi()))
    mine = performance.to_pretty_midi()
    said = [
        sorted(
            (one.program, one.is_drum, note.pitch, note.velocity, round(note.start, 6), round(note.end, 6))
            for one in midi.instruments
            for note in one.notes
        )
        for midi in (read, mine)
    ]
    assert said[0] == said[1]


@given(separate(grain=100_000))
@QUICK
def test_what_pretty_midi_writes_is_fine_enough(performance):
    """Its default resolution would move notes by a millisecond."""
    written = io.BytesIO()
    performance.to_pretty_midi().write(written)
    read = Performance.from_midi(written.getvalue())
    notes, pedal = music_of(performance)
    found, held = music_of(read)
    assert np.allclose([note[:2] for note in found], [note[:2] for note in notes], rtol=0, atol=60_000)
    assert [note[2:] for note in found] == [note[2:] for note in notes]
    assert np.allclose([row[:2] for row in held], [row[:2] for row in pedal], rtol=0, atol=60_000)


def test_a_pedal_of_pretty_midi_that_is_never_lifted_ends_with_the_last_note():
    midi = pretty_midi.PrettyMIDI()
    piano = pretty_midi.Instrument(0)
    piano.notes = [pretty_midi.Note(80, 60, 0.0, 3.0), pretty_midi.Note(80, 62, 1.0, 2.0)]
    piano.control_changes = [pretty_midi.ControlChange(64, value, time) for value, time in ((64, 0.5), (127, 0.7))]
    midi.instruments = [piano]
    read = Performance.from_pretty_midi(midi)
    assert (read.pedal_down.tolist(), read.pedal_up.tolist()) == ([500 * MS], [2000 * MS])


def _parts(programs: list[int]) -> tuple[pretty_midi.PrettyMIDI, symusic.Score]:
    midi, score = pretty_midi.PrettyMIDI(), symusic.Score(480)
    for number, program in enumerate(programs):
        instrument = pretty_midi.Instrument(program)
        instrument.notes = [pretty_midi.Note(80, 40 + number, 0.0, 0.5)]
        midi.instruments.append(instrument)
        track = symusic.Track("", program, False)
        track.notes.append(symusic.Note(0, 480, 40 + number, 80))
        score.tracks.append(track)
    return midi, score


def test_more_parts_than_channels_share_them_by_program():
    midi, score = _parts([number % 12 for number in range(20)])
    read = Performance.from_pretty_midi(midi)
    assert dict(read.programs)[int(read.channel[read.pitch == 53][0])] == 13 % 12
    assert music_of(read) == music_of(Performance.from_symusic(score))
    assert 9 not in read.channel


def test_more_programs_than_channels_are_refused():
    midi, score = _parts(list(range(20)))
    with pytest.raises(UserError, match="20 instruments with 20 programs; a performance has 15 channels"):
        Performance.from_pretty_midi(midi)
    with pytest.raises(UserError, match="a Score of 20 tracks"):
        Performance.from_symusic(score)


def test_nothing_becomes_nothing():
    assert len(Performance.from_pretty_midi(pretty_midi.PrettyMIDI())) == 0
    assert len(Performance.from_symusic(symusic.Score(480))) == 0
    assert len(Performance.from_mido(mido.MidiFile(type=0, tracks=[mido.MidiTrack()]))) == 0


@pytest.mark.parametrize("library", ["mido", "symusic", "pretty_midi", "pandas"])
def test_a_library_that_is_missing_is_named(monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(UserError, match=f"^{library} is not installed; pip install {library}$"):
        getattr(build([(0, MS, 60, 64, 0)]), f"to_{library}")()
