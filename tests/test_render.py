"""The verb `render`."""

import stat
import sys

import numpy as np
import pytest
import soundfile

from partimento import Performance
from partimento.audio import fetch, samples
from partimento.cli import main
from tests.midi.smf_bytes import control, note_off, note_on, smf, track

NOTES = Performance.from_notes(pitch=[60, 64], velocity=[80, 90], onset=[0.0, 0.5], duration=0.2, pedal=[(0.1, 1.0)])


@pytest.fixture
def midi(tmp_path):
    path = tmp_path / "two.mid"
    NOTES.write_midi(path)
    return path


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg"])
def test_the_file_holds_what_performance_render_gives(midi, capsys, suffix):
    out = midi.with_suffix(suffix)
    assert main(["render", str(midi), "-o", str(out)]) == 0
    assert f"{out}: 1." in capsys.readouterr().out
    sound, expected = soundfile.read(out, dtype="float32")[0], Performance.from_midi(midi).render()
    assert sound.shape == expected.shape
    assert np.abs(sound - expected).max() < (0.1 if suffix == ".ogg" else 2**-14)


def test_it_is_called_after_the_midi_file_and_overwrites_nothing_unasked(midi, capsys):
    assert main(["render", str(midi)]) == 0
    first = midi.with_suffix(".wav").read_bytes()
    assert main(["render", str(midi)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main(["render", str(midi), "--force"]) == 0
    assert midi.with_suffix(".wav").read_bytes() == first


def test_half_pedals_of_a_file_are_heard(tmp_path):
    """A note of 0.2 s, the pedal at 0, 40 or 127 for two seconds."""
    heard = []
    for value in (0, 40, 127):
        path = tmp_path / f"{value}.mid"
        path.write_bytes(
            smf(
                [track((0, control(64, value)), (0, note_on(60)), (192, note_off(60)), (1728, control(64, 0)))],
                division=480,
            )
        )
        assert main(["render", str(path)]) == 0
        sound = soundfile.read(path.with_suffix(".wav"))[0]
        heard.append(float(np.abs(sound[48_000:72_000]).max(initial=0)))
    assert heard[0] == 0 < heard[1] < heard[2]


def test_what_cannot_be_is_refused_in_one_line(midi, tmp_path, capsys, monkeypatch):
    for arguments, complaint in [
        ([str(midi), "-o", "x.mp3"], ".wav, .flac or .ogg"),
        ([str(tmp_path / "none.mid")], "[cannot-open]"),
    ]:
        assert main(["render", *arguments]) == 2
        error = capsys.readouterr().err
        assert complaint in error and error.count("\n") == 1


def test_missing_recordings_say_how_to_get_them(midi, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(samples, "FOLDER", tmp_path / "none")
    samples.recording.cache_clear()
    assert main(["render", str(midi)]) == 2
    assert "python -m partimento.audio.fetch" in capsys.readouterr().err
    assert not midi.with_suffix(".wav").exists()
    samples.recording.cache_clear()


def test_recordings_that_are_there_are_not_fetched_again_and_others_must_be_the_pinned_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch, "_archive", lambda: b"something else")
    assert fetch.fetch() is False
    with pytest.raises(fetch.FetchError, match="not what was pinned"):
        fetch.fetch(tmp_path / "samples")
    assert not (tmp_path / "samples").exists()


# -- through fluidsynth, which a stand-in plays ------------------------------------------------------------------------


@pytest.fixture
def fluidsynth(tmp_path, monkeypatch):
    """A program of that name which writes one second of a constant to the file it is given."""
    program = tmp_path / "bin" / "fluidsynth"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\n"
        "import struct, sys, wave\n"
        "from pathlib import Path\n"
        "assert Path(sys.argv[-1]).read_bytes()[:4] == b'MThd' and Path(sys.argv[-2]).name == 'piano.sf2'\n"
        "with wave.open(sys.argv[sys.argv.index('-F') + 1], 'wb') as out:\n"
        "    out.setparams((2, 2, 48000, 0, 'NONE', ''))\n"
        "    out.writeframes(struct.pack('<2h', 8192, -8192) * 48000)\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent))
    return program


@pytest.mark.posix
def test_a_soundfont_is_played_by_fluidsynth(midi, tmp_path, fluidsynth):
    soundfont = tmp_path / "piano.sf2"
    soundfont.write_bytes(b"RIFF\0\0\0\0sfbk")
    assert main(["render", str(midi), "--soundfont", str(soundfont)]) == 0
    sound = soundfile.read(midi.with_suffix(".wav"))[0]
    assert sound.shape == (48_000, 2)
    assert np.allclose(sound, [10 ** (-1 / 20), -(10 ** (-1 / 20))], atol=2**-14)


@pytest.mark.posix
def test_what_is_wrong_with_a_soundfont_is_said(midi, tmp_path, fluidsynth, capsys, monkeypatch):
    wrong = tmp_path / "piano.sf2"
    for content, complaint in [(None, "no such file"), (b"RIFF\0\0\0\0WAVE", "no soundfont")]:
        if content is not None:
            wrong.write_bytes(content)
        assert main(["render", str(midi), "--soundfont", str(wrong)]) == 2
        assert complaint in capsys.readouterr().err
    wrong.write_bytes(b"RIFF\0\0\0\0sfbk")
    fluidsynth.write_text("#!/bin/sh\necho 'no memory' >&2\nexit 1\n")
    assert main(["render", str(midi), "--soundfont", str(wrong)]) == 2
    assert "no memory" in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["render", str(midi), "--soundfont", str(wrong)]) == 2
    assert "not installed" in capsys.readouterr().err
    assert not midi.with_suffix(".wav").exists()
