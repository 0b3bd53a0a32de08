"""A recipe and a note store to a folder with a trained model: what the command `partimento pretrain` does.

Knows: how a recipe becomes model, loaders and objective, how steps are fitted to epochs or hours, from which other
run's checkpoint a run may begin. Refuses to know: what a run's folder holds (`folder.py`), how to take a step.

    run(recipes.pretraining_recipe("bundled"), "data/store", "runs/bundled", max_hours=2)
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from partimento.corpus.loaders import PackedLoader
from partimento.corpus.store import MANIFEST, NoteStore, digest
from partimento.errors import UserError
from partimento.model.checkpoint import load, save
from partimento.model.hub import locate
from partimento.model.initialisation import musical_initialisation, random_initialisation
from partimento.model.transformer import Transformer
from partimento.tokens.infill import Infilling
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.checkpoints import Checkpoints, read_header
from partimento.train.distributed import ALONE, World, joined
from partimento.train.folder import about, begun, check_sources, latest_checkpoint, run_stage
from partimento.train.log import TrackerName
from partimento.train.loop import CHECKPOINTS, Loader, Trainer
from partimento.train.objectives.pretrain import Pretraining
from partimento.train.recipes import PretrainingRecipe

# Evaluation, checkpoints and a busier machine take their part of a time budget too.
_SHARE_FOR_STEPS = 0.93
_TIMED_STEPS = 10
_COUNTED_FILES = 300
_VALIDATION_STREAMS = 64


def run(
    recipe: PretrainingRecipe,
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
        training, validation = (_loader(recipe, store, vocabulary, split, world) for split in ("train", "validation"))
        if recipe.epochs is not None:
            ids = recipe.epochs * _tokens_per_epoch(store, vocabulary)
            recipe = recipe.with_steps(max(2, math.ceil(ids / (recipe.batch * recipe.length))))
        return pretrain(
            recipe,
            training,
            validation,
            Path(out_dir),
            world=world,
            resume=resume,
            init=init,
            max_hours=max_hours,
            track=track,
            data={"store": store.path.name, "files": len(store), "sha256": digest(store.path / MANIFEST)},
        )


def pretrain(
    recipe: PretrainingRecipe,
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
    """`run` on loaders that are there already, whose batches have `recipe.length` + 1 tokens in a row.

    `data` says what the loaders read, its `sha256` in particular: it is kept with the model, and a run goes on with the
    same only.
    """
    if max_hours is not None and not max_hours > 0:
        raise UserError(f"max_hours is {max_hours}; give a positive number of hours")
    vocabulary = recipe.make_vocabulary()
    sources = {"data": data or {}}
    if init is not None:
        sources["init"] = {"model": str(init), "sha256": digest(locate(init))}
    model, objective = _initial_model(recipe, vocabulary, init).to(world.device), Pretraining(vocabulary)
    start = _start(recipe, out_dir, resume)
    own = start if start is not None and start.is_relative_to(out_dir) else None
    if own is not None:
        check_sources(own, sources)
    recipe = begun(recipe, own, world, free_steps=max_hours is not None)
    if own is None and max_hours is not None:
        trial = Trainer(copy.deepcopy(model), objective, recipe.loop, recipe.machine, world)
        recipe = _fitted(recipe, trial, loader, world, hours=max_hours)
        del trial

    def save_model(path: Path, weights: dict[str, Tensor], metadata: dict[str, Any]) -> None:
        with torch.device("meta"):
            exported = Transformer(model.config)
        exported.load_state_dict(weights, assign=True)
        abilities = {"infilling": recipe.infilling_share > 0, "pedal_tokens": recipe.pedal}
        save(path, exported, vocabulary, dtype=torch.bfloat16, **abilities, **metadata)

    return run_stage(
        recipe,
        model,
        objective,
        loader=loader,
        validation=validation,
        folder=out_dir,
        world=world,
        start=start,
        about=about(recipe, **sources),
        save=save_model,
        track=track,
    )


def _loader(
    recipe: PretrainingRecipe, store: NoteStore, vocabulary: Vocabulary, split: str, world: World
) -> PackedLoader:
    """Training windows as the recipe has them; for validation whole files as they were played, without gaps.

    Recipes of another batch, seed or number of streams are measured on the same windows if on as many.
    """
    training = split == "train"
    arranging = Infilling(vocabulary, share=recipe.infilling_share) if training and recipe.infilling_share else None
    return PackedLoader(
        store,
        vocabulary,
        split,
        length=recipe.length,
        batch=recipe.batch,
        seed=recipe.seed if training else 0,
        augment=training,
        streams=recipe.streams if training else max(1, _VALIDATION_STREAMS // recipe.batch),
        pedal=recipe.pedal,
        transform=arranging,
        rank=world.rank,
        world=world.size,
    )


def _initial_model(recipe: PretrainingRecipe, vocabulary: Vocabulary, init: str | Path | None) -> Transformer:
    config = recipe.make_config()
    model = Transformer(config)
    if init is not None:
        given = load(init)
        if given.vocabulary != vocabulary:
            raise UserError(
                f"{init} has another vocabulary ({len(given.vocabulary)} tokens) than {recipe.vocabulary!r}"
            )
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


def _start(recipe: PretrainingRecipe, out_dir: Path, resume: str) -> Path | None:
    """The checkpoint to begin from, which need not be of this run."""
    own = latest_checkpoint(out_dir, resume=resume)
    if own is not None or resume in ("auto", "off"):
        return own
    given = Checkpoints(Path(resume) / CHECKPOINTS, keep=1, world=ALONE).newest() or Path(resume)
    header = read_header(given)
    other = PretrainingRecipe.from_json(json.dumps(header["about"]["recipe"]))
    for name in ("vocabulary", "size", "length", "batch", "seed", "pedal", "infilling_share", "streams"):
        theirs, ours = getattr(other, name), getattr(recipe, name)
        if theirs != ours:
            raise UserError(f"{given} was trained with {name} {theirs!r}, this recipe says {ours!r}; make them agree")
    if other.loop.optimiser != recipe.loop.optimiser:
        raise UserError(
            f"{given} was trained by {other.loop.optimiser}, whose state says nothing to {recipe.loop.optimiser}; "
            "begin with the run's model instead (--init)"
        )
    if header["step"] >= recipe.loop.steps:
        raise UserError(f"{given} is at step {header['step']} of {recipe.loop.steps}; raise loop.steps to go on")
    return given


def _fitted(
    recipe: PretrainingRecipe, trial: Trainer, loader: Loader, world: World, *, hours: float
) -> PretrainingRecipe:
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


def _tokens_per_epoch(store: NoteStore, vocabulary: Vocabulary) -> int:
    """Tokens of the training split once through, from what a note takes in up to 300 files spread evenly over it."""
    files = store.split("train")
    sample = files[:: math.ceil(len(files) / _COUNTED_FILES)]
    tokenizer = Tokenizer(vocabulary)
    # Beside the body: instrument, <S>, <D>, <E>.
    ids = sum(len(tokenizer.encode_notes(store.notes(i))) + 4 for i in sample)
    return round(ids / store.counts[sample].sum() * store.counts[files].sum())
