"""How much arithmetic a model needs, and how much a device can do: the two halves of model FLOP utilisation.

Knows: the products of a transformer in closed form, the rated speed of common GPUs. Refuses to know: what ran when.

    utilisation = tokens_per_second * flops_per_token(config, length=8192) / peak_flops(device)
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from functools import cache

import torch

from partimento.model.config import ModelConfig
from partimento.model.precision import computing_dtype
from partimento.train.optimiser import ITERATIONS

# Dense bfloat16 products with float32 sums, per second, as the makers' data sheets say.
_RATED = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L40": 181e12,
    "L4": 121e12,
    "RTX 4090": 165e12,
    "RTX 3090": 71e12,
}


def flops_per_token(config: ModelConfig, *, length: int) -> float:
    """Operations of forward and backward pass for one token of a sequence of `length`, an addition counted as one.

    Each weight of a matrix product counts six times (twice forward, four times backward), the input embedding never,
    attention with its causal half only. Recomputed activations do not count, so that the figure compares methods.
    """
    block = 4 * config.d_model**2 + 3 * config.d_model * config.d_ff
    products = config.n_layers * block + config.vocab_size * config.d_model
    # Two products (scores, mixture) over length / 2 positions on average.
    attention = config.n_layers * 2 * config.d_model * length / 2
    return 6 * (products + attention)


def muon_flops(shapes: Iterable[Sequence[int]]) -> float:
    """Operations of the products of one step of Muon for matrices of such shapes."""
    sides = [(min(shape), max(shape)) for shape in shapes]
    # In each iteration [m, n] times its transpose, the square [m, m] times itself, and [m, m] times [m, n].
    return ITERATIONS * sum(4 * m * m * n + 2 * m**3 for m, n in sides)


@cache
def peak_flops(device: torch.device) -> float:
    """Operations per second in the precision that `auto` stands for: a known GPU's rated speed, else what one large
    product reaches right now.
    """
    return rated_flops(device) or _measured(device)


def rated_flops(device: torch.device) -> float | None:
    """Operations per second of a GPU whose data sheet is known; None of any other, and of a processor."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    return next((flops for part, flops in _RATED.items() if part in name), None)


def _measured(device: torch.device) -> float:
    side, dtype = 1024, computing_dtype("auto", device)
    a, b = (torch.randn(side, side, dtype=dtype, device=device) for _ in range(2))
    seconds = []
    for _ in range(6):
        begun = time.perf_counter()
        (a @ b)[0, 0].item()
        seconds.append(time.perf_counter() - begun)
    return 2 * side**3 / min(seconds)
