"""Contrastive fine-tuning: a language model and a note store to a folder with an embedding model (paper, section 3.3).

Knows: how a language model gets an embedding head, how many negatives a batch really has, what is measured how often.
Refuses to know: the loss (`objectives/contrastive.py`), what a run's folder holds (`driver.py`).

    model = finetune_contrastive(recipes.contrastive.small(), "store", "runs/embedding", base="bundled", say=print)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import nn

from partimento.corpus.loaders.examples import ViewPairLoader, view_notes
from partimento.corpus.store.note_store import NoteStore
from partimento.errors import UserError
from partimento.model.checkpoint import Checkpoint, load
from partimento.model.heads import Embedder
from partimento.model.initialisation import musical_initialisation
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.distributed import World, joined
from partimento.train.driver import Stage, data_source, model_source, run_stage
from partimento.train.log import TrackerName
from partimento.train.objectives.contrastive import Contrastive, expected_negatives
from partimento.train.recipes.contrastive import ContrastiveRecipe


def finetune_contrastive(
    recipe: ContrastiveRecipe,
    store_path: str | Path,
    folder: str | Path,
    *,
    base: str | Path = "bundled",
    resume: str = "auto",
    track: Sequence[TrackerName] = (),
    quiet: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Makes an embedding model of the language model `base` and returns its path; progress goes to standard error.

    Under torchrun all processes train one model, and every view has the negatives of all of them. `say` is told, in a
    line, what is compared with what; the others are as for `driver.run_stage`.
    """
    with joined() as world:
        store, checkpoint = NoteStore(store_path), load(base)
        recipe = dataclasses.replace(recipe, length=min(recipe.length, checkpoint.config.context))
        recipe, training, validation = _loaders(recipe, store, checkpoint.vocabulary, world)
        if world.main:
            say(_negatives(store, recipe))
        objective = Contrastive(
            checkpoint.vocabulary,
            temperature=recipe.temperature,
            mask_same_piece=recipe.mask_same_piece,
            micro_batch_size=recipe.machine.micro_batch_size,
            activation_checkpointing=recipe.machine.activation_checkpointing,
            world=world,
        )
        stage = Stage(
            recipe=recipe,
            model=_embedder(recipe, checkpoint),
            vocabulary=checkpoint.vocabulary,
            objective=objective,
            training=training,
            validation=validation,
            sources={"data": data_source(store)} | ({"init": model_source(base)} if recipe.pretrained else {}),
            metadata={"view_notes": view_notes(recipe.length)},
            # The loop must leave a batch whole: every loss in it depends on all of its rows. The objective cuts it.
            machine=dataclasses.replace(recipe.machine, micro_batch_size=None, activation_checkpointing=False),
        )
        return run_stage(stage, Path(folder), world=world, resume=resume, track=track, quiet=quiet)


def _embedder(recipe: ContrastiveRecipe, base: Checkpoint[Transformer]) -> Embedder:
    """The model before the first step: the base's decoder, or a random one of its shape, under a new head."""
    if not recipe.pretrained:
        musical_initialisation(base.model, base.vocabulary, seed=recipe.seed)
    model = Embedder(base.config, size=recipe.size)
    model.model = base.model.model
    generator = torch.Generator().manual_seed(recipe.seed)
    nn.init.normal_(model.emb_head.weight, std=base.config.d_model**-0.5, generator=generator)
    return model


def _loaders(
    recipe: ContrastiveRecipe, store: NoteStore, vocabulary: Vocabulary, world: World
) -> tuple[ContrastiveRecipe, ViewPairLoader, ViewPairLoader]:
    """The recipe with its steps counted, and pairs for training and for measuring."""

    def loader(split: str, batch: int) -> ViewPairLoader:
        return ViewPairLoader(
            store,
            vocabulary,
            split,
            length=recipe.length,
            batch=batch,
            seed=recipe.seed,
            augment=split == "train",
            rank=world.rank,
            world=world.size,
        )

    training = loader("train", recipe.batch)
    files = training.examples_per_epoch
    if recipe.batch > files:
        raise UserError(f"a batch of {recipe.batch} pairs needs as many files; {store.path} has {files}: lower --batch")
    measured = min(recipe.candidates, loader("validation", world.size).examples_per_epoch) // world.size * world.size
    if measured < 2:
        raise UserError(f"{store.path}: its validation split has too few files for {world.size} processes to compare")
    recipe = recipe.counted(files).with_loop(eval_batches=1)
    if recipe.epochs is not None:
        every = math.ceil(files / recipe.batch)
        recipe = recipe.with_loop(eval_every=every, checkpoint_every=math.ceil(every / 4))
    return recipe, training, loader("validation", measured)


def _negatives(store: NoteStore, recipe: ContrastiveRecipe) -> str:
    files = store.split("train")
    pieces = store.pieces[files]
    different = len(set(pieces.tolist()))
    effective = expected_negatives(pieces if recipe.mask_same_piece else files, recipe.batch)
    if different == len(files):
        told = "each file counts as a piece of its own: only a store made from a selection knows which files repeat"
    elif recipe.mask_same_piece:
        told = "files of one piece are never each other's negatives"
    else:
        told = "files of one piece are told apart like any others"
    return (
        f"negatives: {effective:.1f} of {2 * recipe.batch - 2} a view on average ({len(files):,} files of "
        f"{different:,} pieces; {told})"
    )
