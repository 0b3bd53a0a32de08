"""A performance in a notebook: its piano roll, and the sound of a minute of it, as one piece of HTML.

Knows what notebooks show: a picture and `<audio>`, both inside the page, with a line that moves along and a picture
that can be clicked where scripts may run; without them both still work. Refuses to hold more than a minute of sound,
which are some 300 KB; the studio and its exported pages play everything, with recordings of several megabytes.

    performance    # as the last line of a cell
"""

from __future__ import annotations

import base64
import io
from functools import lru_cache
from html import escape
from typing import Final

import numpy as np

from partimento.audio.sampler import Sound, render
from partimento.audio.samples import RATE
from partimento.errors import UserError
from partimento.files import from_disk
from partimento.midi.columns import NoteColumns
from partimento.midi.picture import LEFT, RIGHT, piano_roll_png, seconds_shown

SECONDS: Final = 60.0
"""So much is heard."""
SECONDS_BEFORE: Final = 10.0
"""So long before new notes begin."""
_COMPRESSION: Final = 0.9  # of what libsndfile calls 0 to 1; about 35 kbit/s


@lru_cache(maxsize=8)  # a cell that is run again shows the same
def html_of(
    music: NoteColumns,
    heard: NoteColumns,
    *,
    name: str,
    begin: float,
    edges: tuple[float | None, float | None] = (None, None),
) -> str:
    """HTML of `music`, with the sound of `heard`, which begins at `begin` seconds of it.

    `edges` are where new notes begin and end. Where the piano's recordings are missing, it says how to get them.
    """
    picture = base64.b64encode(piano_roll_png(music, edges=edges)).decode()
    seconds = float((music.onset_seconds + music.duration_seconds).max(initial=0))
    words = f"{len(music):,} notes, {seconds:.1f} s, {len(music.pedal_down):,} pedal intervals"
    title = escape(f"{from_disk(name)}: {words}" if name else words)
    span = seconds_shown(music)
    line, where = f"{100 * LEFT:g}% + {100 * (RIGHT - LEFT):g}% * ", f"({begin:.3f} + this.currentTime) / {span:.3f}"
    moves = f"this.previousElementSibling.lastElementChild.style.left = `calc({line}${{{where}}})`"
    seek = (
        f"const heard = this.nextElementSibling; heard.currentTime = Math.max(0, "
        f"(event.offsetX / this.clientWidth - {LEFT:g}) / {RIGHT - LEFT:g} * {span:.3f} - {begin:.3f})"
    )
    return (
        f'<figure style="margin:0;max-width:1000px"><figcaption>{title}</figcaption>'
        f'<div style="position:relative" onclick="{seek}"><img alt="Piano roll of {title}" style="width:100%" '
        f'src="data:image/png;base64,{picture}">'
        f'<div style="position:absolute;top:8%;bottom:9%;left:calc({line}{begin / span:.4f});'
        'border-left:2px solid #333;transition:left .25s linear"></div></div>'
        f"{_sound(heard, moves, whole=len(heard) == len(music), begin=begin)}</figure>"
    )


def _sound(heard: NoteColumns, moves: str, *, whole: bool, begin: float) -> str:
    if not len(heard):
        return ""
    try:
        sound = base64.b64encode(_mp3(render(heard))).decode()
    except UserError as error:
        return f"<p>{escape(str(error))}</p>"
    said = "" if whole else f"<small>A minute from {begin:.0f} s on; <code>render()</code> has all of it.</small>"
    player = f'<audio controls style="width:100%" ontimeupdate="{moves}" src="data:audio/mpeg;base64,{sound}"></audio>'
    return player + said


def _mp3(sound: Sound) -> bytes:
    """In one channel, since a notebook keeps what it shows."""
    import soundfile

    mono, file = sound.mean(axis=1, dtype=np.float32), io.BytesIO()
    with soundfile.SoundFile(
        file, "w", RATE, 1, "MPEG_LAYER_III", format="MP3", compression_level=_COMPRESSION
    ) as encoder:
        for first in range(0, len(mono), RATE):
            encoder.write(mono[first : first + RATE])
    return file.getvalue()
