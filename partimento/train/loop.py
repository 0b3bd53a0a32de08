"""The only training loop: accumulate, clip, schedule, log, evaluate, checkpoint, resume.

Knows: optimiser steps and what it takes to continue after a kill at any moment with the same losses to the bit.
Refuses to know: what is learned (an `Objective` says it), what the batches mean, which model it is.

    settings = LoopSettings(steps=1000, warmup_steps=50, peak_lr=1e-3)
    train(model, objective, loader=loader, heldout=heldout, settings=settings, out_dir=Path("runs/one"))

A run's folder holds `log.jsonl` (a line for every step and every evaluation) and `state.safetensors` (weights, moments
of AdamW, random state, and in its header the step and the loader's position), replaced atomically.

Shape legend: B batch, W ids in a row.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from partimento.errors import UserError
from partimento.model.checkpoint import read_tensors, write_tensors

STATE_FILE = "state.safetensors"
LOG_FILE = "log.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopSettings:
    """How to train, whatever is trained. Defaults are the paper's (section 4.2) where it names a value.

    `accumulate` batches make one step. The learning rate rises linearly to `peak_lr` over `warmup_steps`, then falls
    linearly to `final_fraction` of it at the last step. Evaluation takes the first `eval_batches` of the held-out
    loader. `steps`, `warmup_steps`, `eval_every` and `checkpoint_every` count optimiser steps.
    """

    steps: int
    peak_lr: float
    warmup_steps: int = 1000
    final_fraction: float = 0.1
    accumulate: int = 1
    betas: tuple[float, float] = (0.9, 0.95)
    weight_decay: float = 0.1
    clip: float = 1.0
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    eval_every: int = 1000
    eval_batches: int = 16
    checkpoint_every: int = 1000

    def __post_init__(self) -> None:
        for name in ("steps", "accumulate", "eval_every", "eval_batches", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise UserError(f"training settings: {name} is {getattr(self, name)}; give at least 1")
        if not 0 <= self.warmup_steps < self.steps:
            raise UserError(f"training settings: {self.warmup_steps} warm-up steps do not fit {self.steps} steps")
        if not (self.peak_lr > 0 and self.clip > 0 and 0 <= self.final_fraction <= 1 and self.weight_decay >= 0):
            raise UserError(
                f"training settings: peak_lr {self.peak_lr} and clip {self.clip} must be positive, "
                f"final_fraction {self.final_fraction} within 0..1, weight_decay {self.weight_decay} not negative"
            )


class Loader(Protocol):
    """An endless source of batches whose position is a JSON value."""

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        """Batches [B, W] from the current position on."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The position: after the last batch handed out."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes to a position that `state_dict` gave."""
        ...


class Objective(Protocol):
    """What is learned: a sum of losses over countable targets, and a report on held-out batches."""

    def targets(self, ids_BW: Tensor) -> int:
        """Number of losses in the sum."""
        ...

    def total_loss(self, model: nn.Module, ids_BW: Tensor) -> Tensor:
        """The sum, differentiable."""
        ...

    def evaluate(self, model: nn.Module, batches: Iterable[Tensor]) -> dict[str, float]:
        """Named measurements on held-out batches."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run stands after `step` of `steps`: `loss` of that step, and the last held-out report if there is one."""

    step: int
    steps: int
    loss: float
    targets_per_second: float
    seconds_left: float
    heldout: Mapping[str, float]


