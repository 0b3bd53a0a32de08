"""Loaders of generative fine-tuning: each row is a passage of one file, and only true ends of files look like ends.

A passage that stops before its file does just stops; docs/store.md says why, and how endings of all lengths are drawn.
They refuse to know losses, but they say which tokens are no targets.

    >>> loader = WholeFileLoader(store, vocabulary, "train", length=8192, batch=16, seed=0)  # doctest: +SKIP
    >>> loader = StretchLoader(store, vocabulary, "train", length=1024, batch=16, seed=0)    # doctest: +SKIP
    >>> next(loader).shape                                                                   # doctest: +SKIP
    (16, 1025)
"""

from __future__ import annotations

import math
from abc import abstractmethod
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from partimento.corpus.loaders.examples import IDS_PER_NOTE, Arrays, ExampleLoader
from partimento.corpus.loaders.order import Purpose, generator
from partimento.corpus.loaders.packed import Ids, Transform
from partimento.corpus.store.note_store import NoteStore
from partimento.tokens.disturb import Own, disturb, own_tokens
from partimento.tokens.vocabulary import Vocabulary

ENDING_SHARE: Final = 0.5
"""How many of the passages are drawn from the end of a file."""
SHORTEST_ENDING: Final = 256
"""Tokens of the shortest sequence that begins where its file is under way and ends with it: <D> and music before."""
FULLNESS: Final = 0.75
"""How full the stretches of a file are on average, so that there is room to draw how long the last one is."""


