"""Sound -> a WAV, FLAC or OGG file, of any length, in bounded memory, whole or not at all; a stretch of a file back.

Knows formats by their suffix. Since the loudest moment is known only at the end, sound first goes to a temporary file
beside the target and is scaled from there. Refuses to know what made the sound.

    write_sound("nocturne.flac", blocks(performance))
    read_sound("song.mp3", start=15.0, seconds=45.0)    # float32 [frames, 2], 48,000 a second
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import IO, Final

import numpy as np

from partimento.audio.sampler import Sound, scale
from partimento.audio.samples import RATE
from partimento.errors import UserError
from partimento.files import replacing

FORMATS: Final = {".wav": ("WAV", "PCM_16"), ".flac": ("FLAC", "PCM_16"), ".ogg": ("OGG", "VORBIS")}
"""Suffix -> container and encoding."""
_PIECE: Final = RATE  # what libsndfile encodes at once; it takes its stack from this for Vorbis
_WAV_FRAMES: Final = (2**32 - 4096) // 4  # sizes in WAV have 32 bits


def check_suffix(path: str | PathLike[str]) -> None:
    """Raises `UserError` for a path whose suffix is none of `FORMATS`."""
    suffix = Path(path).suffix
    if suffix.lower() not in FORMATS:
        raise UserError(f"{path}: sound is written as {', '.join(FORMATS)}, not as {suffix or 'a file without suffix'}")


def write_sound(
    path: str | PathLike[str], blocks: Iterable[Sound], *, progress: Callable[[int], None] | None = None
) -> float:
    """Writes sound (float32 [frames, 2] each) scaled to -1 dBFS, 16 bits or Vorbis by the suffix; returns its seconds.

    `progress` is told of frames as blocks are taken. Raises `UserError` for an unknown suffix and where the file cannot
    be written.
    """
    import soundfile

    check_suffix(path)
    container, encoding = FORMATS[Path(path).suffix.lower()]
    with replacing(path) as part, tempfile.TemporaryFile(dir=part.parent) as spool:
        frames, peak = 0, 0.0
        for block in blocks:
            block.tofile(spool)
            frames += len(block)
            peak = max(peak, float(np.abs(block).max(initial=0.0)))
            if progress is not None:
                progress(len(block))
        if container == "WAV" and frames > _WAV_FRAMES:
            container = "RF64"
        spool.seek(0)
        factor = scale(peak)
        try:
            # It cannot open names that are not UTF-8 itself.
            with part.open("w+b") as raw, soundfile.SoundFile(raw, "w", RATE, 2, encoding, format=container) as file:
                for piece in _pieces(spool):
                    file.write(piece * factor)
        except soundfile.LibsndfileError as error:
            raise OSError(str(error)) from error
    return frames / RATE


def read_sound(path: str | PathLike[str], *, start: float, seconds: float) -> Sound:
    """A stretch of a sound file [frames, 2] at 48,000 frames a second, whatever its own rate; one side becomes two.

    Raises `UserError` for a file that cannot be read, has more than two sides, or ends before the stretch does.
    """
    import soundfile

    try:
        with soundfile.SoundFile(path) as file:
            if file.channels > 2:
                raise UserError(f"{path}: it has {file.channels} sides; give a file of one or two")
            if file.frames < (start + seconds) * file.samplerate:
                raise UserError(
                    f"{path}: it lasts {file.frames / file.samplerate:.2f} s; it takes {start + seconds:g} s"
                )
            file.seek(round(start * file.samplerate))
            sound = file.read(round(seconds * file.samplerate), dtype="float32", always_2d=True)
            rate = file.samplerate
    except (soundfile.LibsndfileError, OSError) as error:
        raise UserError(f"{path}: no sound that can be read ({error}); give WAV, FLAC, OGG or MP3") from error
    frames = round(seconds * RATE)
    if rate != RATE:  # by their spectrum, which holds nothing above the lower of both rates' halves
        louder = np.float32(frames / len(sound))
        sound = (louder * np.fft.irfft(np.fft.rfft(sound, axis=0), frames, axis=0)).astype(np.float32)
    return np.broadcast_to(sound, (frames, 2)).copy()


def _pieces(spool: IO[bytes]) -> Iterator[Sound]:
    while data := spool.read(_PIECE * 8):
        yield np.frombuffer(data, np.float32).reshape(-1, 2)
