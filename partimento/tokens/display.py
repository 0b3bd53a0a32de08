"""Tokens for people: a listing, and the same notes as other schemes would write them (figure 2).

It knows how token sequences read on a page; it refuses to know about files and about token numbers of the other
schemes, which are shown as text only.

    >>> for line in listing(Vocabulary.piano(), tokens): print(line)   # doctest: +SKIP
    >>> comparison(notes)["REMI-like"][:3]                          # doctest: +SKIP
    ['Bar', 'Position 9/16', 'Pitch C4']
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Final

import numpy as np
import numpy.typing as npt

from partimento.midi.instruments import DRUM, INSTRUMENTS
from partimento.tokens.notes import Notes
from partimento.tokens.vocabulary import GRID_MS, SEGMENT_MS, Kind, Vocabulary

MAX_SHIFT_MS: Final = 1000
MAX_WAIT_MS: Final = 5000
POSITIONS: Final = 16
BEATS_IN_BAR: Final = 4
REMI_TEMPO: Final = 120.0
_GAP: Final = "  "

_HEADS = (Kind.NOTE, Kind.DRUM, Kind.PEDAL_ON, Kind.PEDAL_OFF, Kind.UNKNOWN)
_PITCH_CLASSES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenGroup:
    """Tokens that belong together: the index of the first, all of them, and when they sound in ms, None if never."""

    index: int
    tokens: tuple[int, ...]
    ms: int | None


def grouped(vocabulary: Vocabulary, tokens: Sequence[int] | npt.NDArray[np.integer]) -> list[TokenGroup]:
    """Any tokens grouped into events: a note with the onset and duration that follow it, everything else by itself."""
    found: list[TokenGroup] = []
    array = np.asarray(tokens, np.int64).reshape(-1).tolist()
    texts = [vocabulary.kind_of[token] if 0 <= token < len(vocabulary) else -1 for token in array]
    segment_ms = 0
    i = 0
    while i < len(array):
        kind = texts[i]
        last = i + 1
        ms = None
        if kind == Kind.SEGMENT:
            segment_ms += SEGMENT_MS
            ms = segment_ms
        elif kind in _HEADS and last < len(array) and texts[last] == Kind.ONSET:
            ms = segment_ms + int(vocabulary.ms_of[array[last]])
            last += 1
            if kind == Kind.NOTE and last < len(array) and texts[last] == Kind.DURATION:
                last += 1
        found.append(TokenGroup(index=i, tokens=tuple(array[i:last]), ms=ms))
        i = last
    return found


def listing(vocabulary: Vocabulary, tokens: Sequence[int] | npt.NDArray[np.integer]) -> list[str]:
    """One line an event: index of its first token, all its tokens, their texts, and its time from the start where it
    has one.

    Raises `UserError` for a token outside the vocabulary.
    """
    rows = [
        (
            str(event.index),
            " ".join(str(token) for token in event.tokens),
            ", ".join(vocabulary.text_of(token) for token in event.tokens),
            "" if event.ms is None else f"{event.ms / 1000:.2f} s",
        )
        for event in grouped(vocabulary, tokens)
    ]
    if not rows:
        return []
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return [
        f"{index:>{widths[0]}}  {numbers:<{widths[1]}}  {text:<{widths[2]}}  {time:>{widths[3]}}".rstrip()
        for index, numbers, text, time in rows
    ]


def comparison(notes: Notes, *, tempo: float = REMI_TEMPO) -> dict[str, list[str]]:
    """The notes in three other schemes, each as a list of token texts, by the scheme's name.

    `tempo` (beats a minute, four to a bar) is only REMI's: it needs bars, and a performance has none.
    """
    return {
        "Music Transformer": music_transformer(notes),
        "MuseNet-style": musenet(notes),
        "REMI-like": remi(notes, tempo=tempo),
    }


def side_by_side(schemes: Mapping[str, Sequence[str]], width: int) -> list[str]:
    """Each scheme's tokens below each other, as many schemes beside each other as `width` characters hold."""
    widths = {name: max(map(len, [name, *tokens])) for name, tokens in schemes.items()}
    lines: list[str] = []
    rest = list(schemes)
    while rest:
        beside = [rest.pop(0)]
        while rest and sum(widths[name] + len(_GAP) for name in beside) + widths[rest[0]] <= width:
            beside.append(rest.pop(0))
        columns = [[name, "-" * len(name), *schemes[name]] for name in beside]
        lines += [
            _GAP.join(f"{cell[:width]:{widths[name]}}" for name, cell in zip(beside, row, strict=True)).rstrip()
            for row in zip_longest(*columns, fillvalue="")
        ]
        lines += [""] * bool(rest)
    return lines


