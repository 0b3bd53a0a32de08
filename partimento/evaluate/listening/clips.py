"""A prompt and what follows it -> a clip that can be compared by ear: one piano, one length, one loudness.

Knows rendering, joining, fading and levels. Refuses to know who played, and files' names.

    sound = clip(prompt, music, Span(), loudness=-23.0)         # float32 [frames, 2], 60 s
    write_clip(Path("clips/3f2a.flac"), sound)

Notes are played by the package's piano (docs/sound.md), behind the same rendering of the prompt for everybody. Sound is
joined to that rendering, as loud as it.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import numpy as np

from partimento.audio.loudness import SILENT, loudness
from partimento.audio.sampler import PEAK, Sound, render
from partimento.audio.samples import RATE
from partimento.errors import UserError
from partimento.evaluate.continuation.prompts import Prompt, Span
from partimento.evaluate.folders import Played
from partimento.files import replacing
from partimento.midi.performance import Performance

FADE_S: Final = 0.5
"""Every clip ends so gently."""
_JOIN: Final = RATE // 50


def clip(prompt: Prompt, played: Played, span: Span, *, loudness: float) -> Sound:
    """The prompt and what was played behind it, exactly `span.end` long and `loudness` LUFS loud.

    Raises `UserError` where that would need a peak above -1 dBFS, or nothing sounds.
    """
    if isinstance(played, Performance):
        sound = _exactly(render(music(prompt, played, span)), span.end)
    else:
        given = _exactly(render(prompt.given), span.prompt)
        sound = _joined(given, _as_loud_as(given, played), round(span.end * RATE))
    fade = round(FADE_S * RATE)
    sound[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)[:, None]
    return levelled(sound, loudness)


def music(prompt: Prompt, played: Performance, span: Span) -> Performance:
    """The notes of a clip."""
    return prompt.given.merge(played.slice_time(0, span.end))


def levelled(sound: Sound, target: float) -> Sound:
    """Sound `target` LUFS loud; raises `UserError` where it cannot be."""
    found = loudness(sound)
    if found == SILENT:
        raise UserError("a clip would be silent; look at the prompt and at what follows it")
    louder = sound * np.float32(10 ** ((target - found) / 20))
    over = 20 * math.log10(float(np.abs(louder).max()) / PEAK)
    if over > 0:
        raise UserError(
            f"clips.loudness is {target:g} LUFS, for which the peaks of a clip would be cut off; "
            f"{math.floor(target - over):d} leaves them whole"
        )
    return louder


def write_clip(path: Path, sound: Sound) -> None:
    """A FLAC file of 16 bits, as it is."""
    import soundfile

    with replacing(path) as part:
        soundfile.write(part, sound, RATE, "PCM_16", format="FLAC")


def _exactly(sound: Sound, seconds: float) -> Sound:
    frames = round(seconds * RATE)
    return np.concatenate([sound[:frames], np.zeros((max(0, frames - len(sound)), 2), np.float32)])


def _as_loud_as(given: Sound, played: Sound) -> Sound:
    target, found = loudness(given), loudness(played)
    return played if SILENT in (target, found) else played * np.float32(10 ** ((target - found) / 20))


def _joined(given: Sound, played: Sound, frames: int) -> Sound:
    """One after the other, the first moments of the second faded in."""
    rising = np.linspace(0, 1, _JOIN, dtype=np.float32)[:, None]
    given[-_JOIN:] *= rising[::-1]
    return np.concatenate([given, played[:_JOIN] * rising, played[_JOIN:]])[:frames]
