"""The only training loop: accumulate, clip, schedule, log, evaluate, checkpoint, resume.

Knows: optimiser steps, on one process or many, and what it takes to continue after a kill at any moment with the same
losses to the bit. Refuses to know: what is learned (an `Objective` says it), what a batch means, which model it is.

    settings = LoopSettings(steps=1000, warmup_steps=50, peak_lr=1e-3)
    train(model, objective, loader=loader, validation=validation, settings=settings, folder=Path("runs/one"))

A batch is one optimiser step's rows (this process's share of them): an array, or a mapping of arrays that all have the
rows as first axis. It goes through the model a few rows at a time; gradients of sums add up, so the split changes
nothing. Batches are made ahead by a thread (`prefetch.py`), and a step waits for its device once, at its end. A run's
folder holds `log.jsonl` and `checkpoints/`; `loader_seconds` in the log is how long a step waited for its batch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from partimento.corpus.loaders.order import merge_states
from partimento.errors import UserError
from partimento.model.parallel import place, sync_gradients
from partimento.train.checkpoints import Checkpoints, restore, tensors
from partimento.train.distributed import ALONE, World, whole
from partimento.train.log import RunLog, Tracker
from partimento.train.opening import settled
from partimento.train.optimiser import make_optimisers
from partimento.train.prefetch import Arrays, Batch, Loader, Prefetcher, as_tensors
from partimento.train.settings import AT_ONCE, LoopSettings, Machine, learning_rate

CHECKPOINTS = "checkpoints"


class Objective(Protocol):
    """What is learned: a sum of losses over countable targets, and measurements that are sums too."""

    criterion: str
    """The measurement that says which checkpoint is best: the lower the better."""
    unit: str
    """What its targets are: "tokens", or sequences of them, such as "views"."""
    lengths_vary: bool
    """Whether sequences are cut to the longest of those that go through the model together, so that code compiled for
    them has to fit all lengths."""

    def targets(self, batch: Batch) -> int:
        """Number of losses in the sum; the batch is still on the processor."""
        ...

    def total_loss(self, model: nn.Module, batch: Batch) -> Tensor:
        """The sum, differentiable."""
        ...

    def measure(self, model: nn.Module, batch: Batch) -> Tensor:
        """Float64 numbers that may be added over batches and processes."""
        ...

    def report(self, sums: Tensor) -> dict[str, float]:
        """Named measurements out of the sums of `measure`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run stands after `step` of `steps`. `loss`, `targets` (of all processes) and `seconds` are this step's,
    `criterion` is the last measurement of it, if there is one.
    """

    step: int
    steps: int
    loss: float
    targets: int
    seconds: float
    seconds_left: float
    criterion: float | None


class Learner(nn.Module):
    """A model and what it learns as one module, so that everything done to modules wraps the loss too."""

    def __init__(self, model: nn.Module, objective: Objective) -> None:
        super().__init__()
        self.model, self.objective = model, objective

    def forward(self, batch: Batch) -> Tensor:
        """The total loss while training, the measurements otherwise."""
        if self.training:
            return self.objective.total_loss(self.model, batch)
        return self.objective.measure(self.model, batch)


class Trainer:
    """A placed model with its optimisers: takes steps and measures. `train` is what decides when."""

    def __init__(
        self, model: nn.Module, objective: Objective, settings: LoopSettings, machine: Machine, world: World
    ) -> None:
        settings = settled(settings, world)
        self._objective, self._settings, self._machine, self._world = objective, settings, machine, world
        self._learner: nn.Module = Learner(model, objective)
        place(
            self._learner,
            compiled=machine.compile,
            dynamic=objective.lengths_vary,
            activation_checkpointing=machine.activation_checkpointing,
            shards=world.size if machine.shard else 1,
            half=settings.precision == "bfloat16",
        )
        if world.size > 1 and not machine.shard:
            self._learner = DistributedDataParallel(self._learner, broadcast_buffers=False)
        self.optimisers = make_optimisers(model, settings)

    def step(self, batch: Arrays | Batch, *, rate: float) -> tuple[float, float, int]:
        """One optimiser step on this process's rows; returns loss per target, gradient norm and targets of all rows.

        Raises `UserError` if one of them is not finite; the weights are then spoilt.
        """
        self._learner.train()
        batch, device = as_tensors(batch), self._world.device
        targets = self._world.sum(torch.tensor(self._objective.targets(batch), device=device))
        total = torch.zeros((), dtype=torch.float64, device=device)
        pieces = _pieces(_on(device, batch), self._machine.micro_batch_size)
        for number, piece in enumerate(pieces, start=1):
            sync_gradients(self._learner, now=number == len(pieces))
            with self._autocast():
                loss = self._learner(piece) / targets
            # Between processes gradients are averaged, and what is wanted is their sum.
            torch.autograd.backward(loss * self._world.size)
            total += loss.detach()
        norm_of_all = whole(nn.utils.clip_grad_norm_(self._learner.parameters(), self._settings.clip))
        for optimiser in self.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        # Until here nothing has waited for the device, which so never waits for the next thing to do.
        mean, norm, counted = torch.stack([self._world.sum(total), norm_of_all.double(), targets.double()]).tolist()
        if not (math.isfinite(mean) and math.isfinite(norm)):
            raise UserError(
                f"training diverged: loss {mean}, gradient norm {norm}; lower peak_lr or lengthen the warm-up"
            )
        return mean, norm, int(counted)

    @torch.no_grad()
    def measure(self, validation: Loader) -> dict[str, float]:
        """Named measurements on the next `eval_batches` batches."""
        self._learner.eval()
        sums: Tensor | None = None
        batches = iter(validation)
        for _ in range(self._settings.eval_batches):
            batch = _on(self._world.device, as_tensors(next(batches)))
            for piece in _pieces(batch, self._machine.micro_batch_size):
                with self._autocast():
                    measured = self._learner(piece)
                sums = measured if sums is None else sums + measured
        assert sums is not None
        return self._objective.report(self._world.sum(sums).cpu())

    def _autocast(self) -> torch.autocast:
        enabled = self._settings.precision == "bfloat16"
        return torch.autocast(self._world.device.type, dtype=torch.bfloat16, enabled=enabled)


def train(
    model: nn.Module,
    objective: Objective,
    *,
    loader: Loader,
    validation: Loader,
    settings: LoopSettings,
    folder: Path,
    machine: Machine = AT_ONCE,
    world: World = ALONE,
    resume: Path | None = None,
    about: Mapping[str, Any] | None = None,
    trackers: Sequence[Tracker] = (),
    export: Callable[[int, dict[str, float], bool], None] = lambda _step, _measured, _is_best: None,
    report: Callable[[Progress], None] = lambda _: None,
) -> dict[str, float]:
    """Trains `model`, which is on its device, in place up to `settings.steps`, from the checkpoint `resume` if given.

    Every process of `world` calls this alike. Ends early where `settings.patience` says so. `about` is kept in every
    checkpoint. `export` is called just before a checkpoint appears (step, measurements, whether they are the best so
    far; those before the first step count too), `report` after every step. Returns the last measurements. Raises
    `UserError` if the loss diverges or the checkpoint is not of this model.
    """
    trainer = Trainer(model, objective, settings, machine, world)
    checkpoints = Checkpoints(folder / CHECKPOINTS, keep=settings.keep_checkpoints, world=world)
    measuring_from = validation.state_dict()

    def measure() -> dict[str, float]:
        validation.load_state_dict(measuring_from)
        return trainer.measure(validation)

    if resume is None:
        first, measured, waited = 0, measure(), 0
        best = measured[objective.criterion]
    else:
        header = restore(resume, model, trainer.optimisers, world)
        loader.load_state_dict(header["loader"])
        first, measured, best = header["step"], header["validation"], header["best"]
        waited = header.get("waited", 0)  # checkpoints of earlier versions do not have it

    started, after = time.monotonic(), -1 if resume is None else first
    with (
        Prefetcher(loader, pinned=world.device.type == "cuda") as batches,
        RunLog(folder, after_step=after, trackers=trackers) if world.main else nullcontext() as log,
    ):

        def write(record: Mapping[str, Any]) -> None:
            if log is not None:
                log.write(record)

        if resume is None:
            write({"step": 0, "validation": measured})
        for step in range(first + 1, settings.steps + 1):
            if waited == settings.patience:
                break
            begun = time.monotonic()
            batch, position = next(batches)
            loaded = time.monotonic()
            rate = learning_rate(settings, step)
            loss, norm, targets = trainer.step(batch, rate=rate)
            seconds = time.monotonic() - begun
            record = {"step": step, "loss": loss, "lr": rate, "norm": norm, "targets": targets, "seconds": seconds}
            write(record | {"loader_seconds": loaded - begun})
            is_best = False
            if _due(settings.eval_every, step, settings):
                measured = measure()
                write({"step": step, "validation": measured})
                is_best = measured[objective.criterion] < best
                best = min(best, measured[objective.criterion])
                waited = 0 if is_best else waited + 1
            if is_best or waited == settings.patience or _due(settings.checkpoint_every, step, settings):
                export(step, measured, is_best)
                state = {"step": step, "validation": measured, "best": best, "waited": waited}
                state["about"] = dict(about or {})
                state["loader"] = merge_states(world.gather(position))
                checkpoints.save(tensors(model, trainer.optimisers, world), state, is_best=is_best)
            pace = (time.monotonic() - started) / (step - first)
            report(
                Progress(
                    step=step,
                    steps=settings.steps,
                    loss=loss,
                    targets=targets,
                    seconds=seconds,
                    seconds_left=pace * (settings.steps - step),
                    criterion=measured.get(objective.criterion),
                )
            )
    return measured


def _due(every: int, step: int, settings: LoopSettings) -> bool:
    return step % every == 0 or step == settings.steps


def _pieces(batch: Batch, rows: int | None) -> Sequence[Batch]:
    """The batch cut into pieces of so many rows."""
    if rows is None:
        return [batch]
    if isinstance(batch, Mapping):
        columns = [tensor.split(rows) for tensor in batch.values()]
        return [dict(zip(batch, parts, strict=True)) for parts in zip(*columns, strict=True)]
    return batch.split(rows)


def _on(device: torch.device, batch: Batch) -> Batch:
    if isinstance(batch, Mapping):
        return {name: _on(device, tensor) for name, tensor in batch.items()}
    return batch.to(device, non_blocking=True)
