"""Recipes of classifier fine-tuning: the paper's (section 4.1), and one for small models.

Knows: every number that such a run depends on beside its data and the model it begins with. Refuses to know: paths.

    dataclasses.replace(small(), labelled=100)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from partimento.errors import UserError
from partimento.train.settings import LoopSettings, RunRecipe, choose


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierRecipe(RunRecipe):
    """A classifier fine-tuning; `epochs` decides the steps. `length` is used where the model's context allows it."""

    dropout: float
    """Share of the residual connections dropped in the last layer; it rises linearly from 0 in the first."""
    labelled: int | None = None
    """Learn from so many files only, as many of each class as of any other; None: from all."""

    def check(self) -> None:
        """Raises `UserError` for values that cannot be meant."""
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
