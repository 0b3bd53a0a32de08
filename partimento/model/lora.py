"""Low-rank adapters: a model is trained further through a few small matrices beside its own, which stay as they are.

Knows: which matrices are adapted (attention and feed-forward of every block), how an adapter begins without effect, and
how it is added to the matrix it stands beside, after which the model is a plain one. Refuses to know: training.

    adapt(model, rank=16, seed=1)                   # in place; from now on only the adapters have gradients
    ...
    weights = merged(model.state_dict())            # those of the plain Transformer, to the last bit in their names
    save_adapters("adapters.safetensors", model.state_dict(), base="bundled")
    weights = merged(base.state_dict() | load_adapters("adapters.safetensors"))

E. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021. The factor that scales an adapter is 2, as
where alpha is chosen as twice the rank; the rate of learning can make up for any other.

Shape legend: I channels in, O channels out, R rank.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.errors import UserError
from partimento.model.checkpoint import read_tensors, write_tensors
from partimento.model.parallel import blocks_of

SCALE: Final = 2.0
_DOWN, _UP = "lora_down", "lora_up"


class AdaptedLinear(nn.Linear):
    """A linear layer without bias and, beside its frozen matrix, the product of two narrow ones."""

    def __init__(self, plain: nn.Linear, *, rank: int, generator: torch.Generator) -> None:
        super().__init__(plain.in_features, plain.out_features, bias=False, device="meta")
        weight = plain.weight
        self.weight = nn.Parameter(weight.detach(), requires_grad=False)
        bound = 1 / math.sqrt(plain.in_features)
        down_RI = torch.empty(rank, plain.in_features).uniform_(-bound, bound, generator=generator)
        self.lora_down = nn.Parameter(down_RI.to(weight))
        self.lora_up = nn.Parameter(torch.zeros(plain.out_features, rank).to(weight))

    def forward(self, x: Tensor) -> Tensor:
        """The plain layer's output and the adapter's."""
        return F.linear(x, self.weight) + SCALE * F.linear(F.linear(x, self.lora_down), self.lora_up)


def adapt(model: nn.Module, *, rank: int, seed: int) -> None:
    """Freezes all weights and gives each matrix of the blocks an adapter, in place; the model computes what it did."""
    widths = [min(layer.weight.shape) for block in blocks_of(model) for layer in _linears(block).values()]
    if not 1 <= rank <= min(widths):
        raise UserError(f"an adapter of rank {rank} does not fit this model; give 1 to {min(widths)}")
    generator = torch.Generator().manual_seed(seed)
    model.requires_grad_(requires_grad=False)
    for block in blocks_of(model):
        for name, layer in _linears(block).items():
            setattr(block, name, AdaptedLinear(layer, rank=rank, generator=generator))


def merged(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the plain model that computes the same: each adapter added to its matrix, and gone."""
    plain = {name: tensor for name, tensor in weights.items() if not _is_adapter(name)}
    for name in weights:
        if name.endswith(_UP):
            layer = name.removesuffix(_UP)
            product_OI = weights[name] @ weights[layer + _DOWN]
            plain[layer + "weight"] = weights[layer + "weight"] + SCALE * product_OI
    return plain


def save_adapters(path: str | Path, weights: Mapping[str, Tensor], **metadata: Any) -> None:
    """Writes the adapters among the weights as one safetensors file, with what `metadata` says of them."""
    adapters = {name: tensor for name, tensor in weights.items() if _is_adapter(name)}
    write_tensors(path, adapters, {"adapters": metadata})


def load_adapters(path: str | Path) -> dict[str, Tensor]:
    """What `save_adapters` wrote, by name; a `UserError` for any other file."""
    tensors, header = read_tensors(path)
    if "adapters" not in header:
        raise UserError(f"{path} is a whole model, not adapters; use it as it is")
    return tensors


def _linears(block: nn.Module) -> dict[str, nn.Linear]:
    return {name: layer for name, layer in block.named_children() if isinstance(layer, nn.Linear)}


def _is_adapter(name: str) -> bool:
    return name.endswith((_DOWN, _UP))
