"""Performances -> probabilities of labels, by a fine-tuned classifier or a linear head on an embedding model.

Knows: that a performance is read in slices as an `Encoder` reads them, that each slice of a fine-tuned classifier has
its own opinion and a file's is the mean of them by notes, and that a head reads the mean of the vectors. Refuses to
know: how the classifier was trained.

    labeller = Labeller.load("bundled-classifier")
    labeller.classes, labeller.probabilities(["a.mid", "b.mid"])      # float32 [2, classes]
    labeller.over_time("long.mid")                                    # a Stretch for each slice
    label_files(labeller, ["midi", "more.zip"])                       # file by file, whatever can be read
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from scipy.special import softmax

from partimento.corpus.archives import is_midi
from partimento.corpus.sources import performances
from partimento.embed.encoder import Encoder, Item, Tokenised, Vectors
from partimento.embed.head import LinearHead
from partimento.embed.slicing import PUBLISHED, SUITING, Slicing
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.model.checkpoint import load
from partimento.model.heads import Classifier, Embedder
from partimento.model.hub import locate
from partimento.tokens.notes import Notes
from partimento.tokens.tokenizer import Ids
from partimento.tokens.vocabulary import Vocabulary

FILES_AT_ONCE: Final = 32
"""Files whose slices go through the model together in `label_files`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What one slice, or a file, was taken for: seconds from the start of the file, and float32 [classes]."""

    start: float
    end: float
    probabilities: Vectors


class Labeller:
    """A classifier with the names of its classes; `load` makes one from a model file.

    Of a file whose likeliest class is less probable than `least` it knows nothing.
    """

    def __init__(
        self,
        model: Classifier | Embedder,
        vocabulary: Vocabulary,
        classes: Sequence[str],
        task: str = "",
        *,
        slicing: Slicing = PUBLISHED,
        head: LinearHead | None = None,
    ) -> None:
        if isinstance(model, Classifier) and len(classes) != len(model.class_head.weight):
            raise UserError(f"a classifier of {len(model.class_head.weight)} classes was given {len(classes)} names")
        self.classes, self.task = tuple(classes), task
        self.least = head.least if head else 0.0
        embedder = _as_embedder(model) if isinstance(model, Classifier) else model
        self._encoder, self._head = Encoder(embedder, vocabulary, slicing=slicing), head

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
        path = locate(name)
        if LinearHead.is_in(path):
            head = LinearHead.load(path)
            base = load(head.embedder, Embedder, device=device)
            slicing = slicing.suiting(base.metadata)
            return cls(base.model, base.vocabulary, head.classes, head.task, slicing=slicing, head=head)
        checkpoint = load(name, Classifier, device=device)
        numbered = [str(number) for number in range(len(checkpoint.model.class_head.weight))]
        known: dict[str, Any] = checkpoint.metadata
        slicing = slicing.suiting(known)
        classes, task = known.get("classes", numbered), known.get("task", "")
        return cls(checkpoint.model, checkpoint.vocabulary, classes, task, slicing=slicing)

    def tokenise(self, item: Item) -> Tokenised:
        """What the model reads of a performance or MIDI file; a `UserError` if it has no notes or is no MIDI."""
        return self._encoder.tokenise(item)

    def probabilities(
        self,
        items: Item | Tokenised | Sequence[Item | Tokenised],
        batch_size: int | None = None,
        *,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Vectors:
        """float32 [n, classes], a row for each performance or MIDI file: the mean over its slices, by their notes.

        Of one by itself [classes]. `progress` is told of slices as they are done. Raises `UserError` for a file that
        has no notes or is no MIDI.
        """
        several = [items] if isinstance(items, Item | Tokenised) else items
        files = [item if isinstance(item, Tokenised) else self.tokenise(item) for item in several]
        rows = self._mean([(file.slices, file.bounds) for file in files], batch_size, progress)
        return rows if several is items else rows[0]

    def of_notes(self, files: Sequence[Notes], batch_size: int | None = None) -> Vectors:
        """The same for the notes of files, all piano, as note stores hold them."""
        bounds = self._encoder.slicing.bounds
        return self._mean([(self._encoder.slices(notes), bounds(len(notes))) for notes in files], batch_size)

    def over_time(self, item: Item | Tokenised) -> list[Stretch]:
        """What each slice is taken for; a slice lasts until the note behind it begins."""
        file = item if isinstance(item, Tokenised) else self.tokenise(item)
        shares = self._shares(self._encoder.encode_sequences(file.slices))
        return [
            Stretch(start=float(file.seconds[first]), end=float(file.seconds[last]), probabilities=row)
            for (first, last), row in zip(file.bounds, shares, strict=True)
        ]

    def _shares(self, read: Vectors) -> Vectors:
        """float32 [n, classes] of logits, or of the vectors that a head reads."""
        return softmax(read, axis=1) if self._head is None else self._head.probabilities(read)

    def _mean(
        self,
        files: Sequence[tuple[Sequence[Ids], Sequence[tuple[int, int]]]],
        batch_size: int | None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Vectors:
        """float32 [files, classes] of the tokens of each file's slices and the notes they are of."""
        slices = list(chain.from_iterable(slices for slices, _ in files))
        read = self._encoder.encode_sequences(slices, batch_size, progress=progress)
        ends = np.cumsum([0, *(len(bounds) for _, bounds in files)])
        if self._head is not None:
            means = [read[begin:end].mean(axis=0) for begin, end in pairwise(ends)]
            return self._shares(np.array(means, np.float32).reshape(len(files), self._encoder.size))
        rows = [
            np.average(self._shares(read[begin:end]), axis=0, weights=[last - first for first, last in bounds])
            for (begin, end), (_, bounds) in zip(pairwise(ends), files, strict=True)
        ]
        return np.array(rows, np.float32).reshape(len(files), len(self.classes))


def label_files(
    labeller: Labeller, locations: Sequence[str | Path], *, over_time: bool = False
) -> Iterator[tuple[str, list[Stretch] | UserError]]:
    """The MIDI files of folders and archives, or single ones, and what each is taken for, or why that cannot be said.

    One stretch is the whole file; with `over_time` there is one for each slice. Files are read a few at a time. Raises
    `UserError` for a location that holds none.
    """
    found = chain.from_iterable(map(_named, locations))
    while block := list(islice(found, FILES_AT_ONCE)):
        read = [(name, _tokenised(labeller, performance)) for name, performance in block]
        whole = [] if over_time else [file for _, file in read if isinstance(file, Tokenised)]
        opinions = iter(labeller.probabilities(whole))
        for name, file in read:
            if isinstance(file, UserError):
                yield name, file
            elif over_time:
                yield name, labeller.over_time(file)
            else:
                yield name, [Stretch(start=file.seconds[0], end=file.seconds[-1], probabilities=next(opinions))]


def _tokenised(labeller: Labeller, performance: Performance | UserError) -> Tokenised | UserError:
    if isinstance(performance, UserError):
        return performance
    try:
        return labeller.tokenise(performance)
    except UserError as error:
        return error


def _named(location: str | Path) -> Iterator[tuple[str, Performance | UserError]]:
    """Of one location, by names that lead there from where we are."""
    place = Path(location)
    alone = is_midi(place.name) and place.is_file()
    for path, performance in performances(location):
        yield str(place if alone else place / path), performance


def _as_embedder(model: Classifier) -> Embedder:
    """The same weights as an embedding model whose vectors are the logits."""
    with torch.device("meta"):
        embedder = Embedder(model.config, size=len(model.class_head.weight))
    embedder.model = model.model
    embedder.emb_head = model.class_head
    return embedder
