"""A recipe and a note store to a folder with a trained model: what the command `partimento pretrain` does.

Knows: how a recipe becomes model, loaders and objective, how steps are fitted to epochs or hours, when a run may be
continued, what its folder holds (`recipe.json`, `log.jsonl`, `checkpoints/`, `model.safetensors`: the last weights,
`best.safetensors`: the best on the validation split). Refuses to know: how to take a step.

    run(recipes.named("bundled"), "data/store", "runs/bundled", max_hours=2)
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import partimento
from partimento.corpus.loaders import PackedLoader
from partimento.corpus.store import MANIFEST, NoteStore, digest
from partimento.errors import UserError
from partimento.files import replacing
from partimento.model.checkpoint import load, save
from partimento.model.initialisation import musical_initialisation, random_initialisation
from partimento.model.transformer import Transformer
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.checkpoints import Checkpoints, read_header
from partimento.train.display import Display
from partimento.train.distributed import ALONE, World, joined, whole
from partimento.train.flops import flops_per_id
from partimento.train.log import LOG_FILE, TrackerName, open_trackers
from partimento.train.loop import CHECKPOINTS, Loader, Trainer, train
from partimento.train.objectives.pretrain import Pretraining
from partimento.train.recipes import Recipe

RECIPE_FILE = "recipe.json"
MODEL_FILE = "model.safetensors"
BEST_FILE = "best.safetensors"

# Evaluation, checkpoints and a busier machine take their part of a time budget too.
_SHARE_FOR_STEPS = 0.93
_TIMED_STEPS = 10
_COUNTED_FILES = 300


def run(
    recipe: Recipe,
    store_path: str | Path,
    out_dir: str | Path,
    *,
    resume: str = "auto",
    init: str | Path | None = None,
    max_hours: float | None = None,
    track: Sequence[TrackerName] = (),
) -> Path:
    """Pretrains on a note store and returns the path of the model; shows progress on standard error.

    Under torchrun all processes train one model. `resume`: "auto" continues the run in `out_dir` if there is one; "off"
    refuses such a folder; the path of a checkpoint begins a new run from it. `init` is a model whose weights are the
    initial values. `max_hours` replaces the recipe's steps by as many as fit, measured before the first one.
    """
    with joined() as world:
        store, vocabulary = NoteStore(store_path), recipe.make_vocabulary()
        loader, validation = (
            PackedLoader(
                store,
                vocabulary,
                split,
                length=recipe.length,
                batch=recipe.batch,
                seed=recipe.seed,
                augment=split == "train",
                rank=world.rank,
                world=world.size,
            )
            for split in ("train", "validation")
        )
        if recipe.epochs is not None:
            ids = recipe.epochs * _ids_per_epoch(store, vocabulary)
            recipe = recipe.with_steps(max(2, math.ceil(ids / (recipe.batch * recipe.length))))
        return pretrain(
            recipe,
            loader,
            validation,
            Path(out_dir),
            world=world,
            resume=resume,
            init=init,
            max_hours=max_hours,
            track=track,
            data={"store": store.path.name, "files": len(store), "manifest_sha256": digest(store.path / MANIFEST)},
        )


def pretrain(
    recipe: Recipe,
    loader: Loader,
    validation: Loader,
    out_dir: Path,
    *,
    world: World = ALONE,
    resume: str = "auto",
    init: str | Path | None = None,
    max_hours: float | None = None,
    track: Sequence[TrackerName] = (),
    data: dict[str, Any] | None = None,
) -> Path:
    """`run` on loaders that are there already, whose batches have `recipe.length` + 1 ids in a row.

    `data` says what the loaders read; it is kept with the model.
    """
    if max_hours is not None and not max_hours > 0:
        raise UserError(f"max_hours is {max_hours}; give a positive number of hours")
    vocabulary = recipe.make_vocabulary()
    model, objective = _initial_model(recipe, vocabulary, init).to(world.device), Pretraining(vocabulary)
    start = _start(recipe, out_dir, resume)
    if start is not None and start.is_relative_to(out_dir):
        recipe = _begun(recipe, start, free_steps=max_hours is not None)
    elif max_hours is not None:
        trial = Trainer(copy.deepcopy(model), objective, recipe.loop, recipe.machine, world)
        recipe = _fitted(recipe, trial, loader, world, hours=max_hours)
        del trial
    about = {
        "recipe": dataclasses.asdict(recipe),
        "data": data or {},
        "init": str(init) if init is not None else None,
        "code": _code_version(),
    }
    trackers = open_trackers(track, out_dir, about) if world.main else ()
    if world.main:
        out_dir.mkdir(parents=True, exist_ok=True)
        with replacing(out_dir / RECIPE_FILE) as part:
            part.write_text(recipe.to_json() + "\n", encoding="utf-8")

    def export(step: int, measured: dict[str, float], is_best: bool) -> None:
        weights = {name: whole(tensor) for name, tensor in model.state_dict().items()}
        if world.main:
            with torch.device("meta"):
                exported = Transformer(model.config)
            exported.load_state_dict(weights, assign=True)
            for file in (MODEL_FILE, BEST_FILE) if is_best else (MODEL_FILE,):
                metadata = {**about, "step": step, "validation": measured}
                save(out_dir / file, exported, vocabulary, dtype=torch.bfloat16, **metadata)

    with Display(
        recipe.name,
        flops_per_target=flops_per_id(model.config, length=recipe.length),
        device=world.device,
        processes=world.size,
        shown=world.main,
    ) as display:
        train(
            model,
            objective,
            loader=loader,
            validation=validation,
            settings=recipe.loop,
            folder=out_dir,
            machine=recipe.machine,
            world=world,
            resume=start,
            about=about,
            trackers=trackers,
            export=export,
            report=display.show,
        )
    return out_dir / MODEL_FILE


def _initial_model(recipe: Recipe, vocabulary: Vocabulary, init: str | Path | None) -> Transformer:
    config = recipe.make_config()
    model = Transformer(config)
    if init is not None:
        given = load(init)
        if given.vocabulary != vocabulary:
            raise UserError(f"{init} has another vocabulary ({len(given.vocabulary)} ids) than {recipe.vocabulary!r}")
        if dataclasses.replace(given.config, context=config.context) != config:
            raise UserError(
                f"{init} is of another shape than size {recipe.size!r}; set the recipe's size to the model's"
            )
        model.load_state_dict(given.model.state_dict())
    elif recipe.initialisation == "musical":
        musical_initialisation(model, vocabulary, seed=recipe.seed)
    else:
        random_initialisation(model, seed=recipe.seed)
    return model


def _start(recipe: Recipe, out_dir: Path, resume: str) -> Path | None:
    """The checkpoint to begin from, which need not be of this run."""
    own = Checkpoints(out_dir / CHECKPOINTS, keep=1, world=ALONE).newest()
    if resume == "off" and (own is not None or (out_dir / LOG_FILE).exists()):
        raise UserError(f"{out_dir} already holds a run; continue it with --resume auto, or give another folder")
    if own is not None or resume in ("auto", "off"):
        return own
    given = Checkpoints(Path(resume) / CHECKPOINTS, keep=1, world=ALONE).newest() or Path(resume)
    header = read_header(given)
    other = Recipe.from_json(json.dumps(header["about"]["recipe"]))
    for name in ("vocabulary", "size", "length", "batch", "seed"):
        theirs, ours = getattr(other, name), getattr(recipe, name)
        if theirs != ours:
            raise UserError(f"{given} was trained with {name} {theirs!r}, this recipe says {ours!r}; make them agree")
    if header["step"] >= recipe.loop.steps:
        raise UserError(f"{given} is at step {header['step']} of {recipe.loop.steps}; raise loop.steps to go on")
    return given


def _begun(recipe: Recipe, checkpoint: Path, *, free_steps: bool) -> Recipe:
    """The recipe that the run of a checkpoint was begun with, on this machine; refuses to continue it with another."""
    begun = Recipe.from_json(json.dumps(read_header(checkpoint)["about"]["recipe"]))
    if free_steps:
        recipe = recipe.with_steps(begun.loop.steps)
    differing = [
        f.name for f in dataclasses.fields(Recipe) if f.compare and getattr(begun, f.name) != getattr(recipe, f.name)
    ]
    if differing:
        run_dir = checkpoint.parents[1]
        raise UserError(
            f"{run_dir} holds a run of another recipe ({', '.join(differing)} differ; see {RECIPE_FILE} there); "
            "give another folder"
        )
    return recipe


def _fitted(recipe: Recipe, trial: Trainer, loader: Loader, world: World, *, hours: float) -> Recipe:
    """The recipe with as many steps as fit into the hours at the pace of a few steps of the trial."""
    position = loader.state_dict()
    batches = iter(loader)
    durations = []
    for _ in range(_TIMED_STEPS):
        begun = time.monotonic()
        trial.step(next(batches), rate=1e-9)
        durations.append(time.monotonic() - begun)
    loader.load_state_dict(position)
    # The first half includes warming up; the median of the rest is deaf to a hiccup.
    seconds = sorted(durations[_TIMED_STEPS // 2 :])[_TIMED_STEPS // 4]
    fitting = max(2, math.floor(hours * 3600 * _SHARE_FOR_STEPS / seconds))
    return recipe.with_steps(world.gather(fitting)[0])


def _ids_per_epoch(store: NoteStore, vocabulary: Vocabulary) -> int:
    """Ids of the training split once through, from the ids a note takes in up to 300 files spread evenly over it."""
    files = store.split("train")
    sample = files[:: math.ceil(len(files) / _COUNTED_FILES)]
    tokenizer = Tokenizer(vocabulary)
    # Beside the body: instrument, <S>, <D>, <E>.
    ids = sum(len(tokenizer.encode_notes(store.notes(i))) + 4 for i in sample)
    return round(ids / store.counts[sample].sum() * store.counts[files].sum())


def _code_version() -> str:
    """The package's version, with the commit where the package is a checkout."""
    here = Path(partimento.__file__).parent
    try:
        command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=12"]
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return partimento.__version__
    return f"{partimento.__version__} ({found})"
