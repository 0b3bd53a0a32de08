"""Which engine runs a model here, unless someone says otherwise.

Knows: what is fast on which device (measured in benchmarks/engines), and which models an engine cannot run. Refuses to
know how any of them works.

    opened = open_model("loubb/aria-medium-gen", say=print)      # "engine: ONNX Runtime, onnx-int8 on cpu, 2 threads"
    opened.backend, opened.vocabulary, opened.metadata
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partimento.errors import UserError
from partimento.export.onnx_folder import FORMATS, GRAPH_FILE, is_prepared, prepare
from partimento.generate.backends.onnx_backend import ONE_THREAD_BELOW, OnnxBackend
from partimento.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    from partimento.generate.backends.backend import Backend
    from partimento.model.checkpoint import Checkpoint
    from partimento.model.transformer import Transformer

ENGINES = ("auto", "torch", *FORMATS)
"""What can be asked for; the ONNX formats are engines of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A model that is ready to read. `metadata` is what its file says of how it was made."""

    backend: Backend[Any]
    vocabulary: Vocabulary
    metadata: dict[str, Any]


def open_model(name: str | Path, engine: str = "auto", *, say: Callable[[str], None] | None = None) -> Opened:
    """Opens a model as `partimento.model.checkpoint.load` would, or a folder that was exported as ONNX.

    `auto` is torch on a GPU, and ONNX Runtime with 8-bit weights on a processor, except for what only torch can run.
    `say` is told which it is. Raises `UserError` for an unknown engine, or one that cannot run this model.
    """
    if engine not in ENGINES:
        raise UserError(f"no engine is called {engine!r}; choose one of {', '.join(ENGINES)}")
    opened = _open(name, engine, say)
    if say is not None:
        say(f"engine: {opened.backend.description}")
    return opened


def _open(name: str | Path, engine: str, say: Callable[[str], None] | None) -> Opened:
    if (Path(name) / GRAPH_FILE).is_file():
        if engine == "torch":
            raise UserError(f"{name} is an ONNX export; torch needs the model it was made from")
        return _onnx(Path(name))
    device = _device() if engine in ("auto", "torch") else "cpu"
    if engine == "auto" and device == "cpu":
        if is_prepared(name, "onnx-int8"):
            return _onnx(prepare(name, "onnx-int8"))
        from partimento.model.checkpoint import load
        from partimento.model.heads import ConditionedTransformer

        conditioned = isinstance(load(name, dtype=None).model, ConditionedTransformer)
        engine = "torch" if conditioned else "onnx-int8"
    if engine in FORMATS:
        return _onnx(prepare(name, engine, say=say))
    return _torch(name, device)


def _onnx(folder: Path) -> Opened:
    backend = OnnxBackend(folder)
    return Opened(backend=backend, vocabulary=backend.vocabulary, metadata=backend.metadata)


def _torch(name: str | Path, device: str) -> Opened:
    import torch

    from partimento.generate.backends.backend import TorchBackend
    from partimento.model.checkpoint import load

    stored: Checkpoint[Transformer] = load(
        name, dtype=torch.bfloat16 if device == "cuda" else torch.float32, device=device
    )
    if device == "cpu" and stored.config.parameters < ONE_THREAD_BELOW:
        torch.set_num_threads(1)
    return Opened(backend=TorchBackend(stored.model), vocabulary=stored.vocabulary, metadata=stored.metadata)


def _device() -> str:
    """Where torch would run best; it is not even loaded, which takes seconds, where there is no sign of a GPU."""
    signs = ("/dev/nvidia0", "/dev/kfd", "/dev/dxg")
    if sys.platform.startswith("linux") and not any(Path(sign).exists() for sign in signs):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
