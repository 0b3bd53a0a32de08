"""Music with somebody else's music in it, and an index of what it may be taken from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from partimento.corpus.duplicates.fingerprints import fingerprint
from partimento.corpus.duplicates.index import PassageIndex
from partimento.midi.performance import Performance
from partimento.tokens.notes import Notes
from tests.corpus.melodies import notes_of


def built(path: Path, files: list[Notes], *, at_hand: bool = True) -> PassageIndex:
    """Files named 0.mid, 1.mid ...; whether their notes are to be had."""
    for k, notes in enumerate(files if at_hand else []):
        (path.parent / "midi").mkdir(exist_ok=True)
        played(notes).write_midi(path.parent / "midi" / f"{k}.mid")
    named = ((f"{k}.mid", "", fingerprint(notes.slice(0, len(notes)))) for k, notes in enumerate(files))
    return PassageIndex.build(named, path, origin=str(path.parent / "midi") if at_hand else "")


def joined(*parts: Notes, gap_ms: int = 300) -> Notes:
    """One after the other."""
    onset, pitch, now = [], [], 0
    for part in parts:
        onset.append(part.onset_ms - part.onset_ms[0] + now)
        pitch.append(part.pitch)
        now = int(onset[-1][-1]) + gap_ms
    return notes_of(np.concatenate(onset), np.concatenate(pitch))


def played(notes: Notes) -> Performance:
    return Performance.from_notes(
        pitch=notes.pitch, velocity=notes.velocity, onset=notes.onset_ms / 1000, duration=notes.duration_ms / 1000
    )
