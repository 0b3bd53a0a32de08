"""Sound files, read back by a second reader where there is one, and refused before anything is written."""

import os
import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile

from partimento import UserError
from partimento.audio.files import read_sound, write_sound

TONE = 0.2 * np.sin(np.arange(3 * 48_000)[:, None] * [0.05, 0.03]).astype(np.float32)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".WAV"])
def test_what_is_written_is_the_sound_at_minus_1_dbfs(tmp_path, suffix):
    path = tmp_path / f"tone{suffix}"
    seen = []
    assert write_sound(path, [TONE[:100_000], TONE[100_000:]], progress=seen.append) == 3.0
    sound, rate = soundfile.read(path, dtype="float32")
    assert rate == 48_000 and sound.shape == TONE.shape and seen == [100_000, 44_000]
    expected = TONE * 10 ** (-1 / 20) / np.abs(TONE).max()
    assert np.abs(sound - expected).max() < (0.05 if suffix == ".ogg" else 2**-14)
    assert list(tmp_path.iterdir()) == [path]


def test_the_standard_library_reads_the_same_wav(tmp_path):
    write_sound(tmp_path / "tone.wav", [TONE])
    with wave.open(str(tmp_path / "tone.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 48_000, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2) / 2**15
    assert np.array_equal(samples, soundfile.read(tmp_path / "tone.wav")[0])


@pytest.mark.linux
def test_names_that_are_not_text_are_written(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/n\xe9.wav"))
    write_sound(path, [np.zeros((10, 2), np.float32)])
    assert path.stat().st_size > 40


def test_silence_is_written_as_silence(tmp_path):
    assert write_sound(tmp_path / "none.wav", []) == 0
    write_sound(tmp_path / "still.wav", [np.zeros((10, 2), np.float32)])
    assert not soundfile.read(tmp_path / "still.wav")[0].any()


@pytest.mark.parametrize("name", ["tone.mp3", "tone", "wav"])
def test_other_suffixes_are_refused_before_any_work(tmp_path, name):
    def never():
        raise AssertionError
        yield

    with pytest.raises(UserError, match=r"\.wav, \.flac, \.ogg"):
        write_sound(tmp_path / name, never())


def test_a_sound_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "tone.wav"
    path.write_bytes(b"before")

    def failing():
        yield TONE
        raise UserError("no more")

    with pytest.raises(UserError, match="no more"):
        write_sound(path, failing())
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(UserError, match="cannot write"):
        write_sound(tmp_path / "nowhere" / "tone.wav", [TONE])


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000, 96_000])
def test_a_stretch_of_a_file_of_any_rate_is_the_sound_that_was_there(tmp_path, rate):
    """Of a sine, which is known at every rate."""
    soundfile.write(tmp_path / "sine.wav", 0.5 * np.sin(2 * np.pi * 440 * np.arange(3 * rate) / rate), rate)
    sound = read_sound(tmp_path / "sine.wav", start=1.0, seconds=1.5)
    expected = 0.5 * np.sin(2 * np.pi * 440 * (1.0 + np.arange(72_000) / 48_000))
    assert sound.shape == (72_000, 2) and sound.dtype == np.float32
    assert np.abs(sound - expected[:, None])[2000:-2000].max() < 2e-3


def test_a_file_that_is_too_short_or_no_sound_is_refused(tmp_path):
    soundfile.write(tmp_path / "short.flac", np.zeros((48_000, 2)), 48_000)
    soundfile.write(tmp_path / "many.wav", np.zeros((48_000, 6)), 48_000)
    (tmp_path / "text.wav").write_text("no sound")
    for name, said in (
        ("short.flac", "lasts 1.00 s"),
        ("many.wav", "6 sides"),
        ("text.wav", "no sound that can be read"),
    ):
        with pytest.raises(UserError, match=said):
            read_sound(tmp_path / name, start=0.5, seconds=0.6)
    with pytest.raises(UserError, match="no sound that can be read"):
        read_sound(tmp_path / "none.wav", start=0.0, seconds=1.0)