def learning_rate(settings: LoopSettings, step: int) -> float:
    """The rate of optimiser step 1 <= `step` <= `settings.steps`."""
    if step <= settings.warmup_steps:
        return settings.peak_lr * step / settings.warmup_steps
    decayed = (step - settings.warmup_steps) / (settings.steps - settings.warmup_steps)
    return settings.peak_lr * (1 - (1 - settings.final_fraction) * decayed)


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; gains and biases of norms do not."""
    matrices = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
    vectors = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def optimiser_step(
    model: nn.Module,
    objective: Objective,
    optimiser: torch.optim.Optimizer,
    batches: list[Tensor],
    settings: LoopSettings,
) -> tuple[float, float, int]:
    """One step on all batches as if they were one; returns loss per target, gradient norm before clipping, targets."""
    targets = sum(objective.targets(ids_BW) for ids_BW in batches)
    total = 0.0
    for ids_BW in batches:
        with _autocast(ids_BW.device, settings):
            loss = objective.total_loss(model, ids_BW) / targets
        torch.autograd.backward(loss)
        total += loss.item()
    norm = nn.utils.clip_grad_norm_(model.parameters(), settings.clip).item()
    if not math.isfinite(total) or not math.isfinite(norm):
        raise UserError(f"training diverged: loss {total}, gradient norm {norm}; lower peak_lr or lengthen the warm-up")
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return total, norm, targets


def train(
    model: nn.Module,
    objective: Objective,
    *,
    loader: Loader,
    heldout: Loader,
    settings: LoopSettings,
    out_dir: Path,
    report: Callable[[Progress], None] = lambda _: None,
) -> dict[str, float]:
    """Trains `model` in place up to `settings.steps`, from the state in `out_dir` if there is one.

    `report` is called after every step. Returns the last held-out measurements. Raises `UserError` if the loss
    diverges or the state is not of this model.
    """
    groups = parameter_groups(model, settings.weight_decay)
    optimiser = torch.optim.AdamW(groups, lr=settings.peak_lr, betas=settings.betas, fused=True)
    evaluate = partial(_evaluate, model, objective, heldout, heldout.state_dict(), settings)
    state_path, log_path = out_dir / STATE_FILE, out_dir / LOG_FILE
    if state_path.exists():
        first, measured = restore_state(state_path, model, optimiser, loader)
        _forget_after(log_path, first)
    else:
        first, measured = 0, evaluate()
        out_dir.mkdir(parents=True, exist_ok=True)
        log_path.write_text(json.dumps({"step": 0, "heldout": measured}) + "\n", encoding="utf-8")

    model.train()
    batches = iter(loader)
    started = time.monotonic()
    with log_path.open("a", encoding="utf-8", buffering=1) as log:
        for step in range(first + 1, settings.steps + 1):
            begun = time.monotonic()
            rate = learning_rate(settings, step)
            for group in optimiser.param_groups:
                group["lr"] = rate
            rows = [_on(_device(model), next(batches)) for _ in range(settings.accumulate)]
            loss, norm, targets = optimiser_step(model, objective, optimiser, rows, settings)
            seconds = time.monotonic() - begun
            line = {"step": step, "loss": loss, "lr": rate, "norm": norm, "targets": targets, "seconds": seconds}
            log.write(json.dumps(line) + "\n")
            if _due(settings.eval_every, step, settings):
                measured = evaluate()
                log.write(json.dumps({"step": step, "heldout": measured}) + "\n")
            if _due(settings.checkpoint_every, step, settings):
                save_state(state_path, model, optimiser, loader, step=step, measured=measured)
            pace = (time.monotonic() - started) / (step - first)
            report(
                Progress(
                    step=step,
                    steps=settings.steps,
                    loss=loss,
                    targets_per_second=targets / seconds,
                    seconds_left=pace * (settings.steps - step),
                    heldout=measured,
                )
            )
    return measured


def save_state(
    path: Path,
    model: nn.Module,
    optimiser: torch.optim.Optimizer,
    loader: Loader,
    *,
    step: int,
    measured: Mapping[str, float],
) -> None:
    """Writes all that `restore_state` needs, as one file that is replaced only when complete."""
    tensors = {f"model.{name}": tensor.detach() for name, tensor in model.state_dict().items()}
    for name, parameter in model.named_parameters():
        for moment, value in optimiser.state[parameter].items():
            tensors[f"optimiser.{moment}.{name}"] = value
    tensors["random.torch"] = torch.get_rng_state()
    write_tensors(path, tensors, {"step": step, "loader": loader.state_dict(), "heldout": dict(measured)})


def restore_state(
    path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, loader: Loader
) -> tuple[int, dict[str, float]]:
    """Puts everything back as `save_state` found it; returns the step and its last held-out report."""
    tensors, header = read_tensors(path)
    try:
        with torch.no_grad():
            for name, tensor in model.state_dict().items():
                tensor.copy_(tensors[f"model.{name}"])
        for name, parameter in model.named_parameters():
            moments = {m: tensors[f"optimiser.{m}.{name}"] for m in ("step", "exp_avg", "exp_avg_sq")}
            optimiser.state[parameter] = {m: value.to(parameter.device) for m, value in moments.items()}
        torch.set_rng_state(tensors["random.torch"])
        loader.load_state_dict(header["loader"])
        return header["step"], header["heldout"]
    except (KeyError, RuntimeError) as error:
        raise UserError(f"{path} is not the state of this model: {error}; train into another folder") from error


def _evaluate(
    model: nn.Module, objective: Objective, heldout: Loader, start: dict[str, Any], settings: LoopSettings
) -> dict[str, float]:
    """Measures the same first batches every time."""
    heldout.load_state_dict(start)
    device = _device(model)
    model.eval()
    with _autocast(device, settings):
        rows = (_on(device, ids_BW) for ids_BW in islice(heldout, settings.eval_batches))
        measured = objective.evaluate(model, rows)
    model.train()
    return measured


def _due(every: int, step: int, settings: LoopSettings) -> bool:
    return step % every == 0 or step == settings.steps


def _device(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _autocast(device: torch.device, settings: LoopSettings) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=settings.precision == "bfloat16")


def _on(device: torch.device, ids_BW: NDArray[np.int32]) -> Tensor:
    return torch.from_numpy(ids_BW).to(device)


def _forget_after(path: Path, step: int) -> None:
    """Drops the lines of steps that a killed run took after its last state, and a line it did not finish."""
    if not path.exists():
        return
    whole = [line for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line.endswith("}\n")]
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text("".join(line for line in whole if json.loads(line)["step"] <= step), encoding="utf-8")
    temporary.replace(path)
