"""In the manner of another performance: a model that was trained with vectors reads one, and is pulled towards it.

Knows: that every row is read twice, with the vector at position 0 and with that position hidden, as in the published
models. Refuses to know: where vectors come from (`partimento.embed`), and how the two are mixed (`Guidance`).

    engine = Engine.load("conditioned.safetensors").like(vector_E, Guidance(weight=2.0))
    engine.continue_(prompt, settings=Settings(variations=3))

Shape legend: B rows, T tokens, R the last of them that are asked for, D channels, E channels of a vector, V vocabulary.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from partimento.errors import UserError
from partimento.generate.backends.backend import Backend, TorchBackend
from partimento.model.config import ModelConfig
from partimento.model.heads import ConditionedTransformer
from partimento.model.transformer import KVCache


class GuidedCache:
    """Each row twice in one cache of the model, B rows that see the vector before B that do not; it is not counted."""

    def __init__(self, held: KVCache) -> None:
        self.held = held

    @property
    def length(self) -> int:
        """Tokens held."""
        return max(0, self.held.length - 1)

    @property
    def batch(self) -> int:
        """Rows, each counted once."""
        return self.held.batch // 2

    @property
    def capacity(self) -> int:
        """Tokens there is room for."""
        return self.held.capacity - 1

    def rollback(self, length: int) -> None:
        """Forgets all tokens from number `length` on; the vector stays."""
        if self.held.length or length:
            self.held.rollback(length + 1)

    def take(self, rows: Sequence[int], *, capacity: int | None = None) -> GuidedCache:
        """See `Cache`."""
        both = [*rows, *(self.batch + row for row in rows)]
        return GuidedCache(self.held.take(both, capacity=None if capacity is None else capacity + 1))


class GuidedBackend:
    """A conditioned model with a vector: a back end whose `read` gives twice as many rows as it is given."""

    def __init__(self, backend: Backend, vector_E: NDArray[np.floating]) -> None:
        """Raises `UserError` for a model that takes no vectors, or vectors of another size."""
        size = vector_size(backend)
        if vector_E.shape != (size,):
            raise UserError(
                f"the model goes by vectors of {size} numbers, not {vector_E.shape[-1]}; embed with the embedding "
                "model that it was trained with"
            )
        assert isinstance(backend, TorchBackend)
        self._backend = backend
        weight = backend.model.lm_head.weight
        self._vector_1E = torch.from_numpy(np.asarray(vector_E, np.float32))[None].to(weight)

    @property
    def config(self) -> ModelConfig:
        """The model's own, with a context of one token less: the vector takes its place."""
        config = self._backend.config
        return dataclasses.replace(config, context=config.context - 1)

    @property
    def description(self) -> str:
        """For people."""
        return f"{self._backend.description}, guided"

    @property
    def reads_at_once(self) -> int:
        """As many as without guidance."""
        return self._backend.reads_at_once

    def cache(self, *, batch: int, capacity: int) -> GuidedCache:
        """See `Backend`."""
        return GuidedCache(self._backend.cache(batch=2 * batch, capacity=capacity + 1))

    @torch.inference_mode()
    def read(self, ids_BT: Sequence[Sequence[int]], cache: GuidedCache, *, last: int = 1) -> NDArray[np.float32]:
        """Logits [2B, R, V]: of B rows that see the vector, then of the same rows without it."""
        model, batch = self._backend.model, len(ids_BT)
        assert isinstance(model, ConditionedTransformer)
        if cache.held.length:
            return self._backend.read([*ids_BT, *ids_BT], cache.held, last=last)
        ids_2BT = torch.tensor([*ids_BT, *ids_BT], device=self._vector_1E.device)
        unseen_2B = torch.arange(2 * batch, device=self._vector_1E.device) >= batch
        hidden_2BSD = model.hidden_after(self._vector_1E.expand(2 * batch, -1), ids_2BT, cache.held, unseen_B=unseen_2B)
        return model.lm_head(hidden_2BSD[:, 1:][:, -last:]).float().cpu().numpy()


def vector_size(backend: Backend) -> int:
    """Numbers of the vectors that a model goes by; `UserError` for one that goes by none."""
    if isinstance(backend, TorchBackend) and isinstance(backend.model, ConditionedTransformer):
        return backend.model.embedding_adapter.in_features
    raise UserError(
        "this model cannot go by a reference: it is not conditioned on embeddings; take one that is, such as "
        "'partimento finetune continuation STORE --conditioned' makes"
    )
