"""Performances -> vectors: of each slice of 300 notes, and of the whole as their mean.

Knows: how a slice becomes a sequence, how sequences of unlike length share a batch, which hidden state is read. Refuses
to know: which slices are read (`slicing.py`), how a model came to make such vectors, and what is done with them.

    encoder = Encoder.load("loubb/aria-medium-embedding")
    vectors = encoder.encode(["a.mid", "b.mid", performance])        # float32 [3, 512]
    slices = encoder.encode_slices(["a.mid", "b.mid"])               # two arrays, float32 [slices of the file, 512]

Vectors are those of the published embedding model (docs/embeddings.md); only what the vocabulary can say is embedded.

Sequences are batched by length and padded behind <E>; on a processor each thread computes batches of its own. Attention
is causal, so nothing before sees the padding: which sequences share a batch changes a vector by rounding only.

Shape legend: B rows of a batch, T tokens, D channels, E channels of a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from partimento.embed.scikit import SklearnTransformer
from partimento.embed.slicing import PUBLISHED, SUITING, Slicing
from partimento.embed.vectors import unit
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.model.checkpoint import AnyModel, load_any
from partimento.model.heads import Embedder
from partimento.model.precision import whole_width
from partimento.tokens.notes import Notes, milliseconds
from partimento.tokens.tokenizer import Ids, Tokenizer
from partimento.tokens.vocabulary import Vocabulary

LONGEST: Final = 2048
"""Tokens of a sequence, at most; a model of a shorter context has that."""
TOKENS_AT_ONCE: Final = 1024
"""Tokens that go through the model together on a processor, padding included, unless one sequence has more: activations
of more of them leave its cache."""
BATCH_SIZE: Final = 64
"""Sequences that go through the model together elsewhere."""
_KEPT: Final = (1 << 25) - (1 << 13)
"""Bytes of the largest memory that glibc (the C library of most Linux systems) keeps when it was freed."""

Vectors: TypeAlias = NDArray[np.float32]
Item: TypeAlias = Performance | str | PathLike  # bare, since isinstance takes no parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenised:
    """A file as a model reads it: the tokens of each slice, its notes (first, last + 1), and for each note of the file
    the second it begins at, then that of the end.
    """

    slices: list[Ids]
    bounds: list[tuple[int, int]]
    seconds: NDArray[np.float64]


class NothingToEmbed(UserError):
    """A performance without notes that the model's vocabulary can say."""


