"""Batches of token ids out of a note store.

Packed sequences (section 3.2): each row of a batch reads its own endless stream of files, one after the other, each
augmented afresh. What a row yields depends only on (seed, row, position), so a loader can be set back to any position
and gives the same bytes again. It refuses to know about models and losses.

    >>> loader = PackedLoader(store, vocabulary, "train", length=1024, batch=2, seed=0)  # doctest: +SKIP
    >>> ids_BW = next(loader)                                                             # doctest: +SKIP
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from partimento.corpus.store import NoteStore
from partimento.errors import UserError
from partimento.tokens import augment
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary

Ids = npt.NDArray[np.int32]


class PackedLoader:
    """An endless iterator of int32 [batch, length + 1]; consecutive batches of a row overlap by one id.

    Every file is prefix, <S>, body with <D>, <E>. With `augment` each epoch draws tempo, pitch and velocity anew.
    """

    def __init__(  # noqa: PLR0917 - in the order in which one says them
        self,
        store: NoteStore,
        vocabulary: Vocabulary,
        split: str,
        length: int,
        batch: int,
        seed: int,
        augment: bool = True,
    ) -> None:
        if length < 1 or batch < 1:
            raise UserError(f"a loader needs a length and a batch of at least 1, not {length} and {batch}")
        self._store, self._tokenizer, self._files = store, Tokenizer(vocabulary), store.split(split)
        self._length, self._seed, self._augment = length, seed, augment
        self._head = np.array([vocabulary.prefix("instrument", "piano"), vocabulary.start], np.int32)
        self._tail = np.array([vocabulary.end], np.int32)
        self._rows = [_Row(number=number, of=batch) for number in range(batch)]

    def __iter__(self) -> PackedLoader:
        return self

    def __next__(self) -> Ids:
        return np.stack([self._next_window(row) for row in self._rows])

    def state_dict(self) -> dict[str, Any]:
        """Where each row stands: JSON."""
        return {"files": [row.file for row in self._rows], "offsets": [row.offset for row in self._rows]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where `state_dict` stood; raises `UserError` for the state of another batch size."""
        if len(state["files"]) != len(self._rows):
            raise UserError(f"the state has {len(state['files'])} rows, this loader {len(self._rows)}")
        for row, file, offset in zip(self._rows, state["files"], state["offsets"], strict=True):
            row.file, row.offset, row.ids = file, offset, None

    def _next_window(self, row: _Row) -> Ids:
        """The row's next length + 1 ids; the last of them is the first of the window after."""
        parts: list[Ids] = []
        missing = self._length + 1
        file, offset, ids = row.file, row.offset, row.ids
        while True:
            if ids is None:
                ids = self._encode(row.number + file * row.of)
            parts.append(ids[offset : offset + missing])
            missing -= len(parts[-1])
            offset += len(parts[-1])
            if not missing:
                break
            file, offset, ids = file + 1, 0, None
        # The window's last id is also the next one's first: one step back, which never leaves the file it stands in.
        row.file, row.offset, row.ids = file, offset - 1, ids
        return np.concatenate(parts)

    def _encode(self, position: int) -> Ids:
        """The file at `position` of the endless sequence of shuffled epochs."""
        epoch, place = divmod(position, len(self._files))
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._files))
        notes = self._store.notes(self._files[order[place]])
        if self._augment:
            notes = augment.augment(notes, augment.draw(notes, np.random.default_rng([self._seed, epoch, place])))
        body = self._tokenizer.insert_dim(self._tokenizer.encode_notes(notes))
        return np.concatenate([self._head, body, self._tail])


class _Row:
    """One row's stream: which of its files, the offset of the next id in it, and its ids if at hand."""

    __slots__ = ("file", "ids", "number", "of", "offset")

    def __init__(self, *, number: int, of: int) -> None:
        self.number, self.of = number, of
        self.file, self.offset = 0, 0
        self.ids: Ids | None = None
