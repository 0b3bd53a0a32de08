"""How a model is spread over a machine or several, applied from outside: the network itself knows nothing of it.

Knows: compilation, recomputing activations, sharding weights (FSDP2). Refuses to know: losses, steps, data. None of
this changes what is computed, only how fast and in how much memory.

    place(model, compiled=True)

`model` may be any module that contains transformer blocks, such as a model together with its loss; names of weights
stay as they are.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from partimento.model.transformer import Block

_CODES = 32


def place(
    root: nn.Module,
    *,
    compiled: bool = False,
    dynamic: bool = False,
    activation_checkpointing: bool = False,
    shards: int = 1,
    half: bool = False,
    backend: str = "inductor",
) -> None:
    """Prepares `root` in place; its weights must already be on their device.

    `compiled`: blocks go through torch.compile (with `backend`), one after the other, all with the same code; with
    `dynamic` it fits sequences of any length and number, else it is made anew for others. `activation_checkpointing`:
    activation checkpointing; only what enters a block is kept, the rest is computed again in the backward pass.
    `shards`: so many processes each hold their share of weights, gradients and moments; every one of them must call
    this. `half`: sharded weights travel and compute in bfloat16, their gradients are summed in float32.
    """
    blocks = blocks_of(root)
    if compiled and dynamic:
        # Learning and measuring, blocks and the last of them, sizes above and below what some kernel is made for: each
        # is compiled once, and what comes after the eighth would not be compiled at all.
        torch._dynamo.config.recompile_limit = max(_CODES, torch._dynamo.config.recompile_limit)
    for block in blocks:
        # In this order: a compiled function that contains the checkpoint would not be compiled at all.
        if compiled:
            # Left to itself torch compiles for one shape first, and for any shape when it has seen a second one.
            compiled_forward = torch.compile(block.forward, backend=backend, dynamic=dynamic or None)
            block.forward = compiled_forward  # type: ignore[method-assign]
        if activation_checkpointing:
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)  # type: ignore[method-assign]
    if shards > 1:
        mesh = init_device_mesh(next(root.parameters()).device.type, (shards,))
        bfloat16 = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
        for module in (*blocks, root):
            fully_shard(module, mesh=mesh, mp_policy=bfloat16 if half else MixedPrecisionPolicy())


def blocks_of(root: nn.Module) -> list[Block]:
    """The transformer blocks, first to last."""
    return [module for module in root.modules() if isinstance(module, Block)]


def sync_gradients(root: nn.Module, *, now: bool) -> None:
    """Says whether the next backward pass ends with the mean over processes; a module of one process ignores it."""
    if isinstance(root, FSDPModule):
        root.set_requires_gradient_sync(now)
    elif isinstance(root, DistributedDataParallel):
        root.require_backward_grad_sync = now
