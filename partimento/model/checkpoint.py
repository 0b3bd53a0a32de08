"""A trained model as one file: safetensors, of this package's own making or published by the authors of the paper.

Knows: the published tensor names (they are the models' own `state_dict` names), which head they tell of, what a file
without a configuration must have been made with, how weights of 8 bits lie in a file, and how to refuse a file whose
tensors are not exactly the model's. Refuses to know: where a named model lies (`hub.py`), optimisers, training state.
Nothing is unpickled; a file appears whole or not at all, and is memory-mapped when read: tensors already of the dtype
asked for are not copied.

    save("piano.safetensors", model, vocabulary, dtype=torch.bfloat16, steps=20_000)
    save("piano-8-bits.safetensors", model, vocabulary, dtype=torch.int8)    # half as large
    model = load("piano.safetensors").model
    embedder = load("loubb/aria-medium-embedding", Embedder).model

docs/models.md says how weights of 8 bits lie in a file; whoever loads one gets floats.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from partimento.errors import UserError
from partimento.files import replacing
from partimento.model.config import ModelConfig
from partimento.model.heads import Classifier, ConditionedTransformer, Embedder
from partimento.model.hub import locate
from partimento.model.quantisation import Blocks, quantise
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary

AnyModel = Transformer | Embedder | Classifier
M_co = TypeVar("M_co", bound=AnyModel, covariant=True)

KINDS: dict[type[AnyModel], str] = {
    ConditionedTransformer: "embedding-conditioned language model",
    Transformer: "language model",
    Embedder: "embedding model",
    Classifier: "classifier",
}
"""What each kind of model is called; a class stands before the one it extends."""

# One key, because safetensors writes several in no fixed order and equal models should be equal bytes.
_HEADER = "partimento"
_COMPILED = "_orig_mod."
_PUBLISHED_HEAD_DIM = 64
_BLOCK = 32
_WEIGHTS = {"bits": 8, "block": _BLOCK}
_SCALE = "_scale"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint(Generic[M_co]):
    """What a model file holds. `metadata` is whatever JSON values `save` was given; a published file has none.

    `dtype` is that of the matrices in the file, whatever they were loaded as; int8 if the file has 8 bits of a weight.
    """

    model: M_co
    config: ModelConfig
    vocabulary: Vocabulary
    metadata: dict[str, Any]
    path: Path
    dtype: torch.dtype

    @property
    def kind(self) -> str:
        """What the model is for, in words."""
        return next(name for kind, name in KINDS.items() if isinstance(self.model, kind))


def save(
    path: str | Path,
    model: AnyModel,
    vocabulary: Vocabulary,
    *,
    dtype: torch.dtype | None = None,
    **metadata: Any,
) -> None:
    """Writes the model to one safetensors file, its floats as `dtype` (default: as they are). Keeps the model as is.

    `dtype` int8 writes matrices in 8 bits. Raises `UserError` if a weight is not finite or too large for that.
    """
    if len(vocabulary) != model.config.vocab_size:
        raise ValueError(f"vocabulary of {len(vocabulary)} tokens given with a model of {model.config.vocab_size}")
    header: dict[str, Any] = {
        "config": asdict(model.config),
        "vocabulary": json.loads(vocabulary.to_json()),
        "metadata": metadata,
    }
    tensors = {_plain(name): tensor.detach() for name, tensor in model.state_dict().items()}
    if dtype == torch.int8:
        header["weights"] = _WEIGHTS
        write_tensors(path, _in_8_bits(tensors), header)
    else:
        write_tensors(path, {name: tensor.to(dtype=dtype) for name, tensor in tensors.items()}, header)


@overload
def load(
    name: str | Path, *, dtype: torch.dtype | None = ..., device: torch.device | str = ...
) -> Checkpoint[Transformer]: ...


@overload
def load(
    name: str | Path, kind: type[M_co], *, dtype: torch.dtype | None = ..., device: torch.device | str = ...
) -> Checkpoint[M_co]: ...


def load(
    name: str | Path,
    kind: type[Any] = Transformer,
    *,
    dtype: torch.dtype | None = torch.float32,
    device: torch.device | str = "cpu",
) -> Checkpoint[Any]:
    """Reads a bundled model, a file, a folder with a `model.safetensors`, or a model of the hub ("owner/name").

    `dtype` None keeps that of the file; of one with 8 bits, float32, which has all that they stand for. Raises
    `UserError` if there is no such model, if it is not of the `kind` asked for, or if a tensor is missing, foreign or
    of another shape or dtype.
    """
    loaded = load_any(name, dtype=dtype, device=device)
    if not isinstance(loaded.model, kind):
        raise UserError(f"{name} is of the kind {loaded.kind!r}; what is needed here is a {KINDS[kind]!r}")
    return loaded


def load_any(
    name: str | Path, *, dtype: torch.dtype | None = torch.float32, device: torch.device | str = "cpu"
) -> Checkpoint[AnyModel]:
    """`load` for whatever kind of model there is."""
    path = locate(name)
    stored, header = _read(path, device=device)
    tensors = {_plain(name): tensor for name, tensor in stored.items()}
    config, vocabulary, metadata = _published(path, tensors) if header is None else _described(path, header)
    with torch.device("meta"), _Undrawn():
        model = _bare(path, config, tensors)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    in_8_bits = header is not None and _says_8_bits(path, header)
    check_tensors(path, tensors, shapes | _scale_shapes(shapes) if in_8_bits else shapes)
    _check_dtypes(path, tensors, in_8_bits=in_8_bits)
    file_dtype = tensors["model.tok_embeddings.weight"].dtype
    expanded = dtype or (torch.float32 if in_8_bits else file_dtype)
    model.load_state_dict({name: _floats(tensors, name).to(expanded) for name in shapes}, assign=True)
    return Checkpoint(
        model=model.to(device), config=config, vocabulary=vocabulary, metadata=metadata, path=path, dtype=file_dtype
    )


def _described(path: Path, header: Mapping[str, Any]) -> tuple[ModelConfig, Vocabulary, dict[str, Any]]:
    """What the header of a file of our own says."""
    try:
        config = ModelConfig.of(header["config"])
        vocabulary = Vocabulary.from_json(json.dumps(header["vocabulary"]))
        metadata = dict(header["metadata"])
    except KeyError as error:
        raise UserError(f"{path} is not a model: its header has no {error}") from error
    if len(vocabulary) != config.vocab_size:
        raise UserError(f"{path}: vocabulary of {len(vocabulary)} tokens but a model of {config.vocab_size}")
    return config, vocabulary, metadata


def _published(path: Path, tensors: Mapping[str, Tensor]) -> tuple[ModelConfig, Vocabulary, dict[str, Any]]:
    """What a file that brings no configuration was made with: told from its shapes, the rest is the published models'.

    Source: the published weights (heads of 64 channels, context 8192); the vocabularies are told by their sizes, and
    who was given tokens for the pedal was trained to read and write them.
    """
    for needed in ("model.tok_embeddings.weight", "model.encode_layers.0.ff_gate_proj.weight"):
        if needed not in tensors or tensors[needed].ndim != 2:
            raise UserError(f"{path}: tensor {needed} is missing; the file is neither partimento's nor a published one")
    vocab_size, d_model = tensors["model.tok_embeddings.weight"].shape
    known = {len(v): v for v in (Vocabulary.aria(), Vocabulary.piano(), Vocabulary.aria_with_pedal())}
    if vocab_size not in known:
        sizes = ", ".join(f"{size:,}" for size in known)
        raise UserError(
            f"{path}: its vocabulary has {vocab_size:,} tokens, the published ones have {sizes}; partimento reads "
            "another one only from files that it wrote, which say what each token means"
        )
    if d_model % _PUBLISHED_HEAD_DIM:
        raise UserError(f"{path}: {d_model} channels do not split into heads of {_PUBLISHED_HEAD_DIM}")
    numbers = [name.split(".")[2] for name in tensors if name.startswith("model.encode_layers.")]
    config = ModelConfig(
        vocab_size=vocab_size,
        d_model=d_model,
        n_heads=d_model // _PUBLISHED_HEAD_DIM,
        n_layers=len(set(numbers)),
        d_ff=tensors["model.encode_layers.0.ff_gate_proj.weight"].shape[0],
    )
    vocabulary = known[vocab_size]
    return config, vocabulary, {} if vocabulary.pedal_on is None else {"pedal_tokens": True}


class _Undrawn(TorchFunctionMode):
    """Embeddings of shape only are not filled at random: on tensors without values torch compiles its way to that.

    It would load its compiler, which takes seconds.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        return kwargs["tensor"] if func is nn.init.normal_ else func(*args, **kwargs)


