"""A shared passage as a picture: the music above, its source below, in the music's key and on its clock.

Knows which notes of the two are one another's. Refuses to know where the source's notes come from (`against.notes_of`).

    >>> draw_shared(music, passage, notes_of(index, passage.copy.file), "passage.png")  # doctest: +SKIP
"""

from __future__ import annotations

import dataclasses
import os
from typing import Final

import numpy as np

from partimento.corpus.duplicates.copies import Copy
from partimento.corpus.duplicates.note_by_note import chosen, on_the_clock_of_the_music
from partimento.library.originality.judge import Shared
from partimento.library.originality.report import changed, span
from partimento.midi.performance import Performance
from partimento.midi.picture import draw_two_rolls
from partimento.tokens.notes import Notes

AROUND_MS: Final = 3000
"""So much is shown on either side."""


def draw_shared(performance: Performance, shared: Shared, source: Notes, path: str | os.PathLike[str]) -> None:
    """Write the picture (PNG, whole or not at all); notes of the passage that both have are in the second colour."""
    copy = shared.copy
    shown = max(0, copy.query_ms[0] - AROUND_MS), copy.query_ms[1] + AROUND_MS
    music = Notes.from_performance(performance, remove_silence=False)
    moved = _in_the_key_and_on_the_clock_of_the_music(source, copy)
    which = [np.flatnonzero((each.onset_ms >= shown[0]) & (each.onset_ms < shown[1])) for each in (music, moved)]
    above, below = (chosen(*pair) for pair in zip((music, moved), which, strict=True))
    marked = [np.isin(notes, copy.pairs[:, k]) for k, notes in enumerate(which)]
    draw_two_rolls(
        _as_performance(above),
        _as_performance(below),
        path,
        marked=(marked[0], marked[1]),
        titles=(f"The music, {span(copy.query_ms)}", f"{copy.name}, {span(copy.file_ms)}{changed(copy)}"),
        span=(shown[0] / 1000, shown[1] / 1000),
        names=("only here", "in both"),
    )


def _in_the_key_and_on_the_clock_of_the_music(source: Notes, copy: Copy) -> Notes:
    """The source's notes where the music has them; what leaves the keyboard is out of every picture's time."""
    begin = on_the_clock_of_the_music(source.onset_ms, copy.anchors)
    end = on_the_clock_of_the_music(source.onset_ms + source.duration_ms, copy.anchors)
    pitch = source.pitch.astype(np.int64) + copy.transposition
    return dataclasses.replace(
        source,
        onset_ms=np.where((pitch >= 0) & (pitch < 128), begin, -1),
        duration_ms=end - begin,
        pitch=pitch.clip(0, 127).astype(np.uint8),
    )


def _as_performance(notes: Notes) -> Performance:
    return Performance.from_notes(
        pitch=notes.pitch,
        velocity=notes.velocity,
        onset=notes.onset_ms / 1000,
        duration=np.maximum(notes.duration_ms, 1) / 1000,
    )
