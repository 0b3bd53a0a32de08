"""Classifier fine-tuning: a model and a labelled note store to a folder with a classifier (paper, section 4.1).

Knows: how a classifier begins from another model, that the best epoch is chosen on validation, and that the test split
is never opened here. Refuses to know: tasks, how a performance is labelled in the end (`embed/labeller.py`).

    finetune_classifier(recipes.classification.paper(), NoteStore("store"), "composer", "runs/composer", base="bundled")
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import torch
from torch import nn

from partimento.corpus.loaders.examples import LabelledLoader, view_notes
from partimento.corpus.store.note_store import NoteStore
from partimento.model.checkpoint import AnyModel, load_any
from partimento.model.heads import Classifier
from partimento.model.hub import best_model
from partimento.model.initialisation import STD
from partimento.train.distributed import joined
from partimento.train.driver import Stage, data_source, model_source, run_stage
from partimento.train.log import TrackerName
from partimento.train.objectives.classification import Classification
from partimento.train.recipes.classification import ClassifierRecipe

VALIDATION_PASSES: Final = 4
"""Slices of each validation file that an epoch is judged by."""


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
    quiet: bool = False,
) -> Path:
    """Trains all weights of `base`, under a new head, on the store's label; the path of the best epoch's model.

    `classes` are by default the labels that the training files have. The model keeps their names. `resume` and `track`
    are as for `driver.run_stage`.
    """
    with joined() as world:
        checkpoint = load_any(base)
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
        stage = Stage(
            recipe=_counted(recipe, training.examples_per_epoch, validation.examples_per_epoch),
            model=beginning(checkpoint.model, len(training.classes), dropout=recipe.dropout, seed=recipe.seed),
            vocabulary=checkpoint.vocabulary,
            objective=Classification(checkpoint.vocabulary),
            training=training,
            validation=validation,
            sources={"data": data_source(store), "init": model_source(base)},
            metadata={"task": label, "classes": list(training.classes), "view_notes": view_notes(length)},
        )
        torch.manual_seed(recipe.seed)  # dropout draws from torch's own generator, which checkpoints keep
        run_stage(stage, Path(folder), world=world, resume=resume, track=track, quiet=quiet)
    return best_model(Path(folder))


def beginning(base: AnyModel, classes: int, *, dropout: float, seed: int) -> Classifier:
    """A classifier with the weights of `base` under a new head, drawn from `seed`; `dropout` is the last layer's."""
    model = Classifier(base.config, classes)
    model.model.load_state_dict(base.model.state_dict())
    model.model.drop_residuals(dropout)
    nn.init.normal_(model.class_head.weight, std=STD, generator=torch.Generator().manual_seed(seed))
    return model


def _counted(recipe: ClassifierRecipe, files: int, held_out: int) -> ClassifierRecipe:
    """The recipe with its steps counted and a measurement after each epoch."""
    recipe = recipe.counted(files)
    assert recipe.epochs is not None, "a classifier's recipe has epochs"
    every = math.ceil(recipe.loop.steps / recipe.epochs)
    measured = math.ceil(VALIDATION_PASSES * held_out / recipe.batch)
    return recipe.with_loop(eval_every=every, checkpoint_every=every, eval_batches=measured)
