"""What the engine asks of whatever runs the network.

Knows: that tokens are read into a cache and give logits, that a cache can be rolled back and its rows copied. Refuses
to know: weights, devices, files, sampling. `TorchBackend` runs the one transformer; `onnx_backend.py` its ONNX graph.
On a GPU `TorchBackend` decodes with CUDA graphs: a pass for one token is hundreds of kernels that take less time than
it takes to ask for them, and a graph asks for all of them at once.

    cache = backend.cache(batch=1, capacity=2048)
    logits_BRV = backend.read([prompt_tokens], cache)           # of the last position; with `last=3` of the last three

Shape legend: B batch, T new positions, R the last of them that are asked for, V vocabulary.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Protocol, Self, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from partimento.generate.backends.machine import cores
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

    @property
    def reads_at_once(self) -> int:
        """How many threads may read at a time, each into caches of its own, and all be the faster for it."""

    def cache(self, *, batch: int, capacity: int) -> C:
        """An empty cache; `capacity` is cut to the context of the model."""

    def read(self, ids_BT: Sequence[Sequence[int]], cache: C, *, last: int = 1) -> NDArray[np.float32]:
        """Logits [B, R, V] after each of the last R tokens, which all follow those in the cache."""


class TorchBackend:
    """The transformer itself, on whatever device its weights are."""

    def __init__(self, model: Transformer, *, graphs: bool | None = None) -> None:
        """`graphs`: decode with CUDA graphs, by default on a GPU; where there are none a warning says so."""
        self.model = model.eval()
        self._graphs = model.lm_head.weight.is_cuda if graphs is None else graphs
        self._graph_of: WeakKeyDictionary[KVCache, _Graph] = WeakKeyDictionary()

    @property
    def config(self) -> ModelConfig:
        """The model's own."""
        return self.model.config

    @property
    def description(self) -> str:
        """Device and dtype."""
        weight = self.model.lm_head.weight
        graphs = ", CUDA graphs" if self._graphs else ""
        return f"torch, {str(weight.dtype).removeprefix('torch.')} on {weight.device}{graphs}"

    @property
    def reads_at_once(self) -> int:
        """One on a GPU; on a processor as many as there are cores for."""
        return 1 if self.model.lm_head.weight.device.type != "cpu" else max(1, cores() // torch.get_num_threads())

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
        tokens = torch.tensor(ids_BT, device=self.model.lm_head.weight.device)
        graph = self._graph(tokens, cache) if self._graphs and tokens.shape[1] == 1 and cache.length else None
        if graph is not None:
            logits_BRV = graph.run(tokens, cache)
        else:
            logits_BRV = self.model.lm_head(self.model.hidden(tokens, cache)[:, -last:])
        return logits_BRV.float().cpu().numpy()

    def _graph(self, ids_B1: Tensor, cache: KVCache) -> _Graph | None:
        """The cache's graph, recorded when it is first wanted; None where that cannot be done."""
        cache.check_room(len(ids_B1), 1)
        if cache not in self._graph_of:
            try:
                self._graph_of[cache] = _Graph(self.model, ids_B1, cache)
            except RuntimeError as error:
                self._graphs = False
                warnings.warn(f"decoding without CUDA graphs, which is slower: {error}", RuntimeWarning, stacklevel=4)
        return self._graph_of.get(cache)


class _Graph:
    """A pass for one token a row of one cache, recorded. It lives with the cache, whose memory it writes to blindly."""

    def __init__(self, model: Transformer, ids_B1: Tensor, cache: KVCache) -> None:
        """Raises `RuntimeError` where there are no CUDA graphs, or the pass cannot be one."""
        self._graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._ids_B1, self._at_1 = ids_B1.clone(), torch.tensor([cache.length], device=ids_B1.device)
        self._unseen_B = torch.zeros(len(ids_B1), dtype=torch.bool, device=ids_B1.device)
        run = partial(model.step, self._ids_B1, cache, self._at_1, self._unseen_B)
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            run()  # what libraries do at their first call cannot be recorded; `run` will write the same again
        torch.cuda.current_stream().wait_stream(stream)
        with torch.cuda.graph(self._graph):
            self._logits_B1V = run()

    def run(self, ids_B1: Tensor, cache: KVCache) -> Tensor:
        """Logits [B, 1, V], to be used before the next run; the cache grows by the tokens."""
        self._ids_B1.copy_(ids_B1)
        self._at_1.fill_(cache.length)
        self._unseen_B.zero_() if cache.unseen_B is None else self._unseen_B.copy_(cache.unseen_B)
        self._graph.replay()
        cache.advance(1)
        return self._logits_B1V
