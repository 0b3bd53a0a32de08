"""What conditioned training adds to whole-file sequences: a vector of the same file beside each of them.

Knows: how the files of a store become vectors, once and in the run's folder, and which of a file's vectors goes with an
example. Refuses to know: the loss (`objectives/conditioned.py`), and how a vector comes about (`partimento.embed`).

    conditions = Conditions.of(store, "runs/embedding", folder / "vectors", world)
    loader = ConditionedLoader(WholeFileLoader(store, ...), conditions, seed=1, unconditioned_share=0.15)
    next(loader)["vector"]                                  # float32 [B, E], beside "ids" and "unseen"

The vector is the mean of a run of consecutive slices of 300 notes of the file, as many as chance says, from one to all:
a reference may be an excerpt as well as a whole piece. It is of the notes as they are, not augmented.

Shape legend: B rows, E channels of a vector.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from partimento.corpus.loaders.order import Purpose, generator
from partimento.corpus.loaders.sequences import PassageLoader
from partimento.corpus.rows import Parts, blocks
from partimento.corpus.store.note_store import NoteStore
from partimento.embed.encoder import Encoder, Vectors
from partimento.model.heads import ConditionedTransformer
from partimento.model.transformer import Transformer
from partimento.train.distributed import World

FILES_AT_ONCE: Final = 64
"""Files whose vectors are written together: what a kill loses of each process at most."""


class Conditions:
    """The vectors of the slices of some files of a store."""

    def __init__(self, vectors: dict[int, Vectors]) -> None:
        self._vectors = vectors

    @classmethod
    def of(cls, store: NoteStore, embedder: str | Path, folder: Path, world: World) -> Self:
        """Those of the files that are learned from or held out, made by all processes where they are not there yet.

        What is in `folder` must be of this store and this embedding model.
        """
        files = np.concatenate([store.split("train"), store.split("validation")])
        made = _read(folder)
        missing = [file for file in files[world.rank :: world.size].tolist() if file not in made]
        if missing:
            encoder = Encoder.load(embedder, device=world.device)
            parts = Parts(folder / f"{world.rank}", _columns(encoder.size))
            for block in blocks(missing, FILES_AT_ONCE):
                parts.add(_embed(store, encoder, parts.schema, block))
        world.barrier()
        made = _read(folder)
        return cls({file: made[file] for file in files.tolist()})

    @property
    def size(self) -> int:
        """Channels of a vector."""
        return next(iter(self._vectors.values())).shape[1]

    @property
    def length(self) -> float:
        """Length of a vector: the root of the mean of the squares of all of them."""
        squares = [np.square(rows, dtype=np.float64).sum(axis=1) for rows in self._vectors.values()]
        return math.sqrt(np.concatenate(squares).mean())

    def draw(self, file: int, rng: np.random.Generator) -> Vectors:
        """[E]: the mean of a run of slices of this file."""
        rows = self._vectors[file]
        count = int(rng.integers(1, len(rows) + 1))
        first = int(rng.integers(0, len(rows) - count + 1))
        return rows[first : first + count].mean(axis=0)


class ConditionedLoader:
    """Batches as the loader of passages makes them, with `vector` float32 [B, E] and `unseen` bool [B].

    `unconditioned_share` of the rows, by draws of (seed, epoch, example), do not see their vector.
    """

    def __init__(
        self, examples: PassageLoader, conditions: Conditions, *, seed: int, unconditioned_share: float
    ) -> None:
        self._examples, self._conditions = examples, conditions
        self._seed, self._share = seed, unconditioned_share

    @property
    def examples_per_epoch(self) -> int:
        """As of the loader of files."""
        return self._examples.examples_per_epoch

    def __iter__(self) -> Iterator[dict[str, npt.NDArray]]:
        return self

    def __next__(self) -> dict[str, npt.NDArray]:
        vectors, unseen = [], []
        for epoch, example in self._examples.ahead:
            rng = generator(Purpose.CONDITION, self._seed, epoch, example)
            unseen.append(rng.random() < self._share)
            vectors.append(self._conditions.draw(self._examples.file_of(example), rng))
        batch = next(self._examples)
        ids = batch if isinstance(batch, dict) else {"ids": batch}
        return ids | {"vector": np.stack(vectors), "unseen": np.array(unseen)}

    def state_dict(self) -> dict[str, Any]:
        """That of the loader of files: all else follows from it."""
        return self._examples.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes to where `state_dict` stood."""
        self._examples.load_state_dict(state)


def conditioned(base: Transformer, conditions: Conditions, *, seed: int) -> ConditionedTransformer:
    """The language model with an adapter, sharing its weights; adapted vectors begin as long as token embeddings."""
    model = ConditionedTransformer(base.config, size=conditions.size)
    model.model, model.lm_head = base.model, base.lm_head
    embedding_VD = base.model.tok_embeddings.weight.detach().float()
    std = embedding_VD.square().mean().sqrt().item() / conditions.length
    nn.init.normal_(model.embedding_adapter.weight, std=std, generator=torch.Generator().manual_seed(seed))
    return model


def _columns(size: int) -> pa.Schema:
    """A row for each slice: which file it is of, and its vector."""
    return pa.schema([pa.field("file", pa.int64()), pa.field("vector", pa.list_(pa.float32(), size))])


def _embed(store: NoteStore, encoder: Encoder, columns: pa.Schema, files: list[int]) -> pa.Table:
    slices = [encoder.slices(store.notes(file)) for file in files]
    vectors = encoder.encode_sequences([tokens for of_file in slices for tokens in of_file])
    rows = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1])
    return pa.table([np.repeat(files, [len(of_file) for of_file in slices]), rows], schema=columns)


def _read(folder: Path) -> dict[int, Vectors]:
    """The vectors of every file that has some, whichever process made them."""
    made: dict[int, Vectors] = {}
    for path in sorted(folder.glob("*/part-*.parquet")):
        part = pq.read_table(path)
        vectors = part["vector"].combine_chunks()
        rows = vectors.flatten().to_numpy().reshape(len(part), vectors.type.list_size)
        files, firsts = np.unique(part["file"].to_numpy(), return_index=True)
        order = np.argsort(firsts)
        made |= zip(files[order].tolist(), np.split(rows, firsts[order][1:]), strict=True)
    return made
