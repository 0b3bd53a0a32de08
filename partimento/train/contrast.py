"""Contrastive fine-tuning: a language model and a note store to a folder with an embedding model (paper, section 3.3).

Knows: the paper's recipe and a small one, how a language model gets an embedding head, how many negatives a batch
really has, what is measured how often. Refuses to know: the loss (`objectives/contrastive.py`), how to take a step
(`loop.py`), what a run's folder holds (`folder.py`).

    model = contrast(small_recipe(), "store", "runs/embedding", base="bundled", say=print)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from partimento.corpus.examples import ViewPairLoader, view_notes
from partimento.corpus.store import MANIFEST, NoteStore, digest
from partimento.errors import UserError
from partimento.model.checkpoint import Checkpoint, load, save
from partimento.model.heads import Embedder
from partimento.model.initialisation import musical_initialisation
from partimento.model.transformer import Transformer
from partimento.train.distributed import World, joined
from partimento.train.folder import about, begun, check_sources, latest_checkpoint, run_stage
from partimento.train.log import TrackerName
from partimento.train.objectives.contrastive import Contrastive, expected_negatives
from partimento.train.settings import LoopSettings, Machine, RunRecipe, choose


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastiveRecipe(RunRecipe):
    """A contrastive fine-tuning. `batch` counts pairs of views; `length` is used where the model's context allows it.

    `machine.micro_batch_size` views go through the model together, whatever the batch; with
    `machine.activation_checkpointing` nothing but their vectors is kept. A measurement is one batch (`candidates`),
    after every epoch, or with `epochs` None as `loop` says.
    """

    temperature: float = 0.1
    """What cosines are divided by: lower looks harder at the nearest negatives."""
    mask_same_piece: bool
    """Leave files of a view's own piece out of its negatives. The paper's loss (equation 2) has every other file there,
    so that performances of one composition are told apart."""
    size: int = 512
    """Numbers of an embedding."""
    pretrained: bool = True
    """Begin with the base model's weights; else with random ones of its shape (a comparison of the paper)."""
    candidates: int = 1024
    """Pairs of the validation split that are measured, each among all of them."""

    def __post_init__(self) -> None:
        super(
            ContrastiveRecipe, self
        ).__post_init__()  # slots make a new class of this one, which super() would not know
        if not self.temperature > 0:
            raise UserError(f"recipe: temperature is {self.temperature}; give a positive number")
        if self.batch < 2:
            raise UserError(f"recipe: batch is {self.batch}; a pair needs another one to differ from, give at least 2")
        if self.size < 1 or self.candidates < 2:
            raise UserError(f"recipe: size is {self.size} (at least 1), candidates {self.candidates} (at least 2)")


def paper_recipe() -> ContrastiveRecipe:
    """Rate, schedule, temperature and epochs of the paper (section 4.1), which does not name the batch."""
    return ContrastiveRecipe(
        name="contrastive",
        cost="not measured; a pair is about 2,300 tokens, 25 times for each file",
        mask_same_piece=False,
        length=2048,
        batch=512,
        seed=1,
        epochs=25,
        loop=LoopSettings(steps=10_000, peak_lr=1e-5, warmup_steps=1000),
        machine=Machine(micro_batch_size=32, activation_checkpointing=True),
    )


def small_recipe() -> ContrastiveRecipe:
    """For models of a few million parameters and corpora of a few thousand files, on a processor.

    Views are cut at 256 tokens, some 80 notes, where the paper has up to 650: within the same time a processor then
    sees many more of them. The batch's activations are kept (1.5 GB), since to compute them again costs a fourth more.
    After half an epoch the loss among 256 pairs was 5.24 with Muon at 4e-4, 5.34 at 1e-3, with AdamW 5.37 at 2e-4 and
    5.41 at 5e-5 (6.15 before, one seed each); AdamW at 5e-4 falls behind by as much as half an epoch.
    """
    return ContrastiveRecipe(
        name="contrastive-small",
        cost="estimated: 6 minutes of a processor core an epoch of 3,000 files (5.6 M parameters); 2 GB of memory",
        mask_same_piece=False,
        length=256,
        batch=16,
        seed=1,
        epochs=3,
        candidates=256,
        loop=LoopSettings(steps=1000, peak_lr=4e-4, warmup_steps=20, optimiser="muon", keep_checkpoints=1),
        machine=Machine(micro_batch_size=8),
    )


