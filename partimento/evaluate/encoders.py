"""What turns files into vectors, whoever made it, and where vectors are kept.

Knows: the one thing an encoder must do (`Encode`: paths -> float32 [n, channels]), the baselines that need no
contrastive training, published encoders of others by `m3:FOLDER`, `clamp3:FOLDER` and `mert:FOLDER`, any others by
`module:function`, and a cache by content. Refuses to know tasks and labels.

    >>> encode = file_encoder("my_clamp3:encode", Path("vectors")).encode   # doctest: +SKIP
    >>> encode(paths).shape                                                 # doctest: +SKIP
    (120, 768)
"""

from __future__ import annotations

import hashlib
import importlib
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import nn

from partimento.corpus.rows import Parts, blocks
from partimento.embed.encoder import Encoder
from partimento.embed.slicing import SUITING, Slicing
from partimento.errors import UserError
from partimento.evaluate import handcrafted
from partimento.evaluate.tasks import HASH_LENGTH, content_key
from partimento.midi.performance import Performance
from partimento.model.checkpoint import load_any
from partimento.model.heads import Embedder
from partimento.model.hub import locate
from partimento.model.initialisation import STD, random_initialisation
from partimento.model.transformer import Transformer

Vectors = npt.NDArray[np.float32]
Encode = Callable[[Sequence[Path]], Vectors]
"""Files -> one vector for each."""

STATISTICS: Final = "statistics"
"""The name of the encoder that needs no model."""
UNTRAINED_SIZE: Final = 512
PUBLISHED: Final[Mapping[str, str]] = {
    "m3": "partimento.evaluate.baselines.m3:m3",
    "clamp3": "partimento.evaluate.baselines.m3:clamp3",
    "mert": "partimento.evaluate.baselines.mert:mert",
}
"""Encoders of others by what stands before the folder of their weights: where a function makes one of that folder."""
_BLOCK: Final = 64
_REMEMBERED: Final = pa.schema([("sha256", pa.string()), ("vector", pa.list_(pa.float32()))])

VectorKind = Literal["head", "pooled", "untrained"]
"""What of a model makes a vector: its embedding head, the mean of its hidden states, its shape with random weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """How models read files: which slices, where, and what encoders compute in."""

    slicing: Slicing = SUITING
    dtype: torch.dtype = torch.float32
    device: str = "cpu"


EXACT: Final = EncoderSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEncoder:
    """Files -> vectors, and in a word what decides them."""

    made_of: str
    encode: Encode


def file_encoder(
    name: str,
    vectors: Path | None = None,
    *,
    kind: VectorKind = "head",
    settings: EncoderSettings = EXACT,
    progress: Callable[[int], None] = lambda _: None,
) -> FileEncoder:
    """The encoder of a name: `STATISTICS`, "clamp3:FOLDER" (`PUBLISHED`), "module:function", or a model.

    Its vectors are kept in a folder of its own in `vectors`, if there is one; `progress` then hears of how many files
    there are vectors. A model is loaded when a vector is missing. Raises `UserError` if there is no such encoder.
    """
    made_of, encode = name, _without_a_model(name)
    if encode is None:
        half = " in bfloat16" if settings.dtype == torch.bfloat16 else ""
        made_of = f"{kind} {content_key(locate(name))} {settings.slicing}{half}"
        encode = _when_asked(name, kind, settings)
    if vectors is not None:
        encode = cached(encode, vectors / hashlib.sha256(made_of.encode()).hexdigest()[:HASH_LENGTH], progress)
    return FileEncoder(made_of=made_of, encode=encode)


def _without_a_model(name: str) -> Encode | None:
    if name == STATISTICS:
        return hand_crafted
    kind, colon, folder = name.partition(":")
    if kind in PUBLISHED:
        module, _, function = PUBLISHED[kind].partition(":")
        encode: Encode = getattr(importlib.import_module(module), function)(folder)
        return encode
    return plugin(name) if colon else None


def _when_asked(model: str, kind: VectorKind, settings: EncoderSettings) -> Encode:
    @cache
    def encoder() -> Encoder:
        how: dict[str, Any] = {"slicing": settings.slicing, "device": settings.device, "dtype": settings.dtype}
        return untrained(model, **how) if kind == "untrained" else Encoder.load(model, pooled=kind == "pooled", **how)

    return lambda paths: encoder().encode(list(paths))


def hand_crafted(paths: Sequence[Path]) -> Vectors:
    """Statistics of the notes (`handcrafted.py`)."""
    return handcrafted.statistics(Performance.from_midi(path) for path in paths)


def untrained(
    base: str,
    *,
    slicing: Slicing = SUITING,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Encoder:
    """An encoder of the shape and vocabulary of the model `base` whose weights nobody has trained."""
    checkpoint = load_any(base)
    fresh, model = Transformer(checkpoint.config), Embedder(checkpoint.config, size=UNTRAINED_SIZE)
    random_initialisation(fresh, seed=0)
    model.model = fresh.model
    nn.init.normal_(model.emb_head.weight, std=STD, generator=torch.Generator().manual_seed(0))
    return Encoder(model.to(device, dtype), checkpoint.vocabulary, slicing=slicing.suiting(checkpoint.metadata))


def plugin(name: str) -> Encode:
    """An encoder that somebody else wrote: "module:function", importable from the current folder too.

    The function takes a list of paths and returns an array of a row for each. Raises `UserError` if it cannot be had;
    what it raises itself when called (a model folder that is missing, say) comes through.
    """
    module, _, function = name.partition(":")
    if not function:
        raise UserError(f"encoder {name!r}: give module:function, such as my_clamp3:encode")
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UserError(f"encoder {name!r} cannot be had: {error}") from error
    finally:
        sys.path.pop(0)
    return lambda paths: _checked(name, np.asarray(found(list(paths)), np.float32), len(paths))


def cached(encode: Encode, folder: Path, report: Callable[[int], None] = lambda _: None) -> Encode:
    """The same encoder, which remembers in `folder` what it made of each content, block by block.

    Killed at any moment, it goes on after its last whole block. `report` hears how many files were done.
    """
    parts = Parts(folder, _REMEMBERED)

    def remembering(paths: Sequence[Path]) -> Vectors:
        keys = [content_key(path) for path in paths]
        known = _read(sorted(folder.glob("*.parquet")))
        report(sum(key in known for key in keys))
        wanted = {key: path for key, path in zip(keys, paths, strict=True) if key not in known}

        def rows(block: Sequence[str]) -> pa.Table:
            vectors = encode([wanted[key] for key in block])
            known.update(zip(block, vectors, strict=True))
            return pa.table({"sha256": block, "vector": list(vectors)}, _REMEMBERED)

        for table in parts.keep(map(rows, blocks(list(wanted), _BLOCK))):
            report(len(table))
        return np.stack([known[key] for key in keys])

    return remembering


def _checked(name: str, vectors: Vectors, files: int) -> Vectors:
    if vectors.ndim != 2 or len(vectors) != files or not np.isfinite(vectors).all():
        raise UserError(
            f"encoder {name!r} gave an array of shape {vectors.shape} for {files} files; "
            "it must give one row of finite numbers for each"
        )
    return vectors


def _read(parts: Sequence[Path]) -> dict[str, Vectors]:
    known: dict[str, Vectors] = {}
    for part in parts:
        table = pq.read_table(part)
        vectors = np.stack(table["vector"].to_numpy(zero_copy_only=False))
        known |= dict(zip(table["sha256"].to_pylist(), vectors, strict=True))
    return known
