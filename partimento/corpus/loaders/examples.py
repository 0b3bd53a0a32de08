"""Loaders that make each row of one file: pairs of views, labelled slices; `sequences.py` has those of passages.

A file comes once in an epoch, in an order and augmented by draws of (seed, epoch, file) alone; process r of W makes
rows r*B/W to (r+1)*B/W of every batch of B. They know how a file becomes an example; they refuse to know losses.

    >>> pairs = ViewPairLoader(store, vocabulary, "train", length=2048, batch=64, seed=0)  # doctest: +SKIP
    >>> next(pairs)["a"].shape                                                             # doctest: +SKIP
    (64, 2048)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, Generic, Self, TypeVar

import numpy as np
import numpy.typing as npt

from partimento.corpus.loaders.order import Epochs, Purpose, Share, generator
from partimento.corpus.loaders.packed import Ids, StoreTokenizer
from partimento.corpus.store.note_store import NoteStore
from partimento.errors import UserError
from partimento.tokens.vocabulary import Vocabulary

SLICE_NOTES: Final = (100, 650)
"""Notes in a view (section 3.3)."""
IDS_PER_NOTE: Final = 3.2
"""What a note of a stretch is taken to need: three tokens, and its share of a <T> every five seconds. Music of less
than a note a second needs more, and its stretches lose notes."""
LEAST_NOTES: Final = 50
"""Files of fewer notes have no two views that say anything; they are left out."""

Batch = TypeVar("Batch")
Arrays = dict[str, npt.NDArray]


class ExampleLoader(ABC, Generic[Batch]):
    """An endless iterator over examples of one file each; subclasses say which there are and what a batch of them is.

    `batch` counts the rows of all `world` processes; this one, `rank`, makes its share. `length` is a row's, in tokens.
    With `pedal` the pedal is spelled out.
    """

    def __init__(
        self,
        store: NoteStore,
        vocabulary: Vocabulary,
        split: str,
        *,
        length: int,
        batch: int,
        seed: int,
        augment: bool = True,
        pedal: bool = False,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self._store, self._vocabulary, self._length = store, vocabulary, length
        self._tokenizer = StoreTokenizer(store, vocabulary, pedal=pedal)
        self._room = length - len(self._tokenizer.head) - len(self._tokenizer.end)
        if self._room < 3:
            raise UserError(f"length is {length}; a sequence of a whole note and its frame needs at least 6")
        self._split, self._augment, self._seed = split, augment, seed
        self._share = Share(batch=batch, rank=rank, world=world)
        self._position = 0
        self._epochs = Epochs(self._examples(store.split(split)), seed)

    @property
    def examples_per_epoch(self) -> int:
        """How many examples of all processes together make an epoch: one per file."""
        return len(self._epochs)

    def __iter__(self) -> Self:
        return self

    @property
    def ahead(self) -> list[tuple[int, int]]:
        """Epoch and number of the example in each row of this process's next batch."""
        return [self._epochs.at(self._position + row) for row in self._share.rows]

    def __next__(self) -> Batch:
        places = self.ahead
        self._position += self._share.batch
        drawn = [(file, generator(Purpose.EXAMPLE, self._seed, epoch, file)) for epoch, file in places]
        return self._make(drawn)

    def state_dict(self) -> dict[str, Any]:
        """How many examples all processes together have had: JSON, the same for all of them."""
        return {"examples": self._position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where `state_dict` stood, with any number of processes; raises `UserError` for another's state."""
        if not isinstance(state.get("examples"), int):
            raise UserError(f"not the state of a loader of single files: it has {', '.join(state) or 'nothing'}")
        self._position = state["examples"]

    @abstractmethod
    def _examples(self, files: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Of the files of the split the numbers that an epoch shuffles; all else is set when this is asked."""

    @abstractmethod
    def _make(self, drawn: list[tuple[int, np.random.Generator]]) -> Batch:
        """A batch of files, each with its random numbers."""

    def _rows(self, number: int) -> Ids:
        return np.full((number, self._length), self._vocabulary.pad, np.int32)

    def _write(self, row: Ids, file: int, rng: np.random.Generator, first: int, last: int) -> None:
        """Begin a padded row with a slice of a file."""
        body = self._tokenizer.body(file, rng if self._augment else None, first, last)[: self._room]
        ids = self._tokenizer.sequence(body, dim=False)
        row[: len(ids)] = ids


class ViewPairLoader(ExampleLoader[Arrays]):
    """Batches for contrastive learning: two views of each file that do not overlap, augmented independently.

    `a` and `b` int32 [batch / world, length]: prefix, <S>, 100 to 650 notes, <E> (cut to `length` with <E> last, no
    <D>), then <P>; `file` and `piece` int64 [batch / world] (section 3.3). In files of fewer than 1,300 notes a view
    has at most half of them, so that two always fit; files of 50 to 199 notes give their two halves; shorter ones are
    left out.
    """

    def _examples(self, files: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        files = files[self._store.counts[files] >= LEAST_NOTES]
        if not len(files):
            raise UserError(f"{self._store.path}: no file in split {self._split!r} has {LEAST_NOTES} notes or more")
        return files

    def _make(self, drawn: list[tuple[int, np.random.Generator]]) -> Arrays:
        files = np.array([file for file, _ in drawn])
        batch = {name: self._rows(len(drawn)) for name in ("a", "b")}
        for number, (file, rng) in enumerate(drawn):
            views = two_slices(int(self._store.counts[file]), rng)
            for name, (first, last) in zip(("a", "b"), views, strict=True):
                self._write(batch[name][number], file, rng, first, last)
        return batch | {"file": files, "piece": self._store.pieces[files]}


class LabelledLoader(ExampleLoader[Arrays]):
    """Batches for classifiers: a slice of 100 to 650 notes of each file, and the index of its label.

    `ids` int32 [batch / world, length] as a view of `ViewPairLoader`; `label` int64 [batch / world], an index into
    `classes`; `file` int64. Files of fewer than 100 notes are taken whole; files without the label, or with one that
    is not among `classes` (by default all that the split has, sorted), are left out. With `labelled`, only so many
    files are used, as evenly from all classes as can be; see `balanced`.
    """

    def __init__(
        self,
        store: NoteStore,
        vocabulary: Vocabulary,
        split: str,
        *,
        label: str,
        classes: Sequence[str] | None = None,
        labelled: int | None = None,
        **more: Any,
    ) -> None:
        names = store.label(label)
        known = {found for file in store.split(split) if (found := names[file]) is not None}
        self.classes = tuple(classes or sorted(known))
        index_of = {name: index for index, name in enumerate(self.classes)}
        self._label_of = np.array([index_of.get(name or "", -1) for name in names], np.int64)
        self._label, self._labelled = label, labelled
        super().__init__(store, vocabulary, split, **more)

    def _examples(self, files: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        files = files[self._label_of[files] >= 0]
        if not len(files):
            where = f"{self._store.path}: no file in split {self._split!r}"
            raise UserError(f"{where} has a label {self._label!r} among the classes")
        if self._labelled is not None:
            files = files[balanced(self._label_of[files], self.classes, self._labelled, self._seed)]
        return files

    def _make(self, drawn: list[tuple[int, np.random.Generator]]) -> Arrays:
        files = np.array([file for file, _ in drawn])
        ids = self._rows(len(drawn))
        for row, (file, rng) in zip(ids, drawn, strict=True):
            first, last = one_slice(int(self._store.counts[file]), rng)
            self._write(row, file, rng, first, last)
        return {"ids": ids, "label": self._label_of[files], "file": files}


def view_notes(length: int) -> int:
    """About how many notes the longest slices keep that are cut to `length` tokens."""
    return min(SLICE_NOTES[1], math.floor(length / IDS_PER_NOTE))


def one_slice(count: int, rng: np.random.Generator) -> tuple[int, int]:
    """First and last + 1 of a slice of 100 to 650 of `count` notes, or of all if there are fewer than 100.

    `one_slice(400, np.random.default_rng(0))` -> (28, 384).
    """
    low, high = (min(limit, count) for limit in SLICE_NOTES)
    length = int(rng.integers(low, high + 1))
    first = int(rng.integers(0, count - length + 1))
    return first, first + length


def two_slices(count: int, rng: np.random.Generator) -> tuple[tuple[int, int], tuple[int, int]]:
    """Two slices of 100 to 650 of `count` notes, at most half of them each, that do not overlap; either comes first.

    The notes that are in neither are spread evenly over the room before, between and behind.
    `two_slices(400, np.random.default_rng(0))` -> ((14, 199), (211, 375)).
    """
    low, high = (min(limit, count // 2) for limit in SLICE_NOTES)
    lengths = rng.integers(low, high + 1, 2)
    before, until = np.sort(rng.integers(0, count - lengths.sum() + 1, 2))
    first = (int(before), int(before + lengths[0]))
    second = (int(until + lengths[0]), int(until + lengths.sum()))
    return (second, first) if rng.integers(2) else (first, second)


def balanced(labels: npt.NDArray[np.int64], classes: Sequence[str], n: int, seed: int) -> npt.NDArray[np.int64]:
    """Indices of `n` of the labels, as many of each class as of any other, give or take one; ascending.

    `balanced([0, 1, 0, 1, 1], ("a", "b"), 3, seed=0)` -> [0, 2, 3]: two of a, one of b. One seed's subsets contain each
    other: the larger adds to the smaller. Raises `UserError` for a class with too few.
    """
    chosen = []
    for index, name in enumerate(classes):
        wanted = n // len(classes) + (index < n % len(classes))
        members = np.flatnonzero(labels == index)
        if wanted > len(members):
            raise UserError(
                f"{n} labels need {wanted} files of class {name!r}, there are {len(members)}; ask for fewer"
            )
        chosen.append(generator(Purpose.SUBSET, seed, index).permutation(members)[:wanted])
    if not n:
        raise UserError("a subset of 0 labels teaches nothing; ask for at least one of each class")
    return np.sort(np.concatenate(chosen))
