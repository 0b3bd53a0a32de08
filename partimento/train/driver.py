"""The one driver of all training: a `Stage` and a folder to a trained model in it.

Knows: what a run's folder holds (`recipe.json`, `log.jsonl`, `checkpoints/`, `model.safetensors` with the last weights
and `best.safetensors` with the best on the validation split), when a run may be continued, how many steps fit into
hours, how a model is written for use. Refuses to know: what is learned and from what (`stages/` says it), how to take a
step (`loop.py`). docs/training.md shows how to add a kind of training.

    with joined() as world:
        stage = Stage(recipe=recipe, model=model, vocabulary=vocabulary, objective=objective, training=training,
                      validation=validation, sources={"data": data_source(store)})
        path = run_stage(stage, Path("runs/one"), world=world)
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic

import torch
from torch import Tensor, nn

import partimento
from partimento.corpus.store.note_store import MANIFEST, NoteStore, digest
from partimento.errors import UserError
from partimento.files import replacing
from partimento.model import lora
from partimento.model.checkpoint import AnyModel, save
from partimento.model.hub import BEST_FILE, MODEL_FILE, locate
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.checkpoints import Checkpoints, read_header
from partimento.train.display import Display
from partimento.train.distributed import ALONE, World, whole
from partimento.train.flops import flops_per_token
from partimento.train.log import LOG_FILE, TrackerName, open_trackers
from partimento.train.loop import CHECKPOINTS, Objective, Trainer, train
from partimento.train.opening import remarks, settled
from partimento.train.prefetch import Loader
from partimento.train.settings import AnyRecipe, Machine, RunRecipe

RECIPE_FILE: Final = "recipe.json"

# Evaluation, checkpoints and a busier machine take their part of a time budget too.
_SHARE_FOR_STEPS: Final = 0.93
_TIMED_STEPS: Final = 10
# What a run may change that begins at another one's checkpoint.
_FREE: Final = frozenset({"name", "cost", "epochs", "loop", "machine", "initialisation"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage(Generic[AnyRecipe]):
    """What the driver asks of a kind of training; all processes of a run make the same, but for their loaders' rows."""

    recipe: AnyRecipe
    """With the steps that its epochs come to (`RunRecipe.counted`)."""
    model: AnyModel
    """As it is before the first step."""
    vocabulary: Vocabulary
    objective: Objective
    training: Loader
    validation: Loader
    sources: Mapping[str, Mapping[str, Any]]
    """What the model is made of: `data`, `init`, `embedder`, each with a `sha256`. A run goes on with the same only."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What else its model files say."""
    machine: Machine | None = None
    """How the loop spreads the run, where that is not what the recipe says."""
    lora_rank: int | None = None
    """Train adapters of this rank beside the matrices of the blocks; model files then hold them merged."""
    on_measured: Callable[[int, dict[str, float]], None] = lambda _step, _measured: None
    """The main process hears of the measurements that a model was saved with."""


