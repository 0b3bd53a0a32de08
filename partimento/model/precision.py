"""bfloat16 where a device multiplies it itself, float32 elsewhere: the one place that decides.

Knows: how to find out what a device is good at, and how to say so in a line. Refuses to know: what is computed.

    dtype = computing_dtype("auto", torch.device("cpu"))
    print(remark(dtype, torch.device("cpu")))    # precision: float32, since this processor does not multiply ...

A processor without such instructions computes bfloat16 all the same, by way of float32: from twice (AVX-512) to a
hundred times (AVX2) more slowly than float32 itself. Which it is depends on the processor, on the libraries torch was
built with and on what their variables forbid (ONEDNN_MAX_CPU_ISA), and no public function of torch tells. So a
processor is tried: a small product in either precision, on one thread. GPUs are told by their generation.
"""

from __future__ import annotations

import time
from functools import cache
from typing import Final, Literal

import torch

Precision = Literal["auto", "bfloat16", "float32"]

_BOTH: Final = (torch.bfloat16, torch.float32)
_MULTIPLE: Final = 64
_SIDE: Final = 256
_TURNS: Final = 5


def computing_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """What matrices are multiplied in on a device."""
    half = native_bfloat16(device) if precision == "auto" else precision == "bfloat16"
    return torch.bfloat16 if half else torch.float32


@cache
def native_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 at least as fast as float32. The answer stays while the process lives."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # many threads would take longer to wake than a product takes
    try:
        factors = {dtype: torch.ones(_SIDE, _SIDE, dtype=dtype, device=device) for dtype in _BOTH}
        turns = [{dtype: _seconds(factor) for dtype, factor in factors.items()} for _ in range(_TURNS)]
    finally:
        torch.set_num_threads(threads)
    bfloat16, float32 = (min(turn[dtype] for turn in turns) for dtype in _BOTH)
    return bfloat16 <= float32


def _seconds(factor: torch.Tensor) -> float:
    begun = time.perf_counter()
    (factor @ factor)[0, 0].item()
    return time.perf_counter() - begun


def whole_width(length: int) -> int:
    """`whole_width(130)` -> 192: to how many tokens the rows of a batch are padded.

    For every width that comes along, a processor's library keeps what it prepared to multiply bfloat16, some 10 MB for
    a model of 28 M parameters: with any width that is a gigabyte in a hundred steps, with multiples of 64 it is little.
    """
    return -(-length // _MULTIPLE) * _MULTIPLE


def remark(dtype: torch.dtype, device: torch.device) -> str:
    """A line about the precision that was chosen, for whoever waits for the result."""
    name = "processor" if device.type == "cpu" else "GPU"
    if native_bfloat16(device):
        if dtype == torch.bfloat16:
            return f"precision: bfloat16, which this {name} multiplies itself"
        return f"precision: float32; in bfloat16 this {name} would be faster"
    if dtype == torch.float32:
        return f"precision: float32, since this {name} does not multiply bfloat16 itself"
    return f"precision: bfloat16, although this {name} does not multiply it itself: far slower than in float32"
