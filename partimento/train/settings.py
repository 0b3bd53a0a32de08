"""How to train, whatever is trained: what decides the result, and how it is spread over a machine.

Knows: every number of the optimisation, which combinations make sense, and what all recipes have in common. Refuses to
know: models, data.

    LoopSettings(steps=1000, warmup_steps=50, peak_lr=1e-3)
    Machine(micro_batch_size=4, compile=True)
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, TypeVar

from partimento.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """How to train. Defaults are the paper's (section 4.1) where it names a value.

    `steps`, `warmup_steps`, `eval_every` and `checkpoint_every` count optimiser steps, on however many processes.
    Raises `UserError` for values that cannot be meant.
    """

    steps: int
    """Optimiser steps of the whole run."""
    peak_lr: float = 3e-4
    """Learning rate after the warm-up."""
    warmup_steps: int = 1000
    """Steps over which the rate rises from 0."""
    min_lr_ratio: float = 0.1
    """Learning rate at the last step, as a share of the peak; the rate falls to it linearly."""
    optimiser: Literal["adamw", "muon"] = "adamw"
    """muon: orthogonalised momentum for the matrices of the blocks, AdamW for everything else."""
    betas: tuple[float, float] = (0.9, 0.95)
    """Decay of AdamW's two moments."""
    weight_decay: float = 0.1
    """Decoupled decay of the matrices."""
    decay_vectors: bool = False
    """Let gains and biases of norms decay too."""
    clip: float = 1.0
    """Maximum gradient norm; a larger gradient is scaled down to it."""
    precision: Literal["auto", "bfloat16", "float32"] = "auto"
    """What matrices are multiplied in; weights and moments stay float32. auto: bfloat16 where the device multiplies it
    itself, else float32; settled when a run begins, and kept when it is resumed, on whatever machine."""
    eval_every: int = 1000
    """Steps between measurements on the validation split."""
    eval_batches: int = 16
    """Batches of one measurement, the same ones each time."""
    patience: int | None = None
    """Stop after so many measurements in a row of which none was the best so far; None: go on to the last step."""
    checkpoint_every: int = 1000
    """Steps between checkpoints."""
    keep_checkpoints: int = 2
    """The newest ones that stay; the best one on the validation split always does."""

    def __post_init__(self) -> None:
        for name in ("steps", "eval_every", "eval_batches", "checkpoint_every", "keep_checkpoints"):
            if getattr(self, name) < 1:
                raise UserError(f"training settings: {name} is {getattr(self, name)}; give at least 1")
        if self.patience is not None and self.patience < 1:
            raise UserError(f"training settings: patience is {self.patience}; give at least 1, or None to go on")
        if not 0 <= self.warmup_steps < self.steps:
            raise UserError(f"training settings: {self.warmup_steps} warm-up steps do not fit {self.steps} steps")
        if not (self.peak_lr > 0 and self.clip > 0 and 0 <= self.min_lr_ratio <= 1 and self.weight_decay >= 0):
            raise UserError(
                f"training settings: peak_lr {self.peak_lr} and clip {self.clip} must be positive, "
                f"min_lr_ratio {self.min_lr_ratio} within 0..1, weight_decay {self.weight_decay} not negative"
            )
        if not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(f"training settings: betas {self.betas} must lie within 0..1, 1 excluded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a run may vary from machine to machine without becoming another run: speed and memory, not the result."""

    micro_batch_size: int | None = None
    """Rows that one process puts through the model together; None: all of its share. Fewer need less memory, and their
    gradients add up to those of the whole batch."""
    compile: bool = False
    """Compile the blocks with torch.compile: slow to start, then faster."""
    activation_checkpointing: bool = False
    """Activation checkpointing: keep only what enters each block, compute the rest again in the backward pass."""
    shard: bool = False
    """Each process holds its share of weights, gradients and moments (FSDP2) instead of all of them."""

    def __post_init__(self) -> None:
        if self.micro_batch_size is not None and self.micro_batch_size < 1:
            raise UserError(f"machine: micro_batch_size is {self.micro_batch_size}; give at least 1, or None for all")


AT_ONCE = Machine()
"""Everything at once, nothing compiled: right for small models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecipe:
    """What every recipe says, whatever it trains. Two are equal if they lead to the same model on whatever machine."""

    name: str
    """What the recipe is called."""
    cost: str = field(compare=False)
    """What the run is expected to take, as the recipe stands."""
    length: int
    """Tokens of a sequence."""
    batch: int
    """Sequences of one optimiser step, of all processes together."""
    seed: int
    """Decides initial weights, and the order and augmentation of the data."""
    epochs: float | None = None
    """Passes through the corpus; decides loop.steps when the run begins. None: loop.steps stands."""
    loop: LoopSettings
    """The optimisation."""
    machine: Machine = field(compare=False, default=AT_ONCE)
    """How it is spread over the machine; may change when a run is resumed."""

    def __post_init__(self) -> None:
        for name in ("length", "batch"):
            if getattr(self, name) < 1:
                raise UserError(f"recipe: {name} is {getattr(self, name)}; give at least 1")
        if self.epochs is not None and not self.epochs > 0:
            raise UserError(f"recipe: epochs is {self.epochs}; give a positive number, or None to go by loop.steps")
        self.check()

    def check(self) -> None:
        """For kinds of recipe: raises `UserError` for values of their own that cannot be meant."""

    def with_loop(self, **changes: Any) -> Self:
        """With other values of `loop`."""
        return dataclasses.replace(self, loop=dataclasses.replace(self.loop, **changes))

    def with_steps(self, steps: int) -> Self:
        """As many steps, and a warm-up that fits them."""
        return self.with_loop(steps=steps, warmup_steps=min(self.loop.warmup_steps, steps // 2))

    def counted(self, examples: float) -> Self:
        """With the steps, two at least, that `epochs` of so many sequences come to; as it is without `epochs`."""
        if self.epochs is None:
            return self
        return self.with_steps(max(2, math.ceil(self.epochs * examples / self.batch)))

    def changed_from(self, named: Self) -> Self:
        """These settings as who changed `named` into them meant: said steps replace epochs that were not said."""
        if self.loop.steps == named.loop.steps or self.epochs != named.epochs:
            return self
        return dataclasses.replace(self, epochs=None)

    def to_json(self) -> str:
        """Readable JSON of every field."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Reads what `to_json` wrote; raises `UserError` for anything else."""
        try:
            values: dict[str, Any] = json.loads(text)
            loop, machine = values.pop("loop"), values.pop("machine")
            loop = LoopSettings(**loop | {"betas": tuple(loop["betas"])})
            return cls(**values, loop=loop, machine=Machine(**machine))
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"not a recipe of this version: {error}") from error


def learning_rate(settings: LoopSettings, step: int) -> float:
    """The rate of optimiser step 1 <= `step` <= `settings.steps`: up to the peak, then down, in two straight lines."""
    if step <= settings.warmup_steps:
        return settings.peak_lr * step / settings.warmup_steps
    decayed = (step - settings.warmup_steps) / (settings.steps - settings.warmup_steps)
    return settings.peak_lr * (1 - (1 - settings.min_lr_ratio) * decayed)


AnyRecipe = TypeVar("AnyRecipe", bound=RunRecipe)


def choose(recipes: Mapping[str, Callable[[], AnyRecipe]], name: str) -> AnyRecipe:
    """The recipe of that name; a `UserError` that lists the names if there is none."""
    if name not in recipes:
        raise UserError(f"no recipe is called {name!r}; choose one of {', '.join(recipes)}")
    return recipes[name]()