class Encoder(SklearnTransformer):
    """A model that turns performances into vectors of `size` numbers; `load` makes one from a name.

    `slicing` says which notes are read, and may be set. It is a transformer for scikit-learn's pipelines.
    """

    def __init__(
        self, model: AnyModel, vocabulary: Vocabulary, *, pooled: bool = False, slicing: Slicing = PUBLISHED
    ) -> None:
        self._model, self.pooled = model.eval(), pooled
        self.slicing = slicing
        # glibc keeps freed memory of sizes that were freed before; without this each activation comes from the system
        # page by page, which cost a third of the time in bfloat16. Nothing is written to it, so it takes no memory.
        torch.empty(_KEPT, dtype=torch.uint8)
        self._tokenizer = Tokenizer(vocabulary)
        self._longest = min(LONGEST, model.config.context)
        self.size = model.config.d_model if pooled else len(model.state_dict()["emb_head.weight"])

    @property
    def dimension(self) -> int:
        """Numbers of a vector: another name of `size`."""
        return self.size

    def __repr__(self) -> str:
        read = "pooled hidden states" if self.pooled else "embeddings"
        return f"<Encoder: {read} of {self.size} numbers, {self.slicing}>"

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        return next(self._model.parameters()).dtype

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self._model.parameters()).device

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        pooled: bool = False,
        slicing: Slicing = SUITING,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
    ) -> Encoder:
        """The encoder of a model's name, file, folder, or "owner/name" on the hub.

        `pooled`: the mean of the hidden states over all tokens of a slice instead of what the head reads at <E>; that
        needs no embedding head, so any language model will do (a comparison). `slicing` says which notes are read; what
        it leaves open is as suits the model. `dtype` is what it computes in: bfloat16 is faster where the device
        multiplies it itself (`partimento.model.precision` tells), and a vector then differs by up to a hundredth of its
        length. Raises `UserError` if there is no such model, or no embedding head and `pooled` is not asked for.
        """
        checkpoint = load_any(name, device=device, dtype=dtype)
        if not pooled and not isinstance(checkpoint.model, Embedder):
            raise UserError(
                f"{name} is of the kind {checkpoint.kind!r} and has no embedding head; fine-tune it "
                "(partimento finetune contrastive), or take the mean of its hidden states (pooled)"
            )
        slicing = slicing.suiting(checkpoint.metadata)
        return cls(checkpoint.model, checkpoint.vocabulary, pooled=pooled, slicing=slicing)

    def encode(
        self,
        items: Item | Sequence[Item],
        batch_size: int | None = None,
        *,
        normalize_embeddings: bool = False,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Vectors:
        """float32 [n, size], a row for each performance or MIDI file, in their order; of one by itself [size].

        `normalize_embeddings` scales vectors to length 1. `progress` is told of slices as they are done. Raises
        `UserError`, naming the file, for one that cannot be read or has no notes that the model's vocabulary can say.
        """
        slices = self.encode_slices(items, batch_size, progress=progress)
        vectors = np.stack([rows.mean(axis=0) for rows in slices]) if slices else np.empty((0, self.size), np.float32)
        vectors = unit(vectors) if normalize_embeddings else vectors
        return vectors[0] if isinstance(items, Item) else vectors

    def similarity(self, a: NDArray[np.floating], b: NDArray[np.floating]) -> Vectors:
        """Cosines of each vector of `a` [n, size] with each of `b` [m, size]: float32 [n, m]; one vector is n = 1."""
        return (unit(np.atleast_2d(a)) @ unit(np.atleast_2d(b)).T).astype(np.float32)

    def encode_slices(
        self,
        items: Item | Sequence[Item],
        batch_size: int | None = None,
        *,
        progress: Callable[[int], None] = lambda _: None,
    ) -> list[Vectors]:
        """For each performance or MIDI file float32 [slices, size], a list for one too; otherwise as `encode`."""
        items = [items] if isinstance(items, Item) else items
        sequences = [self.sequences(item) for item in items]
        vectors = self.encode_sequences(
            [ids for of_item in sequences for ids in of_item], batch_size, progress=progress
        )
        return np.split(vectors, np.cumsum([len(of_item) for of_item in sequences])[:-1]) if sequences else []

    def sequences(self, item: Item) -> list[Ids]:
        """The tokens of each slice, as the model reads them. Raises `UserError` as `encode` does."""
        return self.tokenise(item).slices

    def tokenise(self, item: Item) -> Tokenised:
        """What the model reads of a performance or MIDI file, and when. Raises `UserError` as `encode` does."""
        performance = item if isinstance(item, Performance) else Performance.from_midi(item)
        notes = self.notes(performance)
        kept = np.isin(performance.instrument, list(self._tokenizer.vocabulary.instruments))
        return Tokenised(
            slices=self.slices(notes, self.prefixes(performance)),
            bounds=self.slicing.bounds(len(notes)),
            seconds=np.append(milliseconds(performance.onset[kept]) / 1000, performance.seconds),
        )

    def notes(self, performance: Performance) -> Notes:
        """The notes that the vocabulary can say; raises `NothingToEmbed` if there are none."""
        # Of the whole performance, so that the end of a slice does not lift the pedal.
        notes = Notes.from_performance(performance, instruments=self._tokenizer.vocabulary.instruments)
        if not len(notes):
            name = performance.source.name or "a performance"
            raise NothingToEmbed(f"{name}: no notes that the model's vocabulary can say")
        return notes

    def prefixes(self, performance: Performance) -> Sequence[int]:
        """What each slice begins with."""
        return self._tokenizer.prefixes(performance)

    def slices(self, notes: Notes, prefixes: Sequence[int] | None = None) -> list[Ids]:
        """The same for notes (without `prefixes`: all of the piano), in the order in which they were played."""
        vocabulary = self._tokenizer.vocabulary
        prefixes = [vocabulary.prefix("instrument", "piano")] if prefixes is None else prefixes
        head = np.array([*prefixes, vocabulary.start], np.int32)
        end = np.array([vocabulary.end], np.int32)
        room = self._longest - len(head) - len(end)
        bodies = (
            self._tokenizer.encode_notes(notes.slice(first, last)) for first, last in self.slicing.bounds(len(notes))
        )
        return [np.concatenate([head, body[:room], end]) for body in bodies]

    def encode_sequences(
        self,
        sequences: Sequence[Ids],
        batch_size: int | None = None,
        *,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Vectors:
        """float32 [n, size], a row for each sequence of tokens (ending with <E>), in their order."""
        if batch_size is not None and batch_size < 1:
            raise UserError(f"batch_size is {batch_size}; give at least 1")
        vectors = np.empty((len(sequences), self.size), np.float32)
        batches = list(self._batches(np.array([len(ids) for ids in sequences], np.int64), batch_size))

        def forward(rows: NDArray[np.intp]) -> Vectors:
            made: Vectors = self._forward([sequences[row] for row in rows]).float().cpu().numpy()
            return made

        with _side_by_side(len(batches) if self.device.type == "cpu" else 1) as each:
            for rows, made in zip(batches, each(forward, batches), strict=True):
                vectors[rows] = made
                progress(len(rows))
        return vectors

    def _batches(self, lengths: NDArray[np.int64], batch_size: int | None) -> Iterator[NDArray[np.intp]]:
        """Which sequences share a batch: those of like length, the longest first: what does not fit shows at once."""
        order = np.argsort(-lengths, kind="stable")
        while len(order):
            fitting = max(1, TOKENS_AT_ONCE // int(lengths[order[0]])) if self.device.type == "cpu" else BATCH_SIZE
            batch, order = np.split(order, [fitting if batch_size is None else batch_size])
            yield batch

    @torch.inference_mode()
    def _forward(self, sequences: list[Ids]) -> Tensor:
        """Vectors [B, E] of one batch."""
        longest = max(map(len, sequences))
        width = max(longest, min(whole_width(longest), self._model.config.context))
        padded = np.full((len(sequences), width), self._tokenizer.vocabulary.pad, np.int64)
        for row, ids in zip(padded, sequences, strict=True):
            row[: len(ids)] = ids
        device = self.device
        ids_BT = torch.from_numpy(padded).to(device)
        length_B = torch.tensor([len(ids) for ids in sequences], device=device)
        if not self.pooled:
            return self._model(ids_BT, length_B - 1)
        hidden_BTD = self._model.model(ids_BT)
        real_BT1 = (torch.arange(ids_BT.shape[1], device=device) < length_B[:, None])[..., None]
        return (hidden_BTD * real_BT1).sum(dim=1) / length_B[:, None]


@contextmanager
def _side_by_side(tasks: int) -> Iterator[Callable[..., Iterator[Vectors]]]:
    """`map` for so many tasks, whose threads share torch's out among themselves.

    All threads at one matrix would wait for each other after each step: on a busy machine that is most of the time.
    """
    threads = torch.get_num_threads()
    workers = min(threads, tasks)
    if workers <= 1:
        yield map
        return
    pool = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,))
    try:
        yield pool.map
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)  # what a thread says there holds for those that begin later