class PassageLoader(ExampleLoader[Ids | Arrays]):
    """Batches int32 [batch / world, length + 1]: each row prefix, <S>, notes of one file, then <P> (section 3.2).

    Where the passage ends with its file, <D> stands about 100 tokens before the end, and <E> behind. `transform` is
    applied to every row as `PackedLoader` does. A `disturbed_share` of the rows have stretches disturbed
    (`tokens/disturb.py`) and are not transformed; batches are then mappings: `ids`, and `given` bool of the same shape,
    true where a token is not the pianist's and so no target.
    """

    def __init__(
        self,
        store: NoteStore,
        vocabulary: Vocabulary,
        split: str,
        *,
        transform: Transform | None = None,
        disturbed_share: float = 0.0,
        **more: Any,
    ) -> None:
        self._transform, self._disturbed_share = transform, disturbed_share
        super().__init__(store, vocabulary, split, **more)

    def file_of(self, example: int) -> int:
        """The file that an example is taken from."""
        return self._notes_of(example)[0]

    def _make(self, drawn: list[tuple[int, np.random.Generator]]) -> Ids | Arrays:
        batch = np.full((len(drawn), self._length + 1), self._vocabulary.pad, np.int32)
        given = np.zeros(batch.shape, np.bool_)
        for row, given_row, (example, rng) in zip(batch, given, drawn, strict=True):
            ids, own = self._sequence(example, rng, disturbed=bool(rng.random() < self._disturbed_share))
            row[: len(ids)] = ids
            if own is not None:
                given_row[: len(ids)] = ~own_tokens(ids, own, self._vocabulary)
            elif self._transform is not None:
                row[:] = self._transform(row, rng)
        return {"ids": batch, "given": given} if self._disturbed_share else batch

    def _sequence(self, example: int, rng: np.random.Generator, *, disturbed: bool) -> tuple[Ids, Own | None]:
        """A sequence of at most length + 1 tokens, and of a disturbed one which notes are the pianist's."""
        file, first, last = self._notes_of(example)
        room, seed = self._ending(rng), int(rng.integers(2**63))
        over = last == self._store.counts[file]
        if over and room is not None:
            # A note takes at least three tokens, so what is too long by n has n / 3 notes too many, or fewer.
            first = max(first, last - room // 3)
            body, own = self._body(file, first, last, seed, disturbed)
            while len(body) > room and first < last - 1:
                first = min(first - (room - len(body)) // 3, last - 1)
                body, own = self._body(file, first, last, seed, disturbed)
        else:
            last = min(last, first + self._length // 3 + 1)
            body, own = self._body(file, first, last, seed, disturbed)
            over = last == self._store.counts[file]
        if over and len(body) <= self._room:
            return self._tokenizer.sequence(body, dim=True), own
        return np.concatenate([self._tokenizer.head, body])[: self._length + 1], own

    def _body(self, file: int, first: int, last: int, seed: int, disturbed: bool) -> tuple[Ids, Own | None]:
        """The same numbers decide on all passages that are tried for one example."""
        rng = np.random.default_rng(seed)
        notes = self._tokenizer.notes(file, rng if self._augment else None, first, last)
        own = None
        if disturbed:
            notes, own = disturb(notes, rng)
        return self._tokenizer.encode(notes), own

    @abstractmethod
    def _notes_of(self, example: int) -> tuple[int, int, int]:
        """File, first note and last note + 1 of an example."""

    @abstractmethod
    def _ending(self, rng: np.random.Generator) -> int | None:
        """So many tokens the notes may take that come last in the example's notes; None: those that come first, all."""


class WholeFileLoader(PassageLoader):
    """A passage of each file in an epoch: from its first note on as far as it fits, or what leads to its end.

    A file of two notes, with length 12: [prefix <S> note onset duration note onset duration <E> <P> <P> <P> <P>].

    `ending_share` of them are the latter, as many of the file's last notes as fit a drawn length of `SHORTEST_ENDING`
    to `length` tokens, each doubling equally likely. Files that fit are whole, and end, among the others too.
    """

    def __init__(
        self, store: NoteStore, vocabulary: Vocabulary, split: str, *, ending_share: float = ENDING_SHARE, **more: Any
    ) -> None:
        self._ending_share = ending_share
        super().__init__(store, vocabulary, split, **more)

    def _examples(self, files: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        return files

    def _notes_of(self, example: int) -> tuple[int, int, int]:
        return example, 0, int(self._store.counts[example])

    def _ending(self, rng: np.random.Generator) -> int | None:
        if rng.random() >= self._ending_share:
            return None
        frame = self._length + 1 - self._room
        shortest = min(SHORTEST_ENDING, self._length + 1)
        return int(shortest * ((self._length + 1) / shortest) ** rng.random()) - frame


class StretchLoader(PassageLoader):
    """The same without leaving anything out: a file that is too long makes several examples instead of one.

    For corpora too small to lose what stands behind the first sequence, and for models of a short context. The last of
    a file's stretches has a length drawn for the file, each doubling equally likely, as far as the others can take the
    rest; the others are even.
    """

    def _examples(self, files: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        most = max(1, math.floor(self._room / IDS_PER_NOTE))
        self._table = np.concatenate(
            [self._stretches(file, most, generator(Purpose.STRETCHES, self._seed, file)) for file in files.tolist()]
        )
        return np.arange(len(self._table))

    def _stretches(self, file: int, most: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """[stretches, 3]: file, first note, last note + 1."""
        count = int(self._store.counts[file])
        if count <= most:
            return np.array([(file, 0, count)], np.int64)
        others = math.ceil(count / max(1, FULLNESS * most)) - 1
        shortest = min(math.ceil(SHORTEST_ENDING / IDS_PER_NOTE), most)
        least = max(count - others * most, shortest)
        longest = max(least, min(most, count - others * shortest))
        rest = count - int(least * (longest / least) ** rng.random())
        bounds = [rest * number // others for number in range(others + 1)] + [count]
        return np.array([(file, *stretch) for stretch in pairwise(bounds)], np.int64)

    def _notes_of(self, example: int) -> tuple[int, int, int]:
        file, first, last = self._table[example].tolist()
        return file, first, last

    def _ending(self, rng: np.random.Generator) -> int | None:  # noqa: ARG002
        return self._room