def _bare(path: Path, config: ModelConfig, tensors: Mapping[str, Tensor]) -> AnyModel:
    """The model that these tensors are of, told by its head."""
    if "emb_head.weight" in tensors:
        return Embedder(config, size=len(tensors["emb_head.weight"]))
    if "class_head.weight" in tensors:
        return Classifier(config, size=len(tensors["class_head.weight"]))
    if "embedding_adapter.weight" in tensors:
        return ConditionedTransformer(config, size=tensors["embedding_adapter.weight"].shape[-1])
    if "lm_head.weight" in tensors:
        return Transformer(config)
    raise UserError(f"{path}: tensor lm_head.weight is missing, and so is every other head")


def _in_8_bits(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What a file of 8 bits holds of these floats."""
    stored: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if tensor.ndim != 2:
            stored[name] = tensor.float()
            continue
        blocks = quantise(tensor.float(), 8, block=_BLOCK, scale_dtype=torch.float16)
        if not blocks.scale_NJ.isfinite().all():
            raise UserError(f"tensor {name} has weights that are not finite, or too large for 8 bits; keep its floats")
        stored |= {name: blocks.number_NK, name + _SCALE: blocks.scale_NJ}
    return stored


def _floats(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """The tensor itself, or what its 8 bits stand for."""
    if name + _SCALE not in tensors:
        return tensors[name]
    return Blocks(number_NK=tensors[name], scale_NJ=tensors[name + _SCALE], block=_BLOCK).dequantised()


def _says_8_bits(path: Path, header: Mapping[str, Any]) -> bool:
    if header.get("weights", _WEIGHTS) != _WEIGHTS:
        raise UserError(
            f"{path}: weights are {header['weights']}; this version of partimento reads {_WEIGHTS} or floats"
        )
    return "weights" in header


def _scale_shapes(shapes: Mapping[str, torch.Size]) -> dict[str, torch.Size]:
    return {f"{name}{_SCALE}": torch.Size((s[0], -(-s[1] // _BLOCK))) for name, s in shapes.items() if len(s) == 2}


def _check_dtypes(path: Path, tensors: Mapping[str, Tensor], *, in_8_bits: bool) -> None:
    for name, tensor in tensors.items():
        whole = in_8_bits and tensor.ndim == 2 and not name.endswith(_SCALE)
        if not (tensor.dtype == torch.int8 if whole else tensor.is_floating_point()):
            raise UserError(f"{path}: tensor {name} is of {tensor.dtype}, expected {'int8' if whole else 'floats'}")
        if in_8_bits and name.endswith(_SCALE) and not tensor.isfinite().all():
            raise UserError(f"{path}: tensor {name} has scales that are not finite; the file is damaged")


def annotate(path: str | Path, **metadata: Any) -> None:
    """Adds keys to a model file's metadata, or replaces them; its tensors stay as they are, bit for bit.

    Generation listens to `sampling`, `infilling` and `pedal_tokens` (`generate/abilities.py`).
    """
    if not Path(path).is_file():
        raise UserError(f"there is no model file {path} to annotate")
    tensors, header = read_tensors(path)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}  # Windows replaces no file that is mapped
    write_tensors(path, tensors, {**header, "metadata": {**header["metadata"], **metadata}})


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
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    with replacing(path) as part:
        save_file(contiguous, part, metadata={_HEADER: json.dumps(header)})


def read_tensors(path: str | Path, *, device: torch.device | str = "cpu") -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and header of a file that `write_tensors` wrote; a `UserError` for any other file."""
    tensors, header = _read(path, device=device)
    if header is None:
        raise UserError(f"{path} was not written by partimento: its header has no {_HEADER!r} entry")
    return tensors, header


def read_header(path: str | Path) -> dict[str, Any] | None:
    """What a file of this package says of itself, without its tensors; None for others' safetensors files."""
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(_HEADER)
    except SafetensorError as error:
        raise UserError(f"{path} is not a whole safetensors file: {error}") from error
    return None if header is None else json.loads(header)


def _read(path: str | Path, *, device: torch.device | str) -> tuple[dict[str, Tensor], dict[str, Any] | None]:
    try:
        with safe_open(path, framework="pt", device=str(device)) as file:
            header = (file.metadata() or {}).get(_HEADER)
            names = file.keys()
            return {name: file.get_tensor(name) for name in names}, None if header is None else json.loads(header)
    except SafetensorError as error:
        raise UserError(f"{path} is not a whole safetensors file: {error}") from error


def _plain(name: str) -> str:
    """The published name of a tensor that may come from a compiled model."""
    return name.replace(_COMPILED, "")
