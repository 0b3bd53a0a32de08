"""A recipe and a note store to a folder with a trained model: what the command `partimento pretrain` does.

Knows: how a recipe becomes model, loaders and objective, how steps are fitted to a time budget, what a run's folder
holds (`recipe.json`, `log.jsonl`, `state.safetensors`, `model.safetensors`). Refuses to know: how to take a step.

    run(recipes.named("bundled"), "data/store", "runs/bundled", max_hours=2)
"""

from __future__ import annotations

import copy
import dataclasses
import math
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from partimento.corpus.loaders import PackedLoader
from partimento.corpus.store import NoteStore
from partimento.errors import UserError
from partimento.model.checkpoint import save
from partimento.model.initialisation import musical_initialisation
from partimento.model.transformer import Transformer
from partimento.train.loop import STATE_FILE, Loader, LoopSettings, Progress, optimiser_step, parameter_groups, train
from partimento.train.objectives.pretrain import Pretraining
from partimento.train.recipes import Recipe

RECIPE_FILE = "recipe.json"
MODEL_FILE = "model.safetensors"

# Evaluation, checkpoints and a busier machine take their part of a time budget too.
_SHARE_FOR_STEPS = 0.93
_TIMED_STEPS = 10


def run(
    recipe: Recipe,
    store_path: str | Path,
    out_dir: str | Path,
    *,
    resume: bool = True,
    max_hours: float | None = None,
) -> Path:
    """Pretrains on a note store and returns the path of the model; shows progress on standard error.

    A folder that holds a run is continued if `resume` and if it was begun with the same recipe, else refused.
    `max_hours` replaces the recipe's steps by as many as fit, measured on this machine before the first one.
    """
    store, vocabulary = NoteStore(store_path), recipe.make_vocabulary()
    loader, heldout = (
        PackedLoader(store, vocabulary, split, recipe.length, recipe.batch, recipe.seed, augment=split == "train")
        for split in ("train", "heldout")
    )
    return pretrain(recipe, loader, heldout, Path(out_dir), resume=resume, max_hours=max_hours)


def pretrain(
    recipe: Recipe,
    loader: Loader,
    heldout: Loader,
    out_dir: Path,
    *,
    resume: bool = True,
    max_hours: float | None = None,
) -> Path:
    """`run` on loaders that are there already. Batches have `recipe.length` + 1 ids in a row."""
    if max_hours is not None and not max_hours > 0:
        raise UserError(f"max_hours is {max_hours}; give a positive number of hours")
    vocabulary = recipe.make_vocabulary()
    model = Transformer(recipe.make_config()).to("cuda" if torch.cuda.is_available() else "cpu")
    musical_initialisation(model, vocabulary, seed=recipe.seed)
    objective = Pretraining(vocabulary)
    recipe_path = out_dir / RECIPE_FILE
    if (out_dir / STATE_FILE).exists():
        recipe = _recorded(recipe, recipe_path, resume=resume, free_steps=max_hours is not None)
    else:
        if max_hours is not None:
            recipe = _fitted(recipe, model, objective, loader, max_hours)
        out_dir.mkdir(parents=True, exist_ok=True)
        recipe_path.write_text(recipe.to_json() + "\n", encoding="utf-8")

    with _bar() as bar:
        task = bar.add_task(recipe.name, total=recipe.loop.steps, state="")

        def report(progress: Progress) -> None:
            bar.update(task, completed=progress.step, state=_state(progress))
            last = progress.step == progress.steps
            if last or progress.step % recipe.loop.checkpoint_every == 0:
                if not bar.console.is_terminal:
                    bar.console.print(f"step {progress.step} of {progress.steps}, {_state(progress)}", soft_wrap=True)
                save(
                    out_dir / MODEL_FILE,
                    model,
                    vocabulary,
                    dtype=torch.bfloat16,
                    recipe=dataclasses.asdict(recipe),
                    step=progress.step,
                    heldout=dict(progress.heldout),
                )

        train(
            model,
            objective,
            loader=loader,
            heldout=heldout,
            settings=recipe.loop,
            out_dir=out_dir,
            report=report,
        )
    return out_dir / MODEL_FILE


def _recorded(recipe: Recipe, path: Path, *, resume: bool, free_steps: bool) -> Recipe:
    """The recipe that the folder's run was begun with, if it may be continued as asked."""
    if not resume:
        raise UserError(f"{path.parent} already holds a run; continue it or give another folder")
    begun = Recipe.from_json(path.read_text(encoding="utf-8"))
    if free_steps:
        recipe = _with_steps(recipe, begun.loop.steps)
    if begun != recipe:
        raise UserError(f"{path.parent} holds a run of another recipe (see {path.name} there); give another folder")
    return begun


def _fitted(recipe: Recipe, model: Transformer, objective: Pretraining, loader: Loader, hours: float) -> Recipe:
    """The recipe with as many steps as fit into the hours at the pace of a few steps on a copy of the model."""
    settings, position = recipe.loop, loader.state_dict()
    trial = copy.deepcopy(model)
    optimiser = torch.optim.AdamW(parameter_groups(trial, 0.0), lr=1e-9, fused=True)
    batches = iter(loader)
    device = next(trial.parameters()).device
    durations = []
    for _ in range(_TIMED_STEPS):
        begun = time.monotonic()
        rows = [torch.from_numpy(next(batches)).to(device) for _ in range(settings.accumulate)]
        optimiser_step(trial, objective, optimiser, rows, settings)
        durations.append(time.monotonic() - begun)
    loader.load_state_dict(position)
    # The first half includes warming up; the median of the rest is deaf to a hiccup.
    seconds = sorted(durations[_TIMED_STEPS // 2 :])[_TIMED_STEPS // 4]
    return _with_steps(recipe, max(2, math.floor(hours * 3600 * _SHARE_FOR_STEPS / seconds)))


def _with_steps(recipe: Recipe, steps: int) -> Recipe:
    settings: LoopSettings = recipe.loop
    warmup = min(settings.warmup_steps, steps // 2)
    return dataclasses.replace(recipe, loop=dataclasses.replace(settings, steps=steps, warmup_steps=warmup))


def _bar() -> Bar:
    return Bar(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[state]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=not Console(stderr=True).is_terminal,
    )


def _state(progress: Progress) -> str:
    minutes = math.ceil(progress.seconds_left / 60)
    text = f"loss {progress.loss:.3f}, {progress.targets_per_second:,.0f} ids/s, {minutes} min left"
    heldout = progress.heldout.get("nats_per_token")
    return text if heldout is None else f"{text}, held out {heldout:.3f}"