def run_stage(
    stage: Stage[AnyRecipe],
    folder: Path,
    *,
    world: World,
    resume: str = "auto",
    max_hours: float | None = None,
    track: Sequence[TrackerName] = (),
    quiet: bool = False,
) -> Path:
    """Trains the stage's model and returns the path of the last one; shows progress on standard error unless `quiet`.

    `resume`: "auto" continues the run in `folder` if there is one; "off" refuses such a folder; the path of a
    checkpoint begins a new run from it. `max_hours` replaces the recipe's steps by as many as fit, measured before the
    first one.
    """
    if max_hours is not None and not max_hours > 0:
        raise UserError(f"max_hours is {max_hours}; give a positive number of hours")
    start = _start(stage.recipe, folder, resume)
    own = start if start is not None and start.is_relative_to(folder) else None
    if own is not None:
        require_same_sources(own, stage.sources)
    recipe = require_same_recipe(stage.recipe, own, world, free_steps=max_hours is not None)
    unplaced, model = _on_meta(stage.model), stage.model.to(world.device)
    if own is None and max_hours is not None:
        recipe = _fitted(stage, recipe, world, hours=max_hours)
    if stage.lora_rank is not None:
        lora.adapt(model, rank=stage.lora_rank, seed=recipe.seed)
    about = provenance(recipe, **stage.metadata, **stage.sources)
    trackers = open_trackers(track, folder, about) if world.main else ()
    if world.main:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / RECIPE_FILE) as part:
            part.write_text(recipe.to_json() + "\n", encoding="utf-8")

    def export(step: int, measured: dict[str, float], is_best: bool) -> None:
        weights = {name: whole(tensor) for name, tensor in model.state_dict().items()}
        if world.main:
            for file in (MODEL_FILE, BEST_FILE) if is_best else (MODEL_FILE,):
                told = {**about, "step": step, "validation": measured}
                _save(folder / file, unplaced, weights, stage, told)
            stage.on_measured(step, measured)

    machine = stage.machine or recipe.machine
    tokens = 1 if stage.objective.unit == "tokens" else recipe.length
    with Display(
        recipe.name,
        unit=stage.objective.unit,
        flops_per_target=tokens * flops_per_token(model.config, length=recipe.length),
        device=world.device,
        processes=world.size,
        shown=world.main and not quiet,
    ) as display:
        if own is not None:
            done, steps = read_header(own)["step"], recipe.loop.steps
            display.say(f"{folder}: " + (f"goes on after step {done} of {steps}" if done < steps else _finished(done)))
        for line in remarks(recipe, model, model.config, world):
            display.say(line)
        train(
            model,
            stage.objective,
            loader=stage.training,
            validation=stage.validation,
            settings=recipe.loop,
            folder=folder,
            machine=machine,
            world=world,
            resume=start,
            about=about,
            trackers=trackers,
            export=export,
            report=display.show,
        )
    return folder / MODEL_FILE


def _finished(steps: int) -> str:
    return f"this run is finished, all {steps} steps; give another folder, or more steps with --resume CHECKPOINT"


def latest_checkpoint(folder: Path, *, resume: str = "auto") -> Path | None:
    """The newest checkpoint of the run in the folder; with `resume` "off" a `UserError` if there is a run at all."""
    newest = Checkpoints(folder / CHECKPOINTS, keep=1, world=ALONE).newest()
    if resume == "off" and (newest is not None or (folder / LOG_FILE).exists()):
        raise UserError(f"{folder} already holds a run; continue it with --resume auto, or give another folder")
    return newest


def require_same_recipe(
    recipe: AnyRecipe, checkpoint: Path | None, world: World, *, free_steps: bool = False
) -> AnyRecipe:
    """The recipe with which a run begins on this machine, or with which the run of a checkpoint was begun.

    Precision `auto` is settled here: as suits the machine for a new run, else as the run was begun, even where that is
    slow, since another precision leads to another model. Refuses to continue a run with another recipe. With
    `free_steps` the number of steps is the begun run's, whatever `recipe` says.
    """
    if checkpoint is None:
        return dataclasses.replace(recipe, loop=settled(recipe.loop, world))
    before = _recipe_of(checkpoint, type(recipe))
    if recipe.loop.precision == "auto":
        recipe = recipe.with_loop(precision=before.loop.precision)
    if free_steps:
        recipe = recipe.with_steps(before.loop.steps)
    compared = [each.name for each in dataclasses.fields(recipe) if each.compare]
    differing = [name for name in compared if getattr(before, name) != getattr(recipe, name)]
    if differing:
        folder = checkpoint.parents[1]
        raise UserError(
            f"{folder} holds a run of another recipe ({', '.join(differing)} differ; see {RECIPE_FILE} there); "
            "give another folder"
        )
    return recipe


def require_same_sources(checkpoint: Path, now: Mapping[str, Mapping[str, Any]]) -> None:
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


def data_source(store: NoteStore) -> dict[str, Any]:
    """What a run remembers of its data."""
    return {"store": store.path.name, "files": len(store), "sha256": digest(store.path / MANIFEST)}


def model_source(name: str | Path) -> dict[str, Any]:
    """What a run remembers of a model that it uses."""
    return {"model": str(name), "sha256": digest(locate(name))}


