"""Batches of tokens out of a note store: packed sequences, for pretraining (section 3.2).

Each row of a batch reads an endless stream of files, or several in turn, one file after the other, each augmented
afresh in every epoch. What a stream yields depends only on (seed, stream, position), so a loader can be set back to any
position and gives the same bytes again, and rows can be shared out among processes in any way (docs/store.md).
`examples.py` has the loaders that make one row of one file. It refuses to know about models and losses.

    >>> loader = PackedLoader(store, vocabulary, "train", length=1024, batch=2, seed=0)  # doctest: +SKIP
    >>> ids_BW = next(loader)                                                             # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from partimento.corpus.loaders.order import Epochs, Purpose, Share, generator
from partimento.corpus.store.note_store import NoteStore
from partimento.errors import UserError
from partimento.tokens import augment
from partimento.tokens.notes import Notes
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary

Ids = npt.NDArray[np.int32]

Transform = Callable[[Ids, np.random.Generator], Ids]
"""Makes another window of a window: int32 [W] -> int32 [W]."""


class StoreTokenizer:
    """Stored notes as tokens of one vocabulary. With `pedal` the pedal is spelled out, else folded into durations.

    `head` is what every sequence begins with: the piano's prefix and <S>.
    """

    def __init__(self, store: NoteStore, vocabulary: Vocabulary, *, pedal: bool = False) -> None:
        if pedal and vocabulary.pedal_on is None:
            raise UserError("this vocabulary has no pedal tokens; load with pedal=False")
        self._store, self._tokenizer, self._fold = store, Tokenizer(vocabulary), not pedal
        self.head: Final = np.array([vocabulary.prefix("instrument", "piano"), vocabulary.start], np.int32)
        self.end: Final = np.array([vocabulary.end], np.int32)

    def body(self, file: int, rng: np.random.Generator | None, first: int = 0, last: int | None = None) -> Ids:
        """Notes first..last-1 of a file, augmented by one draw unless `rng` is None."""
        return self.encode(self.notes(file, rng, first, last))

    def notes(self, file: int, rng: np.random.Generator | None, first: int = 0, last: int | None = None) -> Notes:
        """The same before they are tokens."""
        notes = self._store.notes(file, first, last, fold_pedal=self._fold)
        return notes if rng is None else augment.augment(notes, augment.draw(notes, rng))

    def encode(self, notes: Notes) -> Ids:
        """The body that says notes."""
        return self._tokenizer.encode_notes(notes)

    def sequence(self, body: Ids, *, dim: bool) -> Ids:
        """Prefix, <S>, body, <E>; with `dim`, <D> about 100 tokens before the end."""
        return np.concatenate([self.head, self._tokenizer.insert_dim(body) if dim else body, self.end])


class PackedLoader:
    """An endless iterator of int32 [batch / world, length + 1]; consecutive windows of a stream overlap by one token.

    Of a store of one file of two notes, with length 5 and without augmentation, the windows begin

        [prefix <S> piano-60-80 onset-0 duration-400 piano-64-80], [piano-64-80 onset-500 duration-400 <E> prefix <S>]

    Every file is prefix, <S>, body with <D>, <E>. With `augment` each epoch draws tempo, pitch and velocity anew.
    Files are dealt out to the streams in turn, so that each comes once in an epoch.

    `batch` counts the rows of all `world` processes; this one makes its share. A row takes its windows from
    `streams` of them in turn: with few rows, batch after batch would otherwise be of the same few files. `transform` is
    applied to every window with random numbers of (seed, stream, the window's place), and must keep its length.
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
        *,
        rank: int = 0,
        world: int = 1,
        streams: int = 1,
        pedal: bool = False,
        transform: Transform | None = None,
    ) -> None:
        for name, value in (("length", length), ("batch", batch), ("streams", streams)):
            if value < 1:
                raise UserError(f"a loader needs a {name} of at least 1, not {value}")
        self._tokenizer = StoreTokenizer(store, vocabulary, pedal=pedal)
        self._epochs = Epochs(store.split(split), seed)
        self._length, self._batch, self._per_row, self._seed = length, batch, streams, seed
        self._augment, self._transform = augment, transform
        rows = Share(batch=batch, rank=rank, world=world).rows
        self._streams_of_rows = [[_Stream(number=row + n * batch) for n in range(streams)] for row in rows]
        self._turn = 0

    def __iter__(self) -> PackedLoader:
        return self

    def __next__(self) -> Ids:
        windows = np.empty((len(self._streams_of_rows), self._length + 1), np.int32)
        for streams, window in zip(self._streams_of_rows, windows, strict=True):
            stream = streams[self._turn]
            place = stream.file, stream.offset
            self._fill(stream, window)
            if self._transform is not None:
                window[:] = self._transform(window, generator(Purpose.WINDOW, self._seed, stream.number, *place))
        self._turn = (self._turn + 1) % self._per_row
        return windows

    def state_dict(self) -> dict[str, Any]:
        """Where each of this process's streams stands, [its file, offset in it], and which of a row's is next: JSON.

        See `order.merge_states`.
        """
        return {"turn": self._turn, "streams": {str(s.number): [s.file, s.offset] for s in self._streams}}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go to where `state_dict` stood, or many of them merged; `UserError` for that of another batch or streams."""
        places, streams = state.get("streams", {}), self._streams
        if len(places) not in (len(streams), self._batch * self._per_row) or any(
            str(stream.number) not in places for stream in streams
        ):
            raise UserError(
                f"the state has {len(places)} streams; this loader reads {len(streams)} of "
                f"{self._batch * self._per_row}"
            )
        self._turn = state["turn"]
        for stream in streams:
            stream.file, stream.offset = places[str(stream.number)]
            stream.ids = None

    @property
    def _streams(self) -> list[_Stream]:
        return [stream for streams in self._streams_of_rows for stream in streams]

    def _fill(self, stream: _Stream, window: Ids) -> None:
        """Write the stream's next length + 1 tokens; the last of them is the first of the window after."""
        filled = 0
        while True:
            if stream.ids is None:
                stream.ids = self._encode(stream.number + stream.file * self._batch * self._per_row)
            part = stream.ids[stream.offset : stream.offset + len(window) - filled]
            window[filled : filled + len(part)] = part
            filled += len(part)
            stream.offset += len(part)
            if filled == len(window):
                break
            stream.file, stream.offset, stream.ids = stream.file + 1, 0, None
        # The window's last token is also the next one's first: one step back, which never leaves the file it stands in.
        stream.offset -= 1

    def _encode(self, position: int) -> Ids:
        """The file at `position` of the endless sequence of shuffled epochs."""
        epoch, file = self._epochs.at(position)
        rng = generator(Purpose.EXAMPLE, self._seed, epoch, file) if self._augment else None
        return self._tokenizer.sequence(self._tokenizer.body(file, rng), dim=True)


class _Stream:
    """An endless sequence of files: which of them, the offset of the next token in it, and its tokens if at hand."""

    __slots__ = ("file", "ids", "number", "offset")

    def __init__(self, *, number: int) -> None:
        self.number, self.file, self.offset = number, 0, 0
        self.ids: Ids | None = None
