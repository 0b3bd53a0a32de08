"""A vector -> probabilities of labels: one linear layer on an embedding model, a file of some kilobytes.

Knows: how such a head lies in a file and which embedding model it belongs to; the vectors of another one mean nothing
to it. Refuses to know: how it was fitted (`benchmarks/tasks/make_classifier.py`), which slices a vector is the mean of.

    head = LinearHead.load(locate("bundled-classifier"))
    head.probabilities(vectors_nE)                     # float32 [n, classes]

Shape legend: n vectors, E channels of a vector, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from partimento.corpus.store.note_store import digest
from partimento.errors import UserError
from partimento.model.checkpoint import check_tensors, read_header, read_tensors, write_tensors
from partimento.model.hub import locate

_KIND = "linear head"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearHead:
    """Float32 `weight_CE` and `bias_C` over the vectors of `embedder`, a name or file whose SHA-256 is known.

    A file whose likeliest label is less probable than `least` is called unknown (0: none is).
    """

    weight_CE: NDArray[np.float32]
    bias_C: NDArray[np.float32]
    classes: tuple[str, ...]
    task: str
    embedder: str
    embedder_sha256: str
    least: float = 0.0
    licence: str = ""

    @staticmethod
    def is_in(path: Path) -> bool:
        """Whether a model file holds a head, and no network."""
        return (read_header(path) or {}).get("kind") == _KIND

    @classmethod
    def load(cls, path: Path) -> Self:
        """The head of a file; raises `UserError` for any other file, and if its embedding model is another one now."""
        tensors, header = read_tensors(path)
        if header.get("kind") != _KIND:
            raise UserError(f"{path} holds no linear head")
        about: dict[str, Any] = header["metadata"]
        about["classes"] = tuple(about["classes"])
        channels = tensors["weight"].shape[-1] if "weight" in tensors else 0
        classes = len(about["classes"])
        check_tensors(path, tensors, {"weight": torch.Size((classes, channels)), "bias": torch.Size((classes,))})
        if digest(locate(about["embedder"])) != about["embedder_sha256"]:
            raise UserError(f"{path} belongs to another {about['embedder']} than the one that is here; fit it anew")
        return cls(weight_CE=tensors["weight"].numpy(), bias_C=tensors["bias"].numpy(), **about)

    def save(self, path: Path) -> None:
        """Write it as one safetensors file."""
        tensors = {"weight": torch.from_numpy(self.weight_CE), "bias": torch.from_numpy(self.bias_C)}
        names = ("classes", "task", "embedder", "embedder_sha256", "least", "licence")
        write_tensors(path, tensors, {"kind": _KIND, "metadata": {name: getattr(self, name) for name in names}})

    def probabilities(self, vectors_nE: NDArray[np.floating]) -> NDArray[np.float32]:
        """Float32 [n, C], each row adding up to 1."""
        return softmax(vectors_nE @ self.weight_CE.T + self.bias_C, axis=1).astype(np.float32)
