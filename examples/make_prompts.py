"""The example prompts: three openings composed for this package, and a small performer that plays them.

A piece is written as voices in a shorthand (`"B4*5 C#5 r*2 G3+D4"`: pitches joined by `+`, lengths in units after `*`,
`r` for rests). The performer knows what a score leaves out: the tempo breathes with the phrases, loudness follows
metre, phrase and line, a melody comes a little before or after its accompaniment, chords are rolled, and no hand is a
machine (seeded, so that the same files come out everywhere). It refuses to know harmony or form.

    python examples/make_prompts.py            # writes the .mid files beside this script
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from math import pi, sin
from pathlib import Path

import numpy as np

from partimento import Performance

_DECIMALS = 3  # whole milliseconds hide the last bits in which processors differ
_SILENCE = 0.5  # seconds before the first note

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
ACCIDENTALS = {"#": 1, "b": -1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A line of music and the hand that plays it."""

    score: str
    unit: float
    """Beats per unit of length."""
    level: int
    """Velocity around which it plays."""
    legato: float = 0.95
    """Part of its written length for which a note is held."""
    lead: float = 0.0
    """Seconds by which it comes before the beat."""
    roll: float = 0.012
    """Seconds between the notes of a chord, from the lowest up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Voices under one tempo, with a pedal change at each of the given beats."""

    voices: tuple[Voice, ...]
    tempo: float
    """Beats a minute, on the average of a phrase."""
    phrase: int
    """Beats after which the tempo has breathed once."""
    breath: float
    """By how much it quickens in the middle of a phrase, as a fraction."""
    pedal: tuple[float, ...] = ()
    swing: float = 0.5
    """Where in the beat its second half begins."""
    seed: int


NOCTURNE = Piece(
    tempo=55,
    phrase=8,
    breath=0.10,
    seed=1,
    pedal=(0, 2, 4, 6, 8, 10, 12, 14),
    voices=(
        Voice(
            score="B4*5 C#5 E5*3 D#5*2 B4   C#5*6 G#4*2 A4 B4*3   C#5*4 E5 F#5 G#5*4 F#5 E5   F#5*5 E5 D#5*3 C#5*2 B4",
            unit=1 / 3,
            level=74,
            legato=1.02,
            lead=0.018,
        ),
        Voice(
            score="E2 B2 E3 G#3 E3 B2 E2 B2 E3 G#3 E3 B2   C#2 G#2 E3 B3 E3 G#2 C#3 G#3 B3 E4 B3 G#3"
            "   A1 E2 C#3 G#3 C#3 E2 A2 E3 B3 C#4 B3 E3   B1 F#2 E3 A3 E3 F#2 B1 F#2 D#3 A3 D#3 F#2",
            unit=1 / 3,
            level=46,
        ),
    ),
)

INVENTION = Piece(
    tempo=84,
    phrase=4,
    breath=0.04,
    seed=2,
    voices=(
        Voice(
            score="r C#5 B4 C#5 A4 F#4 G#4 A4 B4 C#5 D5 B4 C#5*2 F#5*2"
            "   F5*2 F#5*2 C#5*2 A4*2 D5*4 C#5*2 A4*2"
            "   r G#5 F#5 G#5 E5 C#5 D#5 E5 F#5 G#5 A5 F#5 G#5*2 C#6*2"
            "   F#5 D5 A4 D5 E5 C#5 G#4 C#5 D5 B4 F#4 B4 C#5 A4 E4 A4"
            "   B4 G#4 A4 B4 C#5 A4 B4 C#5 D5 B4 C#5 D5 F5*2 G#5*2",
            unit=1 / 4,
            level=72,
            legato=0.86,
            lead=0.004,
        ),
        Voice(
            score="F#3*4 r*4 D3*2 B2*2 A2*2 r*2"
            "   r C#4 B3 C#4 A3 F#3 G#3 A3 B3 C#4 D4 B3 C#4*2 F#4*2"
            "   C#3*2 E3*2 G#3*2 B3*2 A3*4 E3*2 C#3*2"
            "   D3*2 F#3*2 C#3*2 E3*2 B2*2 D3*2 A2*2 C#3*2"
            "   G#3*2 F3*2 F#3*2 A2*2 B2*2 B3*2 C#3*4",
            unit=1 / 4,
            level=66,
            legato=0.78,
        ),
    ),
)

