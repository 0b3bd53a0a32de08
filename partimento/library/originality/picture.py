"""A shared passage as a picture: the music above, its source below, in the music's key and on its clock.

Knows which notes of the two are one another's. Refuses to know where the source's notes come from (`against.notes_of`).

    >>> draw_shared(music, passage, notes_of(index, passage.copy.file), "passage.png")  # doctest: +SKIP
"""

from __future__ import annotations

import dataclasses
import os
from typing import Final

import numpy as np
import numpy.typing as npt

from partimento.corpus.duplicates.copies import Copy
from partimento.library.originality.judge import Shared
from partimento.midi.performance import Performance
from partimento.midi.picture import draw_two_rolls
from partimento.tokens.notes import Notes

AROUND_MS: Final = 3000
"""So much is shown on either side."""
PARTNER_MS: Final = 250
"""Notes of one pitch that begin no further apart than this are one note of the passage."""


def draw_shared(performance: Performance, shared: Shared, source: Notes, path: str | os.PathLike[str]) -> None:
    """Write the picture (PNG, whole or not at all); notes of the passage that both have are in the second colour."""
    copy = shared.copy
    span = max(0, copy.query_ms[0] - AROUND_MS), copy.query_ms[1] + AROUND_MS
    above = _within(Notes.from_performance(performance, remove_silence=False), span)
    below = _within(on_the_clock_of_the_music(source, copy), span)
    marked = [_inside(one, copy) & _partnered(one, other) for one, other in ((above, below), (below, above))]
    draw_two_rolls(
        _as_performance(above),
        _as_performance(below),
        path,
        marked=(marked[0], marked[1]),
        titles=("the music", f"{copy.name}, from {copy.file_ms[0] / 1000:.1f} s on"),
        span=(span[0] / 1000, span[1] / 1000),
        names=("not shared", "shared"),
    )


def on_the_clock_of_the_music(source: Notes, copy: Copy) -> Notes:
    """The source's notes moved to where the music has them, from anchor to anchor.

    What leaves the keyboard is left out. Before the first anchor and behind the last it runs on at the stretch's tempo.
    """
    here, there = copy.anchors.T
    tempo = copy.tempo or 1.0
    at = np.interp(source.onset_ms, there, here)
    at += np.minimum(source.onset_ms - there[0], 0) / tempo + np.maximum(source.onset_ms - there[-1], 0) / tempo
    pitch = source.pitch.astype(np.int64) + copy.transposition
    return _chosen(
        dataclasses.replace(
            source,
            onset_ms=np.round(at).astype(np.int64),
            duration_ms=np.round(source.duration_ms / tempo).astype(np.int64),
            pitch=pitch.clip(0, 127).astype(np.uint8),
        ),
        (pitch >= 0) & (pitch < 128),
    )


def _within(notes: Notes, span: tuple[int, int]) -> Notes:
    return _chosen(notes, (notes.onset_ms >= span[0]) & (notes.onset_ms < span[1]))


def _chosen(notes: Notes, which: npt.NDArray[np.bool_]) -> Notes:
    columns = ("onset_ms", "duration_ms", "pitch", "velocity", "instrument")
    return dataclasses.replace(notes, **{name: getattr(notes, name)[which] for name in columns})


def _inside(notes: Notes, copy: Copy) -> npt.NDArray[np.bool_]:
    first, last = copy.query_ms
    return (notes.onset_ms >= first - PARTNER_MS) & (notes.onset_ms <= last + PARTNER_MS)


def _partnered(notes: Notes, others: Notes) -> npt.NDArray[np.bool_]:
    """Which notes have one of their pitch near them among the others."""
    near = np.abs(notes.onset_ms[:, None] - others.onset_ms[None, :]) <= PARTNER_MS
    return np.asarray((near & (notes.pitch[:, None] == others.pitch[None, :])).any(axis=1))


def _as_performance(notes: Notes) -> Performance:
    return Performance.from_notes(
        pitch=notes.pitch,
        velocity=notes.velocity,
        onset=notes.onset_ms / 1000,
        duration=np.maximum(notes.duration_ms, 1) / 1000,
    )
