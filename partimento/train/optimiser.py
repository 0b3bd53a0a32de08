"""Which optimiser moves which weights.

Knows: AdamW and Muon, and that matrices decay while gains and biases do not. Refuses to know: losses, schedules (the
loop sets each group's rate before each step).

    for optimiser in make_optimisers(model, settings): optimiser.step()

Muon replaces the momentum of a matrix by the nearest matrix whose singular values are all about one, so that rare
directions move as far as common ones (K. Jordan et al., "Muon: an optimizer for hidden layers", 2024). The factor
0.2 * sqrt(longer side) gives its updates the size that AdamW's have, so that both share rate, decay and schedule
(J. Liu et al., "Muon is scalable for LLM training", 2025).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from partimento.model.parallel import blocks_of
from partimento.train.distributed import whole
from partimento.train.settings import LoopSettings

# Coefficients of the quintic iteration, from the paper of Muon: steep at zero, and no more exact than is of use.
_A, _B, _C = 3.4445, -4.7750, 2.0315


def make_optimisers(model: nn.Module, settings: LoopSettings) -> list[torch.optim.Optimizer]:
    """The optimisers of one step; every trained weight belongs to exactly one of them."""
    trained = [p for p in model.parameters() if p.requires_grad]
    muon: list[nn.Parameter] = []
    if settings.optimiser == "muon":
        muon = [p for block in blocks_of(model) for p in block.parameters() if p.requires_grad and p.ndim == 2]
    taken = set(map(id, muon))
    adamw = torch.optim.AdamW(
        parameter_groups([p for p in trained if id(p) not in taken], settings),
        lr=settings.peak_lr,
        betas=settings.betas,
        fused=True,
    )
    return [adamw, Muon(muon, lr=settings.peak_lr, weight_decay=settings.weight_decay)] if muon else [adamw]


def parameter_groups(parameters: Iterable[nn.Parameter], settings: LoopSettings) -> list[dict[str, Any]]:
    """Matrices decay; gains and biases of norms do not, unless the settings say so."""
    parameters = list(parameters)
    return [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": settings.weight_decay},
        {
            "params": [p for p in parameters if p.ndim < 2],
            "weight_decay": settings.weight_decay if settings.decay_vectors else 0.0,
        },
    ]


class Muon(torch.optim.Optimizer):
    """Orthogonalised Nesterov momentum for matrices, with decoupled weight decay. State: `momentum`, one per weight.

    A sharded matrix is put together before it is orthogonalised, by every process alike.
    """

    def __init__(self, params: Iterable[Tensor], *, lr: float, weight_decay: float, momentum: float = 0.95) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every weight that has a gradient."""
        if closure is not None:
            raise ValueError("Muon takes one gradient a step; it has no use for a closure")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                update = _like(orthogonalised(whole(weight.grad.lerp(momentum, group["momentum"]))), weight)
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update, alpha=-group["lr"] * 0.2 * math.sqrt(max(weight.shape)))


def orthogonalised(matrix: Tensor, *, iterations: int = 5) -> Tensor:
    """The matrix with singular values moved to about 0.7..1.2, its singular vectors kept; a zero matrix stays zero."""
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).to(torch.bfloat16 if matrix.is_cuda else torch.float32)
    x = x / (x.norm() + 1e-7)
    for _ in range(iterations):
        square = x @ x.T
        x = _A * x + (_B * square + _C * square @ square) @ x
    return (x.T if tall else x).to(matrix.dtype)


def _like(tensor: Tensor, model: Tensor) -> Tensor:
    """The tensor, which all processes have, sharded as another one is."""
    if not isinstance(model, DTensor):
        return tensor
    return distribute_tensor(tensor, model.device_mesh, model.placements, src_data_rank=None)
