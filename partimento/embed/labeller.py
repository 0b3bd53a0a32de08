"""Performances -> probabilities of labels, by a fine-tuned classifier.

Knows: that a performance is read in slices as an `Encoder` reads them, that each slice has its own opinion, and that a
file's is the mean of them by notes. Refuses to know: how the classifier was trained.

    labeller = Labeller.load("runs/composer/best.safetensors")
    labeller.classes, labeller.probabilities(["a.mid", "b.mid"])      # float32 [2, classes]
    labeller.over_time("long.mid")                                    # a Stretch for each slice
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch

from partimento.embed.encoder import BATCH_SIZE, Encoder, Item, Vectors
from partimento.embed.slicing import PUBLISHED, SUITING, Slicing
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.model.checkpoint import load
from partimento.model.heads import Classifier, Embedder
from partimento.tokens.notes import Notes
from partimento.tokens.tokenizer import Ids
from partimento.tokens.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What one slice was taken for: seconds from the start of the file, and float32 [classes]."""

    start: float
    end: float
    probabilities: Vectors


class Labeller:
    """A classifier with the names of its classes; `load` makes one from a model file."""

    def __init__(
        self,
        model: Classifier,
        vocabulary: Vocabulary,
        classes: Sequence[str],
        task: str = "",
        *,
        slicing: Slicing = PUBLISHED,
    ) -> None:
        if len(classes) != len(model.class_head.weight):
            raise UserError(f"a classifier of {len(model.class_head.weight)} classes was given {len(classes)} names")
        self.classes, self.task = tuple(classes), task
        self._instruments = vocabulary.instruments
        self._encoder = Encoder(_as_embedder(model), vocabulary, slicing=slicing)

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        slicing: Slicing = SUITING,
        device: torch.device | str = "cpu",
    ) -> Labeller:
        """The classifier of a file, or of a run's folder (then its best epoch); `slicing` as an encoder's.

        Raises `UserError` if it is no classifier. A published one names no classes; they are then called 0, 1, ...
        """
        checkpoint = load(name, Classifier, device=device)
        numbered = [str(number) for number in range(len(checkpoint.model.class_head.weight))]
        known: dict[str, Any] = checkpoint.metadata
        slicing = slicing.suiting(known)
        classes, task = known.get("classes", numbered), known.get("task", "")
        return cls(checkpoint.model, checkpoint.vocabulary, classes, task, slicing=slicing)

    def probabilities(
        self,
        items: Sequence[Item],
        batch_size: int = BATCH_SIZE,
        *,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Vectors:
        """float32 [n, classes], a row for each performance or MIDI file: the mean over its slices, by their notes.

        `progress` is told of slices as they are done. Raises `UserError` for a file that has no notes or is no MIDI.
        """
        performances = [_performance(item) for item in items]
        sequences = [self._encoder.sequences(performance) for performance in performances]
        counts = [len(self._notes(performance)) for performance in performances]
        return self._mean(sequences, counts, batch_size, progress)

    def of_notes(self, files: Sequence[Notes], batch_size: int = BATCH_SIZE) -> Vectors:
        """The same for the notes of files, all piano, as note stores hold them."""
        return self._mean([self._encoder.slices(notes) for notes in files], [*map(len, files)], batch_size)

    def check(self, performance: Performance) -> None:
        """Raise `UserError` for a performance without notes that the model can read."""
        self._encoder.sequences(performance)

    def over_time(self, item: Item) -> list[Stretch]:
        """What each slice is taken for; a slice lasts until the note behind it begins."""
        performance = _performance(item)
        (logits,) = self._encoder.encode_slices([performance])
        times = [*(self._notes(performance).onset_ms / 1000), performance.seconds]
        bounds = self._encoder.slicing.bounds(len(times) - 1)
        return [
            Stretch(start=float(times[first]), end=float(times[last]), probabilities=row)
            for (first, last), row in zip(bounds, _softmax(logits), strict=True)
        ]

    def _mean(
        self,
        sequences: Sequence[Sequence[Ids]],
        counts: Sequence[int],
        batch_size: int,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Vectors:
        """float32 [files, classes] of the slices of each file and how many notes it has."""
        logits = self._encoder.encode_sequences(list(chain.from_iterable(sequences)), batch_size, progress=progress)
        rows, ends = [], np.cumsum([0, *map(len, sequences)])
        for count, (first, last) in zip(counts, pairwise(ends.tolist()), strict=True):
            weights = [end - begin for begin, end in self._encoder.slicing.bounds(count)]
            rows.append(np.average(_softmax(logits[first:last]), axis=0, weights=weights))
        return np.array(rows, np.float32).reshape(len(counts), len(self.classes))

    def _notes(self, performance: Performance) -> Notes:
        """The notes that are read, on the file's own clock."""
        return Notes.from_performance(performance, instruments=self._instruments, remove_silence=False)


def _as_embedder(model: Classifier) -> Embedder:
    """The same weights as an embedding model whose vectors are the logits."""
    with torch.device("meta"):
        embedder = Embedder(model.config, size=len(model.class_head.weight))
    embedder.model = model.model
    embedder.emb_head = model.class_head
    return embedder


def _performance(item: Item) -> Performance:
    return item if isinstance(item, Performance) else Performance.from_midi(item)


def _softmax(logits: Vectors) -> Vectors:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
