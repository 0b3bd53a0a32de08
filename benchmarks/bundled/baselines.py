"""Two models that anyone would try first, to read a held-out loss against.

`Unigram` counts tokens and ignores order. `NoteMarkov` knows the note before: it predicts pitch, velocity, the time
since the last onset and the duration, each from its own predecessor. Both give nats, so that they compare with a
network's cross entropy on the same notes. It refuses to know about networks.

    >>> markov = NoteMarkov.fit(store.notes(i) for i in store.split("train"))  # doctest: +SKIP
    >>> markov.nats(notes) / (len(notes) - 1)                                  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from partimento.tokens.notes import Notes
from partimento.tokens.tokenizer import DURATION_INDEX, VELOCITY_INDEX
from partimento.tokens.vocabulary import GRID_MS, SEGMENT_MS

Floats = npt.NDArray[np.float64]

_STEPS: Final = SEGMENT_MS // GRID_MS
_SIZES: Final = {"pitch": 128, "velocity": 13, "interval": _STEPS + 1, "duration": _STEPS + 1}
_BACKOFF: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unigram:
    """Every id by its share of the training tokens, each counted once more than seen."""

    log_probability_V: Floats

    @classmethod
    def fit(cls, sequences: Iterable[npt.NDArray[np.integer]], size: int) -> Unigram:
        """Count the tokens of `sequences` over a vocabulary of `size` tokens."""
        counts = np.ones(size)
        for tokens in sequences:
            counts += np.bincount(tokens, minlength=size)
        return cls(log_probability_V=np.log(counts / counts.sum()))

    def nats(self, tokens: npt.NDArray[np.integer]) -> float:
        """Total nats of all `tokens`."""
        return float(-self.log_probability_V[tokens].sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteMarkov:
    """Bigrams of four properties of consecutive notes, smoothed towards their unigrams.

    P(b | a) = (count(a, b) + 20 P(b)) / (count(a) + 20). Intervals are times between onsets on the 10 ms grid, cut at
    5 s; durations and velocities are those of the tokens, so that the nats are those of a note's tokens.
    """

    log_probability: dict[str, Floats]

    @classmethod
    def fit(cls, pieces: Iterable[Notes]) -> NoteMarkov:
        """Count the consecutive notes of `pieces`."""
        counts = {name: np.zeros((size, size)) for name, size in _SIZES.items()}
        for notes in pieces:
            for name, values in _properties(notes).items():
                np.add.at(counts[name], (values[:-1], values[1:]), 1)
        return cls(log_probability={name: _smoothed(count) for name, count in counts.items()})

    def nats(self, notes: Notes) -> float:
        """Total nats of all notes but the first, which has none before it."""
        return -sum(
            float(self.log_probability[name][values[:-1], values[1:]].sum())
            for name, values in _properties(notes).items()
        )


def _properties(notes: Notes) -> dict[str, npt.NDArray[np.int64]]:
    onset = notes.onset_ms // GRID_MS
    return {
        "pitch": notes.pitch.astype(np.int64),
        "velocity": VELOCITY_INDEX[notes.velocity],
        "interval": np.minimum(np.diff(onset, prepend=onset[:1]), _STEPS),
        "duration": DURATION_INDEX[np.minimum(notes.duration_ms, SEGMENT_MS)],
    }


def _smoothed(counts: Floats) -> Floats:
    unigram = counts.sum(0) + 1
    unigram /= unigram.sum()
    return np.log((counts + _BACKOFF * unigram) / (counts.sum(1, keepdims=True) + _BACKOFF))
