"""A trained model as one file: safetensors whose header carries the configuration, the vocabulary and free metadata.

Knows: the published tensor names (they are the model's own `state_dict` names), how a name such as "bundled" becomes a
path, and how to refuse a file whose tensors are not exactly the model's. Refuses to know: optimisers and training
state, how the weights came about. Nothing is unpickled; a file appears whole or not at all.

    save("piano.safetensors", model, vocabulary, dtype=torch.bfloat16, steps=20_000)
    model = load("piano.safetensors").model
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from partimento.errors import UserError
from partimento.model.config import ModelConfig
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary

BUNDLED = {"bundled": "continuation.safetensors"}
"""Models that come with the package: name and file inside `partimento/bundled`."""

# One key, because safetensors writes several in no fixed order and equal models should be equal bytes.
_HEADER = "partimento"
_COMPILED = "_orig_mod."


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a model file holds. `metadata` is whatever JSON values `save` was given."""

    model: Transformer
    config: ModelConfig
    vocabulary: Vocabulary
    metadata: dict[str, Any]


def save(
    path: str | Path,
    model: Transformer,
    vocabulary: Vocabulary,
    *,
    dtype: torch.dtype | None = None,
    **metadata: Any,
) -> None:
    """Writes the model to one safetensors file, its floats as `dtype` (default: as they are). Keeps the model as is."""
    if len(vocabulary) != model.config.vocab_size:
        raise ValueError(f"vocabulary of {len(vocabulary)} ids given with a model of {model.config.vocab_size}")
    header = {
        "config": json.loads(model.config.to_json()),
        "vocabulary": json.loads(vocabulary.to_json()),
        "metadata": metadata,
    }
    tensors = {_plain(name): tensor.detach().to(dtype=dtype) for name, tensor in model.state_dict().items()}
    write_tensors(path, tensors, header)


def load(
    path_or_name: str | Path, *, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> Checkpoint:
    """Reads a file that `save` wrote, or the bundled model of that name, into a model of the given dtype.

    Raises `UserError` if there is no such model, or if a tensor is missing, foreign or of another shape.
    """
    path = resolve(path_or_name)
    stored, header = read_tensors(path, device=device)
    try:
        config = ModelConfig.from_json(json.dumps(header["config"]))
        vocabulary = Vocabulary.from_json(json.dumps(header["vocabulary"]))
        metadata = dict(header["metadata"])
    except KeyError as error:
        raise UserError(f"{path} is not a model: its header has no {error}") from error
    if len(vocabulary) != config.vocab_size:
        raise UserError(f"{path}: vocabulary of {len(vocabulary)} ids but a model of {config.vocab_size}")
    with torch.device("meta"):
        model = Transformer(config)
    tensors = {_plain(name): tensor for name, tensor in stored.items()}
    check_tensors(path, tensors, {name: tensor.shape for name, tensor in model.state_dict().items()})
    model.load_state_dict({name: tensor.to(dtype) for name, tensor in tensors.items()}, assign=True)
    return Checkpoint(model=model.to(device), config=config, vocabulary=vocabulary, metadata=metadata)


def resolve(path_or_name: str | Path) -> Path:
    """The file behind a path or the name of a bundled model; a `UserError` that says what to do if there is none."""
    if str(path_or_name) in BUNDLED:
        path = Path(__file__).parents[1] / "bundled" / BUNDLED[str(path_or_name)]
        if not path.is_file():
            raise UserError(f"the model {path_or_name!r} is not in this installation ({path}); reinstall partimento")
        return path
    path = Path(path_or_name)
    if not path.is_file():
        names = ", ".join(repr(name) for name in BUNDLED)
        raise UserError(f"no model {str(path_or_name)!r}: give the path of a .safetensors file or one of {names}")
    return path


def check_tensors(path: Path, tensors: Mapping[str, Tensor], expected: Mapping[str, torch.Size]) -> None:
    """A `UserError` that names the first tensor that is missing, foreign or of another shape than expected."""
    for name, shape in expected.items():
        if name not in tensors:
            raise UserError(f"{path}: tensor {name} is missing; the file is not a model of this configuration")
        if tensors[name].shape != shape:
            raise UserError(f"{path}: tensor {name} has shape {list(tensors[name].shape)}, expected {list(shape)}")
    for name in tensors:
        if name not in expected:
            raise UserError(f"{path}: tensor {name} is foreign; the model has no such weight")


def write_tensors(path: str | Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    """Writes tensors and a JSON header as one safetensors file that replaces `path` only when it is complete."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, temporary, metadata={_HEADER: json.dumps(header)})
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_tensors(path: str | Path, *, device: torch.device | str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a file that `write_tensors` wrote; a `UserError` for any other file."""
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            header = (file.metadata() or {}).get(_HEADER)
            if header is None:
                raise UserError(f"{path} was not written by partimento: its header has no {_HEADER!r} entry")
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, json.loads(header)
    except SafetensorError as error:
        raise UserError(f"{path} is not a whole safetensors file: {error}") from error


def _plain(name: str) -> str:
    """The published name of a tensor that may come from a compiled model."""
    return name.replace(_COMPILED, "")
