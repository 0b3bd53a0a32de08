"""The usual way to feed a symbolic-music model, as something to compare with: tokens as JSON lines, Python loops.

Each line is a JSON list of tokens, ["piano", pitch, velocity], ["onset", ms], ["dur", ms] or "<T>" and the like. An
item is one line: parsed, its pitch, velocity and tempo changed token by token (one draw of each), then looked up in a
dictionary. Written for this comparison, in the plainest Python that does the same augmentation; lines are found by
their offsets, as a memory-mapped data set finds them.
"""

from __future__ import annotations

import json
import mmap
import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from partimento.tokens.vocabulary import Kind, Vocabulary

Token = str | tuple[str, int] | tuple[str, int, int]

SPECIAL = {
    Kind.START: "<S>", Kind.END: "<E>", Kind.PAD: "<P>", Kind.DIM: "<D>", Kind.SEGMENT: "<T>", Kind.PREFIX: "piano"
}  # fmt: skip


def tokens_of(vocabulary: Vocabulary) -> dict[int, Token]:
    """Id -> token, of the piano alone."""
    v, found = vocabulary, dict[int, Token]()
    for id in range(len(v)):
        kind = Kind(v.kind_of[id])
        if kind in SPECIAL:
            found[id] = SPECIAL[kind]
        elif kind == Kind.NOTE and v.instrument_of[id] == 0:
            found[id] = ("piano", int(v.pitch_of[id]), int(v.velocity_of[id]))
        elif kind in (Kind.ONSET, Kind.DURATION):
            found[id] = ("onset" if kind == Kind.ONSET else "dur", int(v.ms_of[id]))
    return found


class TokenLists:
    """A file of JSON lines and the tokens of its tokens."""

    def __init__(self, path: Path, vocabulary: Vocabulary) -> None:
        self._ids = {token: id for id, token in reversed(tokens_of(vocabulary).items())}
        self._file = path.open("rb")
        self._data = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self._starts = [0]
        while (end := self._data.find(b"\n", self._starts[-1])) >= 0:
            self._starts.append(end + 1)

    def __len__(self) -> int:
        return len(self._starts) - 1

    def bytes_per_note(self) -> float:
        """Size of the file by the notes in it."""
        return len(self._data) / self._data[:].count(b'["piano"')

    def tokens(self, index: int) -> list[Token]:
        """One line, parsed."""
        line = self._data[self._starts[index] : self._starts[index + 1]]
        return [tuple(token) if isinstance(token, list) else token for token in json.loads(line)]

    def item(self, index: int, rng: random.Random) -> np.ndarray:
        """One line as augmented tokens."""
        return self.encode(augmented(self.tokens(index), rng))

    def encode(self, tokens: Iterable[Token]) -> np.ndarray:
        """Ids by dictionary."""
        return np.array([self._ids[token] for token in tokens], np.int32)


def write(path: Path, sequences: Iterable[np.ndarray], vocabulary: Vocabulary) -> None:
    """Write sequences of tokens as JSON lines."""
    token_of = tokens_of(vocabulary)
    with path.open("w", encoding="utf-8") as file:
        for ids in sequences:
            file.write(json.dumps([token_of[id] for id in ids.tolist()], separators=(",", ":")) + "\n")


def augmented(tokens: list[Token], rng: random.Random) -> list[Token]:
    """Another tempo, key and touch: one draw of each."""
    tempo, semitones, louder = rng.uniform(0.8, 1.2), rng.randint(-5, 5), rng.choice((-10, 0, 10))
    out: list[Token] = []
    chord: list[tuple[Token, Token]] = []
    old_segment = new_segment = 0
    chord_ms = -1

    def finish_chord() -> None:
        nonlocal new_segment
        now = round(chord_ms * tempo / 10) * 10
        while new_segment < now // 5000:
            out.append("<T>")
            new_segment += 1
        rng.shuffle(chord)
        for note, duration in chord:
            out.extend((note, ("onset", now % 5000), duration))
        chord.clear()

    i = 0
    while i < len(tokens):
        token = tokens[i]
        if token == "<T>":
            old_segment += 1
        elif isinstance(token, str):
            if chord:
                finish_chord()
            if token == "<S>":
                old_segment = new_segment = 0
            out.append(token)
        elif token[0] == "piano" and i + 2 < len(tokens) and tokens[i + 1][0] == "onset" and tokens[i + 2][0] == "dur":
            now = old_segment * 5000 + tokens[i + 1][1]
            if chord and now != chord_ms:
                finish_chord()
            chord_ms = now
            pitch = token[1] + semitones
            if 0 <= pitch <= 127:
                note = ("piano", pitch, min(max(token[2] + louder, 10), 120))
                chord.append((note, ("dur", min(max(round(tokens[i + 2][1] * tempo / 10) * 10, 10), 5000))))
            i += 2
        i += 1
    if chord:
        finish_chord()
    return out
