"""`partimento info` of a MIDI file beside what mido finds in it."""

import json

import mido
import pytest

from partimento.cli import main


@pytest.fixture
def duo(tmp_path):
    """A file written by mido: nine notes of a piano, with pedal, and three of a flute, half a second each."""
    piano = mido.MidiTrack([mido.Message("control_change", control=64, value=127)])
    for pitch in range(40, 49):
        piano.append(mido.Message("note_on", note=pitch, velocity=pitch))
        piano.append(mido.Message("note_off", note=pitch, time=480))
    piano.append(mido.Message("control_change", control=64, value=0))
    flute = mido.MidiTrack([mido.Message("program_change", channel=1, program=73)])
    for pitch in (72, 74, 76):
        flute.append(mido.Message("note_on", channel=1, note=pitch, velocity=100))
        flute.append(mido.Message("note_off", channel=1, note=pitch, time=480))
    path = tmp_path / "duo.mid"
    mido.MidiFile(type=1, ticks_per_beat=480, tracks=[piano, flute]).save(path)
    return path


def test_a_midi_file_is_told_as_mido_reads_it(duo, capsys):
    assert main(["info", str(duo), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    file = mido.MidiFile(duo)
    struck = [message for message in file if message.type == "note_on" and message.velocity]
    loudness = [message.velocity for message in struck]
    assert facts["notes"] == len(struck) == 12
    assert facts["seconds"] == pytest.approx(file.length) == 4.5
    assert facts["notes_per_second"] == round(len(struck) / file.length, 2)
    assert (facts["kind"], facts["tracks"]) == (f"MIDI file of type {file.type}", len(file.tracks))
    assert facts["velocities"] == f"40 to 100, mean {sum(loudness) / len(loudness):.0f}"
    assert (facts["pitches"], facts["instruments"]) == ("E2 to E5", "piano, pipe")
    assert (facts["pedal_intervals"], facts["repairs"]) == (1, [])


def test_a_file_without_notes_has_no_pitches_and_what_is_no_midi_is_refused(tmp_path, capsys):
    empty, text = tmp_path / "empty.mid", tmp_path / "text.mid"
    mido.MidiFile(tracks=[mido.MidiTrack()]).save(empty)
    text.write_text("no music")
    assert main(["info", str(empty)]) == 0
    told = capsys.readouterr().out
    assert "pitches" not in told and "notes            0" in told
    assert main(["info", str(text)]) == 2
    assert str(text) in capsys.readouterr().err
