"""The network's ONNX graph, run by ONNX Runtime.

Knows: how a session is set up, and that past and present keys and values are one buffer, so that rolling back is
setting a length. Refuses to know: how the graph came about (`partimento.export`) and what is sampled.

    backend = OnnxBackend(prepare("bundled", "onnx-int8"))
    cache = backend.cache(batch=1, capacity=1024)
    logits_BRV = backend.read([tokens], cache)

Shape legend: B batch, T new positions, R the last of them that are asked for, V vocabulary, L layers, H heads,
K channels of a head, C capacity; 2 stands for keys and values.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from partimento.export.onnx_folder import GRAPH_FILE, read_facts
from partimento.generate.backends.machine import cores
from partimento.model.config import ModelConfig
from partimento.model.positions import Positions

_QUIET = 3  # errors only

# A token of a smaller model is too little work to share: threads that wait for each other made it slower, on a busy
# machine many times.
ONE_THREAD_BELOW = 50_000_000


class OnnxCache(Positions):
    """Keys and values of one session, in memory allocated once, bound to its inputs and outputs alike."""

    def __init__(
        self, session: onnxruntime.InferenceSession, config: ModelConfig, *, batch: int, capacity: int
    ) -> None:
        super().__init__(config, batch=batch, capacity=capacity)
        self._session = session
        int8 = any(value.type == "tensor(int8)" for value in session.get_inputs())
        shape = (config.n_layers, 2, batch, config.n_heads, capacity, config.head_dim)
        self._held_L2BHCK = np.zeros(shape, np.int8 if int8 else np.float32)
        self.int8 = int8
        self.binding = self.bound()

    def bound(self) -> onnxruntime.IOBinding:
        """A binding of the session to these buffers."""
        binding = self._session.io_binding()
        for layer in range(self.config.n_layers):
            for part, name in enumerate(("key", "value")):
                buffer = onnxruntime.OrtValue.ortvalue_from_numpy(self._held_L2BHCK[layer, part])
                binding.bind_ortvalue_input(f"past_{name}.{layer}", buffer)
                binding.bind_ortvalue_output(f"{name}.{layer}", buffer)
        return binding

    def take(self, rows: Sequence[int], *, capacity: int | None = None) -> OnnxCache:
        """A new cache whose rows are copies of these rows of this one, which stays as it is; by default as roomy."""
        taken = OnnxCache(self._session, self.config, batch=len(rows), capacity=self.check_copy(capacity))
        held = slice(0, self._length)
        for to, row in enumerate(rows):
            taken._held_L2BHCK[:, :, to, :, held] = self._held_L2BHCK[:, :, row, :, held]
        taken._length = self._length
        return taken

    def begin(self, keys_and_values_L2BHTK: NDArray[np.int8]) -> None:
        """Takes in the first T positions."""
        self._length = keys_and_values_L2BHTK.shape[4]
        self._held_L2BHCK[:, :, :, :, : self._length] = keys_and_values_L2BHTK


class OnnxBackend:
    """A folder written by `partimento.export`, as the engine's back end (`backend.py`)."""

    def __init__(self, folder: Path, *, threads: int | None = None) -> None:
        """`threads` to compute with; by default as many as there are cores, but one for a small model."""
        facts = read_facts(folder)
        self._config, self._format = facts.config, facts.format
        self.vocabulary, self.metadata = facts.vocabulary, facts.metadata
        if threads is None:
            threads = 1 if facts.config.parameters < ONE_THREAD_BELOW else cores()
        self._threads = threads
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _QUIET
        options.intra_op_num_threads = threads
        # Keys and values are written into the cache's own memory: an arena would only hold a second copy of everything.
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(folder / GRAPH_FILE, options, providers=["CPUExecutionProvider"])

    @property
    def config(self) -> ModelConfig:
        """Shape of the network."""
        return self._config

    @property
    def description(self) -> str:
        """For people."""
        return f"ONNX Runtime, {self._format} on cpu, {self._threads} thread{'s' * (self._threads > 1)}"

    @property
    def reads_at_once(self) -> int:
        """As many as there are cores for."""
        return max(1, cores() // self._threads)

    def cache(self, *, batch: int, capacity: int) -> OnnxCache:
        """An empty cache; `capacity` is cut to the context of the model."""
        return OnnxCache(self._session, self._config, batch=batch, capacity=min(capacity, self._config.context))

    def read(self, ids_BT: Sequence[Sequence[int]], cache: OnnxCache, *, last: int = 1) -> NDArray[np.float32]:
        """Logits [B, R, V] after each of the last R tokens, which all follow those in the cache.

        Raises `ValueError` if there is no room for them; the cache is then unchanged.
        """
        tokens = np.asarray(ids_BT, np.int64)
        batch, new = tokens.shape
        cache.check_room(batch, new)
        if batch > 1 and new > 1 and cache.length:
            # The attention kernel takes several tokens after a past for one row only.
            columns = [self.read(tokens[:, t : t + 1].tolist(), cache) for t in range(new)]
            return np.concatenate(columns[-last:], axis=1)
        if cache.int8 and cache.length == 0 and new > 1:
            return self._begin(tokens, cache, last)
        logits_BRV = self._run(cache.binding, tokens, last, past=cache.length, prompt=0 if cache.int8 else None)
        cache.advance(new)
        return logits_BRV

    def _begin(self, tokens: NDArray[np.int64], cache: OnnxCache, last: int) -> NDArray[np.float32]:
        """Reads the first tokens of an 8-bit cache, which is not touched until all of them are read."""
        c, (batch, new) = self._config, tokens.shape
        begun_L2BHTK = np.empty((c.n_layers, 2, batch, c.n_heads, new, c.head_dim), np.int8)
        binding = cache.bound()
        for layer in range(c.n_layers):
            for part, name in enumerate(("key", "value")):
                buffer = onnxruntime.OrtValue.ortvalue_from_numpy(begun_L2BHTK[layer, part])
                binding.bind_ortvalue_output(f"prompt_{name}.{layer}", buffer)
        logits_BRV = self._run(binding, tokens, last, past=0, prompt=new)
        cache.begin(begun_L2BHTK)
        return logits_BRV

    def _run(
        self, binding: onnxruntime.IOBinding, tokens: NDArray[np.int64], last: int, *, past: int, prompt: int | None
    ) -> NDArray[np.float32]:
        """The graph's inputs are told in `partimento.export.onnx_graph`; `prompt` None: it has no such input."""
        batch, new = tokens.shape
        total = 1 if prompt else past + new
        logits_BRV = np.empty((batch, min(last, new), self._config.vocab_size), np.float32)
        binding.bind_cpu_input("ids", tokens)
        binding.bind_cpu_input("last", np.array(last, np.int64))
        binding.bind_cpu_input("length", np.full(batch, total - 1, np.int32))
        binding.bind_cpu_input("total", np.array(total, np.int32))
        if prompt is not None:
            binding.bind_cpu_input("prompt", np.array([prompt], np.int64))
        binding.bind_ortvalue_output("logits", onnxruntime.OrtValue.ortvalue_from_numpy(logits_BRV))
        self._session.run_with_iobinding(binding)
        return logits_BRV
