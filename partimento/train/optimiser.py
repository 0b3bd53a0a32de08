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
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from partimento.model.parallel import blocks_of
from partimento.model.precision import computing_dtype
from partimento.train.distributed import whole
from partimento.train.settings import LoopSettings

# Coefficients of the quintic iteration, from the paper of Muon: steep at zero, and no more exact than is of use.
_A, _B, _C = 3.4445, -4.7750, 2.0315
ITERATIONS: Final = 5


def make_optimisers(model: nn.Module, settings: LoopSettings) -> list[torch.optim.Optimizer]:
    """The optimisers of one step; every trained weight belongs to exactly one of them."""
    trained = [p for p in model.parameters() if p.requires_grad]
    muon = muon_weights(model) if settings.optimiser == "muon" else []
    taken = set(map(id, muon))
    adamw = torch.optim.AdamW(
        parameter_groups([p for p in trained if id(p) not in taken], settings),
        lr=settings.peak_lr,
        betas=settings.betas,
        fused=True,
    )
    if not muon:
        return [adamw]
    precision = computing_dtype(settings.precision, muon[0].device)
    return [adamw, Muon(muon, lr=settings.peak_lr, weight_decay=settings.weight_decay, precision=precision)]


def muon_weights(model: nn.Module) -> list[nn.Parameter]:
    """The weights that are Muon's to move: the matrices of the blocks that are trained."""
    return [p for block in blocks_of(model) for p in block.parameters() if p.requires_grad and p.ndim == 2]


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

    A sharded matrix is put together before it is orthogonalised, by every process alike. `precision` is that of the
    orthogonalisation.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        lr: float,
        weight_decay: float,
        momentum: float = 0.95,
        precision: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self._precision = precision

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of every weight that has a gradient."""
        if closure is not None:
            raise ValueError("Muon takes one gradient a step; it has no use for a closure")
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    alike[weight.shape].append(weight)
            for shape, weights in alike.items():
                # Matrices of one shape go through the iteration together: small ones alone leave cores idle.
                directions = torch.stack([self._direction(weight, group["momentum"]) for weight in weights])
                rate = group["lr"] * 0.2 * math.sqrt(max(shape))
                for weight, update in zip(weights, orthogonalised(directions, self._precision), strict=True):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.add_(_like(update, weight), alpha=-rate)

    def _direction(self, weight: Tensor, decay: float) -> Tensor:
        """The whole matrix of Nesterov momentum, after this step's gradient."""
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        momentum = state["momentum"].lerp_(weight.grad, 1 - decay)
        return whole(weight.grad.lerp(momentum, decay))


def orthogonalised(matrices: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
    """Matrices [..., m, n] with singular values moved to about 0.7..1.2, their singular vectors kept; zeros stay.

    `precision` is what is multiplied in; bfloat16 suffices, since the iteration is inexact by design.
    """
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if tall else matrices
    x = (x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)).to(precision)
    for _ in range(ITERATIONS):
        square = x @ x.mT
        x = _A * x + (_B * square + _C * square @ square) @ x
    return (x.mT if tall else x).to(matrices.dtype)


def _like(tensor: Tensor, model: Tensor) -> Tensor:
    """The tensor, which all processes have, sharded as another one is."""
    if not isinstance(model, DTensor):
        return tensor
    return distribute_tensor(tensor, model.device_mesh, model.placements, src_data_rank=None)
