"""What the engine asks of whatever runs the network.

Knows: that ids are read into a cache and give logits, that a cache can be rolled back and its rows copied. Refuses to
know: weights, devices, files, sampling. `TorchBackend` runs the one transformer; `onnx_backend.py` its ONNX graph.

    cache = backend.cache(batch=1, capacity=2048)
    logits_BRV = backend.read([prompt_ids], cache)           # of the last position; with `last=3` of the last three

Shape legend: B batch, T new positions, R the last of them that are asked for, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from partimento.model.config import ModelConfig
from partimento.model.transformer import KVCache, Transformer


class Cache(Protocol):
    """What a model has read: `length` positions in each of `batch` rows, with room for `capacity`."""

    @property
    def length(self) -> int:
        """Positions held."""

    @property
    def batch(self) -> int:
        """Rows."""

    @property
    def capacity(self) -> int:
        """Positions there is room for."""

    def rollback(self, length: int) -> None:
        """Forgets all positions from `length` on."""

    def take(self, rows: Sequence[int], *, capacity: int | None = None) -> Self:
        """A new cache whose rows are copies of these rows of this one, which stays as it is; by default as roomy."""


C = TypeVar("C", bound=Cache)


class Backend(Protocol[C]):
    """A network, ready to read."""

    @property
    def config(self) -> ModelConfig:
        """Its shape."""

    @property
    def description(self) -> str:
        """What runs it, for people: "torch, float32 on cpu"."""

    def cache(self, *, batch: int, capacity: int) -> C:
        """An empty cache; `capacity` is cut to the context of the model."""

    def read(self, ids_BT: Sequence[Sequence[int]], cache: C, *, last: int = 1) -> NDArray[np.float32]:
        """Logits [B, R, V] after each of the last R ids, which all follow those in the cache."""


class TorchBackend:
    """The transformer itself, on whatever device its weights are."""

    def __init__(self, model: Transformer) -> None:
        self.model = model.eval()

    @property
    def config(self) -> ModelConfig:
        """The model's own."""
        return self.model.config

    @property
    def description(self) -> str:
        """Device and dtype."""
        weight = self.model.lm_head.weight
        return f"torch, {str(weight.dtype).removeprefix('torch.')} on {weight.device}"

    @torch.inference_mode()
    def cache(self, *, batch: int, capacity: int) -> KVCache:
        """See `Backend`."""
        weight = self.model.lm_head.weight
        return KVCache(
            self.config,
            batch=batch,
            capacity=min(capacity, self.config.context),
            dtype=weight.dtype,
            device=weight.device,
        )

    @torch.inference_mode()
    def read(self, ids_BT: Sequence[Sequence[int]], cache: KVCache, *, last: int = 1) -> NDArray[np.float32]:
        """See `Backend`."""
        hidden_BTD = self.model.hidden(torch.tensor(ids_BT, device=self.model.lm_head.weight.device), cache)
        return self.model.lm_head(hidden_BTD[:, -last:]).float().cpu().numpy()
