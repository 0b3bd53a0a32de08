"""One process or many: who am I, what do all of us have in sum.

Knows: what torchrun leaves in the environment, sums and exchanges between processes, and the gradients of an exchange.
Refuses to know: models. With a single process everything here does nothing, so that no caller asks how many there are.

    with joined() as world:                                          # torchrun --nproc-per-node 2 ...
        total = world.sum(torch.tensor(3.0, device=world.device))    # 6
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """All processes of a run: `size` of them, of which this is number `rank`, computing on `device`."""

    rank: int = 0
    size: int = 1
    device: torch.device

    @property
    def main(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in place."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def gather(self, value: Value) -> list[Value]:
        """Everybody's value, in order of rank, at every process."""
        if self.size == 1:
            return [value]
        values: list[Value | None] = [None] * self.size
        dist.all_gather_object(values, value)
        return values  # type: ignore[return-value]  # every place has been filled

    def stack(self, rows: Tensor) -> Tensor:
        """Everybody's rows [n, ...] below each other [size * n, ...], in order of rank, at every process.

        Differentiable, and then every process must go backward through it: a row's gradient is the sum of what all
        processes have for it. All must have as many rows.
        """
        if self.size == 1:
            return rows
        stacked: Tensor = _Stack.apply(rows, self)  # type: ignore[no-untyped-call]
        return stacked

    def barrier(self) -> None:
        """Waits until everybody is here."""
        if self.size > 1:
            dist.barrier()


class _Stack(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, world: World) -> Tensor:
        ctx.world = world
        parts = [torch.empty_like(rows) for _ in range(world.size)]
        dist.all_gather(parts, rows.contiguous())
        return torch.cat(parts)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        summed = ctx.world.sum(grad.clone(memory_format=torch.contiguous_format))
        return summed.chunk(ctx.world.size)[ctx.world.rank], None


ALONE = World(device=torch.device("cpu"))
"""This process and no other, on the processor."""


@contextmanager
def joined() -> Iterator[World]:
    """The processes that torchrun started together, or this one alone; uses a GPU where there is one."""
    cuda = torch.cuda.is_available()
    if cuda and "PYTORCH_ALLOC_CONF" not in os.environ:
        # Batches of many lengths would leave memory in pieces of which none fits. Read at the first allocation.
        os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    if "RANK" not in os.environ:
        yield World(device=torch.device("cuda" if cuda else "cpu"))
        return
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if cuda else "gloo")
    try:
        yield World(rank=dist.get_rank(), size=dist.get_world_size(), device=device)
    finally:
        dist.destroy_process_group()


def main_process() -> bool:
    """Whether this process is the one that speaks, before and after it has `joined` the others."""
    return os.environ.get("RANK", "0") == "0"


def whole(tensor: Tensor) -> Tensor:
    """A sharded tensor put together (every process must ask), any other as it is."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