BALLAD = Piece(
    tempo=61,
    phrase=8,
    breath=0.07,
    seed=3,
    swing=0.63,
    pedal=(0, 2, 4, 6, 8, 10, 12, 14),
    voices=(
        Voice(
            score="r*2 D5 C5 Bb4 G4 Bb4 C5*2   F5*2 Eb5 C5 Bb4 F#4 G4*3   Bb4 C5 D5 F5 G5 F5   E5*3 D5 Bb4 F#4 A4*2",
            unit=1 / 2,
            level=76,
            legato=0.97,
            lead=-0.012,
        ),
        Voice(
            score="r G3+Bb3+D4+F4*4 G3+D4*3   r F#3+C4+F4*4 F#3+C4*3   r F3+Bb3+D4*4 F3+C4*3   r E3+Bb3+D4*4 E3+Bb3*3",
            unit=1 / 2,
            level=50,
            roll=0.022,
        ),
        Voice(score="Eb2*4 Bb2*4 D2*8 G2*4 D3*4 C2*8", unit=1 / 2, level=58),
    ),
)

PIECES = {"nocturne": NOCTURNE, "invention": INVENTION, "ballad": BALLAD}


def pitch_of(name: str) -> int:
    """MIDI number of a note name: C4 is 60."""
    step, accidental, octave = name[0], name[1:-1], name[-1]
    return 12 * (int(octave) + 1) + STEPS[step] + ACCIDENTALS.get(accidental, 0)


def read(voice: Voice) -> list[tuple[float, float, list[int]]]:
    """The voice's (beat, length in beats, pitches from low to high)."""
    notes, beat = [], 0.0
    for word in voice.score.split():
        names, _, units = word.partition("*")
        length = voice.unit * int(units or 1)
        if names != "r":
            notes.append((beat, length, sorted(pitch_of(name) for name in names.split("+"))))
        beat += length
    return notes


class Clock:
    """Beats -> seconds, under a tempo that is slower where phrases begin and end."""

    def __init__(self, piece: Piece, beats: float) -> None:
        grid = np.arange(0, beats + 8, 1 / 24)
        breathing = np.array([sin(pi * (beat % piece.phrase) / piece.phrase) - 2 / pi for beat in grid])
        settling = 0.12 * np.clip((grid - (beats - 3)) / 3, 0, 1) ** 2
        tempo = piece.tempo * (1 + piece.breath * breathing) * (1 - settling)
        self._grid, self._swing = grid, piece.swing
        self._seconds = np.concatenate([[0.0], np.cumsum(60 / 24 / tempo)[:-1]])

    def __call__(self, beat: float) -> float:
        """Seconds from the start at which `beat` falls."""
        whole, part = divmod(beat, 1)
        if self._swing != 0.5:
            part = float(np.interp(part, [0, 0.5, 1], [0, self._swing, 1]))
        return float(np.interp(whole + part, self._grid, self._seconds))


def perform(piece: Piece) -> Performance:
    """Play a piece: notes and pedal on whole milliseconds."""
    rng = np.random.default_rng(piece.seed)
    voices = [read(voice) for voice in piece.voices]
    last_beat = max(beat + length for notes in voices for beat, length, _ in notes)
    clock = Clock(piece, last_beat)
    rows = []
    for voice, notes in zip(piece.voices, voices, strict=True):
        middle = np.mean([pitches[-1] for _, _, pitches in notes])
        for beat, length, pitches in notes:
            onset = clock(beat) - voice.lead + rng.uniform(-0.009, 0.009)
            held = (clock(beat + length) - clock(beat)) * (voice.legato + rng.uniform(-0.04, 0.04))
            metre = 5 if beat % 4 == 0 else 2 if beat % 1 == 0 else -3
            arch = 7 * sin(pi * (beat % piece.phrase) / piece.phrase)
            loudness = voice.level + metre + arch + 0.5 * (pitches[-1] - middle) + rng.uniform(-4, 4)
            for place, pitch in enumerate(pitches):
                below_top = len(pitches) - 1 - place
                start = _SILENCE + onset + place * voice.roll
                rows.append([start, max(held - place * voice.roll, 0.06), pitch, loudness - 3 * below_top])
    onset, duration, pitch, velocity = np.array(rows).T
    # A foot changes the pedal just after the hand has struck the new harmony.
    changes = [clock(beat) for beat in piece.pedal]
    lifts = [*changes[1:], clock(last_beat)] if changes else []
    pedal = [
        (_SILENCE + round(down + 0.12, _DECIMALS), _SILENCE + round(up + 0.03, _DECIMALS))
        for down, up in zip(changes, lifts, strict=True)
    ]
    return Performance.from_notes(
        pitch=pitch.astype(int),
        velocity=np.clip(np.rint(velocity), 20, 112).astype(int),
        onset=np.round(onset, _DECIMALS),
        duration=np.round(duration, _DECIMALS),
        pedal=pedal,
    )


def main(folder: Path) -> None:
    """Write every prompt into `folder`."""
    for name, piece in PIECES.items():
        performance = perform(piece)
        performance.write_midi(folder / f"{name}.mid")
        print(f"{folder / f'{name}.mid'}: {len(performance)} notes, {performance.seconds:.1f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
