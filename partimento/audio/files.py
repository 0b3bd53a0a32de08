"""Sound -> a WAV, FLAC or OGG file: of any length, in bounded memory, whole or not at all.

Knows formats by their suffix. Since the loudest moment is known only at the end, sound first goes to a temporary file
beside the target and is scaled from there. Refuses to know what made the sound.

    write_sound("nocturne.flac", blocks(performance))
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


def _pieces(spool: IO[bytes]) -> Iterator[Sound]:
    while data := spool.read(_PIECE * 8):
        yield np.frombuffer(data, np.float32).reshape(-1, 2)
