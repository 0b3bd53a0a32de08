"""A run as a folder: what it holds, when it may be continued, and the loop working in it.

Knows: `recipe.json`, `log.jsonl`, `checkpoints/`, `model.safetensors` (the last weights) and `best.safetensors` (the
best on the validation split), and that a run goes on with the recipe it was begun with, precision included. Refuses to
know: what is trained, on what, and how to take a step.

    start = latest_checkpoint(folder, resume="auto")
    if start is not None:
        check_sources(start, sources)
    recipe = begun(recipe, start, world)
    run_stage(recipe, model, objective, loader=..., validation=..., folder=folder, world=world, start=start,
              about=about(recipe, ...), save=save)
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

import partimento
from partimento.errors import UserError
from partimento.files import replacing
from partimento.model.config import ModelConfig
from partimento.model.hub import BEST_FILE, MODEL_FILE
from partimento.train.checkpoints import Checkpoints, read_header
from partimento.train.display import Display
from partimento.train.distributed import ALONE, World, whole
from partimento.train.flops import flops_per_token
from partimento.train.log import LOG_FILE, TrackerName, open_trackers
from partimento.train.loop import CHECKPOINTS, Loader, Objective, train
from partimento.train.opening import remarks, settled
from partimento.train.settings import AnyRecipe, RunRecipe

RECIPE_FILE = "recipe.json"

Save = Callable[[Path, dict[str, Tensor], dict[str, Any]], None]
"""Writes a model file: its path, the weights by name, what is to be kept with them."""


def latest_checkpoint(folder: Path, *, resume: str) -> Path | None:
    """The newest checkpoint of the run in the folder; with `resume` "off" a `UserError` if there is a run at all."""
    newest = Checkpoints(folder / CHECKPOINTS, keep=1, world=ALONE).newest()
    if resume == "off" and (newest is not None or (folder / LOG_FILE).exists()):
        raise UserError(f"{folder} already holds a run; continue it with --resume auto, or give another folder")
    return newest


def begun(recipe: AnyRecipe, checkpoint: Path | None, world: World, *, free_steps: bool = False) -> AnyRecipe:
    """The recipe with which a run begins on this machine, or with which the run of a checkpoint was begun.

    Precision `auto` is settled here: as suits the machine for a new run, else as the run was begun, even where that is
    slow, since another precision leads to another model. Refuses to continue a run with another recipe. With
    `free_steps` the number of steps is the begun run's, whatever `recipe` says.
    """
    if checkpoint is None:
        return dataclasses.replace(recipe, loop=settled(recipe.loop, world))
    before = type(recipe).from_json(json.dumps(read_header(checkpoint)["about"]["recipe"]))
    if recipe.loop.precision == "auto":
        recipe = dataclasses.replace(recipe, loop=dataclasses.replace(recipe.loop, precision=before.loop.precision))
    if free_steps:
        recipe = recipe.with_steps(before.loop.steps)
    compared = [field.name for field in dataclasses.fields(recipe) if field.compare]
    differing = [name for name in compared if getattr(before, name) != getattr(recipe, name)]
    if differing:
        folder = checkpoint.parents[1]
        raise UserError(
            f"{folder} holds a run of another recipe ({', '.join(differing)} differ; see {RECIPE_FILE} there); "
            "give another folder"
        )
    return recipe


def check_sources(checkpoint: Path, now: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuses to continue a checkpoint's run with other sources: `data`, `init`, `embedder`, each by its `sha256`."""
    begun_with = read_header(checkpoint)["about"]
    for key, name, what in (
        ("data", "store", "store"),
        ("init", "model", "model"),
        ("embedder", "model", "embedding model"),
    ):
        before, after = begun_with.get(key, {}), now.get(key, {})
        if before.get("sha256") != after.get("sha256"):
            folder = checkpoint.parents[1]
            raise UserError(f"{folder} holds a run of another {what} ({before.get(name, 'none')}); give another folder")


def about(recipe: RunRecipe, **more: Any) -> dict[str, Any]:
    """What is kept with a run's checkpoints and models: recipe, version of the code, and what the caller adds."""
    return {"recipe": dataclasses.asdict(recipe), **more, "code": _code_version()}


def run_stage(
    recipe: RunRecipe,
    model: nn.Module,
    objective: Objective,
    *,
    loader: Loader,
    validation: Loader,
    folder: Path,
    world: World,
    start: Path | None,
    about: Mapping[str, Any],
    save: Save,
    track: Sequence[TrackerName] = (),
    on_measured: Callable[[int, dict[str, float]], None] = lambda _step, _measured: None,
) -> Path:
    """Trains `model`, which has a `config` and is on its device, from the checkpoint `start` on; the last model's path.

    `save` is called by the main process alone, with sharded weights put together. `on_measured` hears of the
    measurements that a model was saved with.
    """
    trackers = open_trackers(track, folder, dict(about)) if world.main else ()
    if world.main:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / RECIPE_FILE) as part:
            part.write_text(recipe.to_json() + "\n", encoding="utf-8")

    def export(step: int, measured: dict[str, float], is_best: bool) -> None:
        weights = {name: whole(tensor) for name, tensor in model.state_dict().items()}
        if world.main:
            for file in (MODEL_FILE, BEST_FILE) if is_best else (MODEL_FILE,):
                save(folder / file, weights, {**about, "step": step, "validation": measured})
            on_measured(step, measured)

    config = model.config
    assert isinstance(config, ModelConfig)
    ids = 1 if objective.unit == "tokens" else recipe.length
    with Display(
        recipe.name,
        unit=objective.unit,
        flops_per_target=ids * flops_per_token(config, length=recipe.length),
        device=world.device,
        processes=world.size,
        shown=world.main,
    ) as display:
        for line in remarks(recipe, model, config, world):
            display.say(line)
        train(
            model,
            objective,
            loader=loader,
            validation=validation,
            settings=recipe.loop,
            folder=folder,
            machine=recipe.machine,
            world=world,
            resume=start,
            about=about,
            trackers=trackers,
            export=export,
            report=display.show,
        )
    return folder / MODEL_FILE


def _code_version() -> str:
    """The package's version, with the commit where the package is a checkout."""
    here = Path(partimento.__file__).parent
    try:
        command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return partimento.__version__
    return f"{partimento.__version__} ({found})"