RECIPES: Final[dict[str, Callable[[], ContrastiveRecipe]]] = {
    "contrastive": paper_recipe,
    "contrastive-small": small_recipe,
}


def contrastive_recipe(name: str) -> ContrastiveRecipe:
    """The recipe of that name; a `UserError` that lists the names if there is none."""
    return choose(RECIPES, name)


def contrast(
    recipe: ContrastiveRecipe,
    store_path: str | Path,
    folder: str | Path,
    *,
    base: str | Path = "bundled",
    resume: str = "auto",
    track: Sequence[TrackerName] = (),
    say: Callable[[str], None] = lambda _: None,
) -> Path:
    """Makes an embedding model of the language model `base` and returns its path; progress goes to standard error.

    Under torchrun all processes train one model, and every view has the negatives of all of them. `resume` "auto" goes
    on with the run in `folder` if there is one, "off" refuses such a folder. `say` is told, in a line, what is compared
    with what.
    """
    folder = Path(folder)
    with joined() as world:
        start = latest_checkpoint(folder, resume=resume)
        store, checkpoint = NoteStore(store_path), load(base)
        sources: dict[str, dict[str, Any]] = {
            "data": {"store": store.path.name, "files": len(store), "sha256": digest(store.path / MANIFEST)},
        }
        if recipe.pretrained:
            sources["init"] = {"model": str(base), "sha256": digest(checkpoint.path)}
        recipe, training, validation = _loaders(recipe, store, checkpoint, world)
        if start is not None:
            check_sources(start, sources)
        recipe = begun(recipe, start, world)
        if world.main:
            say(_negatives(store, recipe))
        model = _embedder(recipe, checkpoint).to(world.device)
        objective = Contrastive(
            checkpoint.vocabulary,
            temperature=recipe.temperature,
            mask_same_piece=recipe.mask_same_piece,
            micro_batch_size=recipe.machine.micro_batch_size,
            activation_checkpointing=recipe.machine.activation_checkpointing,
            world=world,
        )

        def save_model(path: Path, weights: dict[str, Tensor], metadata: dict[str, Any]) -> None:
            with torch.device("meta"):
                exported = Embedder(checkpoint.config, size=recipe.size)
            exported.load_state_dict(weights, assign=True)
            save(path, exported, checkpoint.vocabulary, dtype=torch.bfloat16, **metadata)

        # The loop must leave a batch whole: every loss in it depends on all of its rows. The objective cuts it.
        uncut = dataclasses.replace(recipe.machine, micro_batch_size=None, activation_checkpointing=False)
        whole = dataclasses.replace(recipe, machine=uncut)
        return run_stage(
            whole,
            model,
            objective,
            loader=training,
            validation=validation,
            folder=folder,
            world=world,
            start=start,
            about=about(recipe, view_notes=view_notes(recipe.length), **sources),
            save=save_model,
            track=track,
        )


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
    recipe: ContrastiveRecipe, store: NoteStore, base: Checkpoint[Transformer], world: World
) -> tuple[ContrastiveRecipe, ViewPairLoader, ViewPairLoader]:
    """Pairs for training and for measuring, and the recipe with its steps counted."""
    recipe = dataclasses.replace(recipe, length=min(recipe.length, base.config.context))

    def loader(split: str, batch: int) -> ViewPairLoader:
        return ViewPairLoader(
            store,
            base.vocabulary,
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
    loop = dataclasses.replace(recipe.loop, eval_batches=1)
    recipe = dataclasses.replace(recipe, loop=loop)
    if recipe.epochs is not None:
        recipe = recipe.with_steps(max(2, math.ceil(recipe.epochs * files / recipe.batch)))
        every = math.ceil(files / recipe.batch)
        loop = dataclasses.replace(recipe.loop, eval_every=every, checkpoint_every=math.ceil(every / 4))
        recipe = dataclasses.replace(recipe, loop=loop)
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