def music_transformer(notes: Notes) -> list[str]:
    """NOTE_ON, NOTE_OFF, TIME_SHIFT of 10..1000 ms, SET_VELOCITY (32 steps) where the velocity changes."""
    tokens: list[str] = []
    now, velocity = 0, -1
    for ms, is_on, i in _moves(notes):
        tokens += [f"TIME_SHIFT {step} ms" for step in _steps(ms - now, MAX_SHIFT_MS)]
        now = ms
        step = int(notes.velocity[i]) // 4 * 4
        if is_on and step != velocity:
            velocity = step
            tokens.append(f"SET_VELOCITY {velocity}")
        tokens.append(f"{'NOTE_ON' if is_on else 'NOTE_OFF'} {notes.pitch[i]}")
    return tokens


def musenet(notes: Notes) -> list[str]:
    """WAIT of 10..5000 ms, and instrument, velocity and pitch as one token; velocity 0 ends a note."""
    tokens: list[str] = []
    now = 0
    for ms, is_on, i in _moves(notes):
        tokens += [f"WAIT {step} ms" for step in _steps(ms - now, MAX_WAIT_MS)]
        now = ms
        tokens.append(f"{_instrument(notes, i)}:v{notes.velocity[i] if is_on else 0}:{pitch_name(notes.pitch[i])}")
    return tokens


def remi(notes: Notes, *, tempo: float = REMI_TEMPO) -> list[str]:
    """Bar, Position and Duration in sixteenths of a 4/4 bar at a fixed tempo, Pitch, Velocity."""
    sixteenth_ms = 60_000 / tempo * BEATS_IN_BAR / POSITIONS
    tokens: list[str] = []
    bars, latest = 0, -1
    for i in range(len(notes)):
        place = round(int(notes.onset_ms[i]) / sixteenth_ms)
        if place // POSITIONS >= bars:
            tokens += ["Bar"] * (place // POSITIONS + 1 - bars)
            bars = place // POSITIONS + 1
        if place != latest:
            tokens.append(f"Position {place % POSITIONS + 1}/{POSITIONS}")
            latest = place
        length = max(1, round(int(notes.duration_ms[i]) / sixteenth_ms))
        tokens += [
            f"Pitch {pitch_name(notes.pitch[i])}",
            f"Velocity {notes.velocity[i]}",
            f"Duration {length}/{POSITIONS}",
        ]
    return tokens


def pitch_name(pitch: int) -> str:
    """60 -> 'C4'."""
    return f"{_PITCH_CLASSES[int(pitch) % 12]}{int(pitch) // 12 - 1}"


def _moves(notes: Notes) -> list[tuple[int, bool, int]]:
    """(ms on the 10 ms grid, pressed, note index) in time order, releases before presses."""
    moves = []
    for i in range(len(notes)):
        onset, duration = int(notes.onset_ms[i]), int(notes.duration_ms[i])
        begin = round(onset / GRID_MS) * GRID_MS
        end = max(round((onset + duration) / GRID_MS) * GRID_MS, begin + GRID_MS)
        moves += [(begin, True, i), (end, False, i)]
    return sorted(moves)


def _steps(ms: int, longest: int) -> list[int]:
    return [longest] * (ms // longest) + ([ms % longest] if ms % longest else [])


def _instrument(notes: Notes, i: int) -> str:
    return "drum" if notes.instrument[i] == DRUM else INSTRUMENTS[notes.instrument[i]]
