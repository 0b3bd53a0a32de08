"""A MIDI file -> sound by fluidsynth and a soundfont of the user's, where fluidsynth is installed.

Knows how fluidsynth is called and what can be wrong with it. Refuses to know MIDI: the file goes there as it is.

    with rendered(b"MThd...", "MyPiano.sf2") as blocks:
        write_sound("nocturne.wav", blocks)
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from partimento.audio.sampler import Sound
from partimento.audio.samples import RATE
from partimento.errors import UserError


def check_soundfont(soundfont: Path) -> str:
    """Where fluidsynth is; raises `UserError` where it is not installed, or there is no such soundfont."""
    program = shutil.which("fluidsynth")
    if program is None:
        raise UserError(
            "--soundfont needs fluidsynth, which is not installed (Debian: apt install fluidsynth; macOS: brew install "
            "fluid-synth); without --soundfont partimento plays its own piano"
        )
    try:
        with soundfont.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise UserError(f"{soundfont}: {(error.strerror or str(error)).lower()}") from error
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise UserError(f"{soundfont} is no soundfont (it does not begin as RIFF ... sfbk)")
    return program


@contextmanager
def rendered(midi: bytes, soundfont: Path) -> Iterator[Iterator[Sound]]:
    """Float32 [frames, 2] blocks of what fluidsynth makes of a MIDI file; raises `UserError` as `check_soundfont`."""
    import soundfile

    program = check_soundfont(soundfont)
    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder) / "score.mid", Path(folder) / "sound.wav"
        score.write_bytes(midi)
        options = ["-q", "-n", "-i", "-r", str(RATE), "-O", "float", "-F", str(sound)]
        command = [program, *options, str(soundfont), str(score)]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode or not sound.is_file():
            reason = (done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1]
            raise UserError(f"fluidsynth could not play with {soundfont}: {reason}")
        with soundfile.SoundFile(sound) as file:
            yield file.blocks(blocksize=10 * RATE, dtype="float32", always_2d=True)
