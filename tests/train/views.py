"""A tiny embedder and batches of views to compare, as tests and the programs they start all use them."""

import numpy as np
import torch
from torch import nn

from partimento.model.config import ModelConfig
from partimento.model.heads import Embedder
from partimento.tokens.vocabulary import Vocabulary

V = Vocabulary.piano()
PIECES = (0, 1, 2, 2, 3, 4)


def make_embedder(seed: int = 1) -> Embedder:
    torch.manual_seed(seed)
    config = ModelConfig(vocab_size=len(V), d_model=32, n_heads=2, n_layers=2, d_ff=64, context=32)
    return Embedder(config, size=8).double()


def views(pieces=PIECES, *, length: int = 24, seed: int = 0) -> dict[str, np.ndarray]:
    """Rows of unequal length that end with <E>, then padding."""
    rng = np.random.default_rng(seed)
    batch = {}
    for name in ("a", "b"):
        ids = np.full((len(pieces), length), V.pad, np.int32)
        for row in ids:
            notes = rng.integers(6, length)
            row[: notes - 1], row[notes - 1] = rng.integers(30, 900, notes - 1), V.end
        batch[name] = ids
    return batch | {"piece": np.array(pieces, np.int64), "file": np.arange(len(pieces))}


def tensors(batch: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in batch.items()}


def gradients(model: nn.Module) -> torch.Tensor:
    return torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