def provenance(recipe: RunRecipe, **more: Any) -> dict[str, Any]:
    """What is kept with a run's checkpoints and models: recipe, version of the code, and what the caller adds."""
    return {"recipe": dataclasses.asdict(recipe), **more, "code": _code_version()}


def adapters_path(model: Path) -> Path:
    """Where the adapters lie that were merged into a model of a run."""
    return model.with_suffix(".adapters.safetensors")


def _start(recipe: RunRecipe, folder: Path, resume: str) -> Path | None:
    """The checkpoint to begin from, which need not be of this run."""
    own = latest_checkpoint(folder, resume=resume)
    if own is not None or resume in ("auto", "off"):
        return own
    given = latest_checkpoint(Path(resume)) or Path(resume)
    header, other = read_header(given), _recipe_of(given, type(recipe))
    for name in (each.name for each in dataclasses.fields(recipe) if each.name not in _FREE):
        theirs, ours = getattr(other, name), getattr(recipe, name)
        if theirs != ours:
            raise UserError(f"{given} was trained with {name} {theirs!r}, this recipe says {ours!r}; make them agree")
    if other.loop.optimiser != recipe.loop.optimiser:
        raise UserError(
            f"{given} was trained by {other.loop.optimiser}, whose state says nothing to {recipe.loop.optimiser}; "
            "begin with the run's model instead (--from)"
        )
    if header["step"] >= recipe.loop.steps:
        raise UserError(f"{given} is at step {header['step']} of {recipe.loop.steps}; raise loop.steps to go on")
    return given


def _recipe_of(checkpoint: Path, kind: type[AnyRecipe]) -> AnyRecipe:
    """With which the run of a checkpoint was begun; a `UserError` if another version of the code began it."""
    try:
        return kind.from_json(json.dumps(read_header(checkpoint)["about"]["recipe"]))
    except UserError as error:
        raise UserError(f"{checkpoint} cannot be gone on from ({error}); begin a run in another folder") from error


def _fitted(stage: Stage[AnyRecipe], recipe: AnyRecipe, world: World, *, hours: float) -> AnyRecipe:
    """The recipe with as many steps as fit into the hours at the pace of a few steps of a copy of the model."""
    machine, model = stage.machine or recipe.machine, copy.deepcopy(stage.model)
    trial = Trainer(model, stage.objective, recipe.loop, machine, world)
    position = stage.training.state_dict()
    batches = iter(stage.training)
    durations = []
    for _ in range(_TIMED_STEPS):
        begun = time.monotonic()
        trial.step(next(batches), rate=1e-9)
        durations.append(time.monotonic() - begun)
    stage.training.load_state_dict(position)
    # The first half includes warming up; the median of the rest is deaf to a hiccup.
    seconds = sorted(durations[_TIMED_STEPS // 2 :])[_TIMED_STEPS // 4]
    fitting = max(2, math.floor(hours * 3600 * _SHARE_FOR_STEPS / seconds))
    return recipe.with_steps(world.gather(fitting)[0])


def _on_meta(model: AnyModel) -> AnyModel:
    """The same model without memory for its weights."""
    weights = {id(weight): nn.Parameter(weight.detach().to("meta")) for weight in model.parameters()}
    buffers = {id(buffer): buffer.to("meta") for buffer in model.buffers()}
    return copy.deepcopy(model, {**weights, **buffers})


def _save(
    path: Path, unplaced: AnyModel, weights: dict[str, Tensor], stage: Stage[AnyRecipe], about: dict[str, Any]
) -> None:
    """A model file with these weights, adapters merged and also beside it."""
    if stage.lora_rank is not None:
        lora.save_adapters(adapters_path(path), weights, base=stage.sources["init"], rank=stage.lora_rank)
        weights = lora.merged(weights)
    model = copy.deepcopy(unplaced)
    model.load_state_dict(weights, assign=True)
    save(path, model, stage.vocabulary, dtype=torch.bfloat16, **about)


def _code_version() -> str:
    """The package's version, with the commit where the package is a checkout."""
    here = Path(partimento.__file__).parent
    try:
        command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return partimento.__version__
    return f"{partimento.__version__} ({found})"
