"""What a run settles, and what it says, before its first step.

Knows: how all processes of a run agree on a precision, and when an optimiser costs more than what it optimises. Refuses
to know: folders, checkpoints, how to take a step.

    settings = settled(settings, world)
    for line in remarks(recipe, model, model.config, world): print(line)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import torch
from torch import nn

from partimento.model.config import ModelConfig
from partimento.model.precision import computing_dtype, remark
from partimento.train.distributed import World
from partimento.train.flops import flops_per_token, muon_flops, peak_flops
from partimento.train.optimiser import muon_weights
from partimento.train.settings import LoopSettings, RunRecipe


def settled(settings: LoopSettings, world: World) -> LoopSettings:
    """The settings with a precision that is not `auto`: bfloat16 if the devices of all processes multiply it."""
    if settings.precision != "auto":
        return settings
    native = all(world.gather(computing_dtype("auto", world.device) == torch.bfloat16))
    return dataclasses.replace(settings, precision="bfloat16" if native else "float32")


def remarks(recipe: RunRecipe, model: nn.Module, config: ModelConfig, world: World) -> Iterator[str]:
    """What a person should know of a run with settled precision on this machine: its precision, and what Muon costs
    where that is more than a step without it.
    """
    yield remark(computing_dtype(recipe.loop.precision, world.device), world.device)
    if recipe.loop.optimiser != "muon":
        return
    muon = muon_flops(weight.shape for weight in muon_weights(model))
    ids = recipe.batch * recipe.length / world.size
    if muon > ids * flops_per_token(config, length=recipe.length):
        yield (
            f"muon: at least {muon / peak_flops(world.device):.1f} s a step for the matrices alone, more than for the "
            f"step's {ids:,.0f} tokens; it pays with more of them, --loop.optimiser adamw does without"
        )
