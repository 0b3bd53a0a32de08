"""Recipes of contrastive fine-tuning: the paper's, and one for small models (section 3.3).

Knows: every number that such a run depends on beside its data and the model it begins with. Refuses to know: paths.

    dataclasses.replace(small(), temperature=0.5)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from partimento.errors import UserError
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

    def check(self) -> None:
        """Raises `UserError` for values that cannot be meant."""
        if not self.temperature > 0:
            raise UserError(f"recipe: temperature is {self.temperature}; give a positive number")
        if self.batch < 2:
            raise UserError(f"recipe: batch is {self.batch}; a pair needs another one to differ from, give at least 2")
        if self.size < 1 or self.candidates < 2:
            raise UserError(f"recipe: size is {self.size} (at least 1), candidates {self.candidates} (at least 2)")


def paper() -> ContrastiveRecipe:
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


def small() -> ContrastiveRecipe:
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
    "contrastive": paper,
    "contrastive-small": small,
}


def contrastive_recipe(name: str) -> ContrastiveRecipe:
    """The recipe of that name; a `UserError` that lists the names if there is none."""
    return choose(RECIPES, name)
