"""What a GPU makes of the `medium` model at 8,192 ids, and what each choice buys.

    python benchmarks/train/gpu.py [-o benchmarks/train/gpu.md]                              # an H100 or H200
    python benchmarks/train/gpu.py --size debug --length 128 --batch 2 --rows 1 --steps 2     # proves that it runs

Each line changes one thing against the first: blocks compiled or not, activations recomputed or kept, the attention
kernel, the cross entropy in chunks or with all logits, matrix products in 8 bits, rows that go through the model at
once. A line is a process of its own, takes whole optimiser steps of the training loop on random ids (16 rows, as one
GPU of the paper), and reports ids a second, model FLOP utilisation (causal attention, nothing recomputed counted; of
the rated bfloat16 speed, in 8 bits too) and the most memory that was allocated. What fails says how.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from partimento.model.config import SIZES, ModelConfig
from partimento.model.initialisation import random_initialisation
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.distributed import World
from partimento.train.flops import flops_per_id, peak_flops
from partimento.train.loop import Trainer
from partimento.train.objectives.pretrain import Pretraining
from partimento.train.settings import LoopSettings, Machine

KERNELS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "math": SDPBackend.MATH,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One line of the table. `rows` 0: what the command line says."""

    compile: bool = True
    recompute: bool = False
    kernel: Literal["any", "flash", "cudnn", "efficient", "math"] = "any"
    chunked: bool = True
    fp8: bool = False
    rows: int = 0


CHOICES = {
    "compiled, logits in chunks, torch's choice of kernel": Choice(),
    "not compiled": Choice(compile=False),
    "activations recomputed": Choice(recompute=True),
    "attention: flash": Choice(kernel="flash"),
    "attention: cuDNN": Choice(kernel="cudnn"),
    "attention: memory-efficient": Choice(kernel="efficient"),
    "attention: plain products": Choice(kernel="math", rows=1),
    "all logits at once": Choice(chunked=False),
    "blocks in 8 bits": Choice(fp8=True),
    "1 row at once": Choice(rows=1),
    "2 rows at once": Choice(rows=2),
    "8 rows at once": Choice(rows=8),
    "16 rows at once, recomputed": Choice(rows=16, recompute=True),
}


class AllLogits(Pretraining):
    """The plain way, for comparison."""

    def total_loss(self, model: Any, ids_BW: Tensor) -> Tensor:
        logits_BTV = model(ids_BW[:, :-1].long())
        return F.cross_entropy(logits_BTV.flatten(0, 1).float(), ids_BW[:, 1:].flatten().long(), reduction="sum")


