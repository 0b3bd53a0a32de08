"""Classifier fine-tuning: a model and a labelled note store to a folder with a classifier (paper, section 4.1).

Knows: the paper's recipe and one for small models, how a classifier begins from another model, that the best epoch is
chosen on validation, and that the test split is never opened here. Refuses to know: tasks, how a performance is
labelled in the end (`embed/labeller.py`).

    finetune_classifier(paper(), NoteStore("store"), "composer", "runs/composer", base="bundled")
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

from partimento.corpus.examples import LabelledLoader, view_notes
from partimento.corpus.store import MANIFEST, NoteStore, digest
from partimento.errors import UserError
from partimento.model.checkpoint import AnyModel, load_any, save
from partimento.model.heads import Classifier
from partimento.model.hub import best_model
from partimento.model.initialisation import STD
from partimento.train.distributed import joined
from partimento.train.folder import about, begun, check_sources, latest_checkpoint, run_stage
from partimento.train.log import TrackerName
from partimento.train.objectives.classifier import Classification
from partimento.train.settings import LoopSettings, RunRecipe, choose

METRICS: Final = "metrics.json"
"""What a finished run was worth, in its folder."""
VALIDATION_PASSES: Final = 4
"""Slices of each validation file that an epoch is judged by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierRecipe(RunRecipe):
    """A classifier fine-tuning; `epochs` decides the steps. `length` is used where the model's context allows it."""

    dropout: float
    """Share of the residual connections dropped in the last layer; it rises linearly from 0 in the first."""
    labelled: int | None = None
    """Learn from so many files only, as many of each class as of any other; None: from all."""

    def __post_init__(self) -> None:
        super(ClassifierRecipe, self).__post_init__()  # slots make a new class, which super() would not know
        if not 0 <= self.dropout < 1:
            raise UserError(f"recipe: dropout is {self.dropout}; give a share within 0..1, 1 excluded")
        if self.epochs is None:
            raise UserError("recipe: a classifier is fine-tuned for a number of epochs; give epochs")


def paper() -> ClassifierRecipe:
    """The paper's: all weights, 1e-5 without warm-up, linear decay to 0, 10 epochs; the batch is not named there."""
    return ClassifierRecipe(
        name="classifier",
        cost="estimated: half an hour on one H100 (658 M parameters, 10,000 labelled files)",
        length=2048,
        batch=16,
        seed=1,
        epochs=10,
        dropout=0.2,
        loop=LoopSettings(steps=10, peak_lr=1e-5, warmup_steps=0, min_lr_ratio=0.0, keep_checkpoints=1),
    )


def small() -> ClassifierRecipe:
    """For models of a few million parameters, which 1e-5 would hardly move in ten epochs of a few hundred files.

    Slices are cut at 256 tokens, some 80 notes: a processor then sees four times as many in the same time. Few files
    need many passes: on Pianist8 (228 files) 5 epochs gave 53 % of the test files, 20 gave 70 %.
    """
    recipe = paper()
    return dataclasses.replace(
        recipe,
        name="classifier-small",
        cost="estimated: about 20 minutes of a processor core (5.6 M parameters, 600 labelled files)",
        length=256,
        batch=8,
        epochs=20,
        loop=dataclasses.replace(recipe.loop, peak_lr=3e-4),
    )


RECIPES: Final[dict[str, Callable[[], ClassifierRecipe]]] = {"classifier": paper, "classifier-small": small}


def classifier_recipe(name: str) -> ClassifierRecipe:
    """The recipe of that name; a `UserError` that lists the names if there is none."""
    return choose(RECIPES, name)


def finetune_classifier(
    recipe: ClassifierRecipe,
    store: NoteStore,
    label: str,
    folder: str | Path,
    *,
    base: str | Path = "bundled",
    classes: Sequence[str] | None = None,
    resume: str = "auto",
    track: Sequence[TrackerName] = (),
) -> Path:
    """Trains all weights of `base`, under a new head, on the store's label; the path of the best epoch's model.

    `classes` are by default the labels that the training files have. The model keeps their names. An interrupted run
    goes on where it was; `resume` "off" refuses a folder that holds one.
    """
    folder = Path(folder)
    with joined() as world:
        start = latest_checkpoint(folder, resume=resume)
        checkpoint = load_any(base)
        sources: dict[str, dict[str, Any]] = {
            "data": {"store": store.path.name, "files": len(store), "sha256": digest(store.path / MANIFEST)},
            "init": {"model": str(base), "sha256": digest(checkpoint.path)},
        }
        length = min(recipe.length, checkpoint.config.context)

        def loader(split: str, classes: Sequence[str] | None) -> LabelledLoader:
            return LabelledLoader(
                store,
                checkpoint.vocabulary,
                split,
                label=label,
                length=length,
                batch=recipe.batch,
                seed=recipe.seed,
                classes=classes,
                labelled=recipe.labelled if split == "train" else None,
                augment=split == "train",
                rank=world.rank,
                world=world.size,
            )

        training = loader("train", classes)
        validation = loader("validation", training.classes)
        recipe = _counted(recipe, training.examples_per_epoch, validation.examples_per_epoch)
        if start is not None:
            check_sources(start, sources)
        recipe = begun(recipe, start, world)
        model = beginning(checkpoint.model, len(training.classes), dropout=recipe.dropout, seed=recipe.seed)
        torch.manual_seed(recipe.seed)  # dropout draws from torch's own generator, which checkpoints keep

        def save_model(path: Path, weights: dict[str, Tensor], metadata: dict[str, Any]) -> None:
            with torch.device("meta"):
                trained = Classifier(checkpoint.config, len(training.classes))
            trained.load_state_dict(weights, assign=True)
            save(path, trained, checkpoint.vocabulary, dtype=torch.bfloat16, **metadata)

        run_stage(
            recipe,
            model.to(world.device),
            Classification(checkpoint.vocabulary),
            loader=training,
            validation=validation,
            folder=folder,
            world=world,
            start=start,
            about=about(recipe, task=label, classes=list(training.classes), view_notes=view_notes(length), **sources),
            save=save_model,
            track=track,
        )
    return best_model(folder)


def beginning(base: AnyModel, classes: int, *, dropout: float, seed: int) -> Classifier:
    """A classifier with the weights of `base` under a new head, drawn from `seed`; `dropout` is the last layer's."""
    model = Classifier(base.config, classes)
    model.model.load_state_dict(base.model.state_dict())
    model.model.drop_residuals(dropout)
    nn.init.normal_(model.class_head.weight, std=STD, generator=torch.Generator().manual_seed(seed))
    return model


def _counted(recipe: ClassifierRecipe, files: int, held_out: int) -> ClassifierRecipe:
    """The recipe with its steps counted and a measurement after each epoch."""
    assert recipe.epochs is not None
    steps = max(1, math.ceil(recipe.epochs * files / recipe.batch))
    every = max(1, math.ceil(steps / recipe.epochs))
    loop = dataclasses.replace(
        recipe.loop,
        steps=steps,
        eval_every=every,
        checkpoint_every=every,
        eval_batches=math.ceil(VALIDATION_PASSES * held_out / recipe.batch),
    )
    return dataclasses.replace(recipe, loop=loop)
