"""Pretraining: a recipe and a note store to a folder with a language model (paper, section 3.2).

Knows: how a recipe becomes model, loaders and objective, and how many tokens an epoch has. Refuses to know: what a
run's folder holds and when it goes on (`driver.py`), how to take a step (`loop.py`).

    pretrain(recipes.pretraining.bundled(), "data/store", "runs/bundled", max_hours=2)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from partimento.corpus.loaders.packed import PackedLoader
from partimento.corpus.store.note_store import NoteStore
from partimento.errors import UserError
from partimento.model.checkpoint import load
from partimento.model.initialisation import musical_initialisation, random_initialisation
from partimento.model.transformer import Transformer
from partimento.tokens.infill import Infilling
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.distributed import World, joined
from partimento.train.driver import Stage, data_source, model_source, run_stage
from partimento.train.log import TrackerName
from partimento.train.objectives.pretraining import Pretraining
from partimento.train.prefetch import Loader
from partimento.train.recipes.pretraining import PretrainingRecipe

_COUNTED_FILES: Final = 300
_VALIDATION_STREAMS: Final = 64


def pretrain(
    recipe: PretrainingRecipe,
    store_path: str | Path,
    folder: str | Path,
    *,
    resume: str = "auto",
    init: str | Path | None = None,
    max_hours: float | None = None,
    track: Sequence[TrackerName] = (),
    quiet: bool = False,
) -> Path:
    """Pretrains on a note store and returns the path of the model; shows progress on standard error.

    Under torchrun all processes train one model. `init` is a model whose weights are the initial values; the others are
    as for `driver.run_stage`.
    """
    with joined() as world:
        store, vocabulary = NoteStore(store_path), recipe.make_vocabulary()
        training, validation = (_loader(recipe, store, vocabulary, split, world) for split in ("train", "validation"))
        if recipe.epochs is not None:
            recipe = recipe.counted(_tokens_per_epoch(store, vocabulary) / recipe.length)
        stage = pretraining(recipe, training, validation, data=data_source(store), init=init)
        return run_stage(stage, Path(folder), world=world, resume=resume, max_hours=max_hours, track=track, quiet=quiet)


def pretraining(
    recipe: PretrainingRecipe,
    training: Loader,
    validation: Loader,
    *,
    data: Mapping[str, Any] | None = None,
    init: str | Path | None = None,
) -> Stage[PretrainingRecipe]:
    """The stage of loaders that are there already, whose batches have `recipe.length` + 1 tokens in a row.

    `data` says what the loaders read, its `sha256` in particular.
    """
    vocabulary = recipe.make_vocabulary()
    return Stage(
        recipe=recipe,
        model=_initial_model(recipe, vocabulary, init),
        vocabulary=vocabulary,
        objective=Pretraining(vocabulary),
        training=training,
        validation=validation,
        sources={"data": data or {}} | ({} if init is None else {"init": model_source(init)}),
        metadata={"infilling": recipe.infilling_share > 0, "pedal_tokens": recipe.pedal},
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
                f"{init} has another vocabulary ({len(given.vocabulary):,} tokens) than {recipe.vocabulary!r} "
                f"({len(vocabulary):,}); set the recipe's vocabulary to the model's"
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


def _tokens_per_epoch(store: NoteStore, vocabulary: Vocabulary) -> int:
    """Tokens of the training split once through, from what a note takes in up to 300 files spread evenly over it."""
    files = store.split("train")
    sample = files[:: math.ceil(len(files) / _COUNTED_FILES)]
    tokenizer = Tokenizer(vocabulary)
    # Beside the body: instrument, <S>, <D>, <E>.
    tokens = sum(len(tokenizer.encode_notes(store.notes(i))) + 4 for i in sample)
    return round(tokens / store.counts[sample].sum() * store.counts[files].sum())