class EightBits(torch.autograd.Function):
    """x @ weight.T with all three products of a step in 8 bits, one scale a tensor, scales taken as they are now."""

    @staticmethod
    def forward(ctx: Any, x_ND: Tensor, weight_FD: Tensor) -> Tensor:
        ctx.save_for_backward(x_ND, weight_FD)
        return _product(_eight(x_ND, torch.float8_e4m3fn), _eight(weight_FD, torch.float8_e4m3fn))

    @staticmethod
    def backward(ctx: Any, grad_NF: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        x_ND, weight_FD = ctx.saved_tensors
        grad_ND = _product(_eight(grad_NF, torch.float8_e5m2), _eight(weight_FD.T, torch.float8_e4m3fn))
        grad_FD = _product(_eight(grad_NF.T, torch.float8_e5m2), _eight(x_ND.T, torch.float8_e4m3fn))
        return grad_ND, grad_FD


def _eight(matrix: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    scale = torch.finfo(dtype).max / matrix.abs().amax().float().clamp(min=1e-12)
    return (matrix.float() * scale).to(dtype).contiguous(), scale.reciprocal()


def _product(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> Tensor:
    return torch._scaled_mm(a[0], b[0].T, scale_a=a[1], scale_b=b[1], out_dtype=torch.bfloat16)


class Linear8(nn.Linear):
    """A linear layer that multiplies in 8 bits."""

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(0, -2).to(torch.bfloat16)
        return EightBits.apply(flat, self.weight.to(torch.bfloat16)).unflatten(0, x.shape[:-1])


@contextmanager
def kernel(name: str) -> Iterator[None]:
    with nullcontext() if name == "any" else sdpa_kernel(KERNELS[name]):
        yield


def measure(choice: Choice, *, size: str, length: int, batch: int, rows: int, steps: int) -> dict[str, float]:
    """Ids a second, utilisation and memory of one choice on this machine."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_float32_matmul_precision("high")
    vocabulary = Vocabulary.aria()
    config = ModelConfig.named(size, vocab_size=len(vocabulary), context=length)
    model = Transformer(config)
    random_initialisation(model, seed=1)
    if choice.fp8:
        for module in model.model.modules():
            if isinstance(module, nn.Linear):
                module.__class__ = Linear8
    trainer = Trainer(
        model.to(device),
        Pretraining(vocabulary) if choice.chunked else AllLogits(vocabulary),
        LoopSettings(steps=2000),
        Machine(rows_at_once=choice.rows or rows, compile=choice.compile, recompute=choice.recompute),
        World(device=device),
    )
    low, high = vocabulary.note
    ids_BW = np.random.default_rng(1).integers(low, high, (batch, length + 1)).astype(np.int32)
    seconds = []
    with kernel(choice.kernel):
        for _ in range(2 + steps):  # the first compile and allocate
            begun = time.perf_counter()
            trainer.step(ids_BW, rate=1e-4)  # ends with the loss read back, so nothing is left under way
            seconds.append(time.perf_counter() - begun)
    pace = batch * length / statistics.median(seconds[2:])
    utilisation = pace * flops_per_id(config, length=length) / peak_flops(device)
    memory = torch.cuda.max_memory_allocated() if device.type == "cuda" else 0
    return {"ids_per_second": pace, "utilisation": utilisation, "memory": memory, "first_step": seconds[0]}


def main() -> int:
    """Measure every choice in a process of its own and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="medium")
    parser.add_argument("--length", type=int, default=8192)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--only", nargs="*", choices=CHOICES, default=list(CHOICES))
    parser.add_argument("--one", choices=CHOICES, help="measure this choice in this process and print JSON")
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    shape = {name: getattr(arguments, name) for name in ("size", "length", "batch", "rows", "steps")}
    if arguments.one:
        print(json.dumps(measure(CHOICES[arguments.one], **shape)))
        return 0
    if arguments.size == "medium" and not torch.cuda.is_available():
        print(f"No GPU here. On one, {arguments.steps} steps of {arguments.batch} x {arguments.length} ids each of:")
        print("\n".join(f"  {name}: {choice}" for name, choice in CHOICES.items()))
        return 1
    flags = [word for name, value in shape.items() for word in (f"--{name}", str(value))]
    lines = []
    for name in arguments.only:
        command = [sys.executable, __file__, *flags, "--one", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            found = json.loads(done.stdout.splitlines()[-1])
            memory = f"{found['memory'] / 2**30:.1f} GiB" if found["memory"] else "not measured"
            cells = (
                f"{found['ids_per_second']:,.0f} | {found['utilisation']:.1%} | {memory} | {found['first_step']:.0f} s"
            )
        else:
            why = [line for line in done.stderr.splitlines() if line and not line.startswith(" ")][-1:]
            cells = f"does not run here: {' '.join(why)[:120].replace('|', '/')} | | | "
        lines.append(f"| {name} | {cells} |")
        print(lines[-1], flush=True)
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU, so no measurement of one"
    text = "\n".join(
        [
            f"# `{arguments.size}` at {arguments.length} ids on one device",
            "",
            f"{device}, torch {torch.__version__}, {arguments.batch} rows a step, {arguments.rows} at once unless said "
            f"otherwise, median of {arguments.steps} steps, {datetime.datetime.now(tz=datetime.UTC).date()}.",
            "",
            "| choice | ids/s | model FLOP utilisation | peak memory | first step |",
            "|---|---|---|---|---|",
            *lines,
            "",
        ]
    )
    if arguments.out:
        arguments.out.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
