"""Recipes of generative fine-tuning: the paper's, and one for a few dozen files.

Knows: every number that such a run depends on beside its data and the model it begins with. Refuses to know: paths.

    recipe_for(Path("my-folder"), lora=True)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from partimento.errors import UserError
from partimento.train.settings import LoopSettings, RunRecipe

LORA_RATE: Final = 10.0
"""Adapters learn best at about ten times the rate of whole matrices (J. Schulman, "LoRA without regret", 2025)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContinuationRecipe(RunRecipe):
    """A generative fine-tuning. `length` is used where the model's context allows it."""

    passages: Literal["first", "all"]
    """Of a file longer than a sequence, first: one sequence in an epoch, of its beginning as in the paper or of its end
    (see ending_share); all: the rest too, as sequences of their own."""
    ending_share: float = 0.5
    """Share of the sequences that are drawn from the end of a file, so long that <E> stands at no place in particular,
    where passages is first. The others begin with a file. Half of them, because a file that is cut has no ending to
    learn from, and most are."""
    disturbed_share: float = 0.0
    """Share of the sequences with stretches disturbed as a model disturbs them that feeds on itself. What is disturbed
    is no target; what follows is."""
    lora_rank: int | None = None
    """Train adapters of this rank beside the matrices of the blocks, which stay as they are; None: train everything."""
    infilling_share: float = 0.25
    """Share of the sequences rearranged around a gap, so that a model that fills gaps still can; others ignore it."""
    unconditioned_share: float = 0.15
    """Where a vector goes before each sequence, the share of sequences that do not see it, so that a model can be
    guided (10 to 20 % is usual); others ignore it."""
    measurements: int | None = None
    """How often held-out loss is measured and a checkpoint written; decides loop.eval_every and loop.checkpoint_every
    when the run begins. None: those stand."""

    def check(self) -> None:
        """Raises `UserError` for values that cannot be meant."""
        if self.measurements is not None and self.measurements < 1:
            raise UserError(f"recipe: measurements is {self.measurements}; give at least 1, or None")
        for name in ("ending_share", "disturbed_share", "infilling_share", "unconditioned_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise UserError(f"recipe: {name} is {getattr(self, name)}; give a share within 0..1")


def paper() -> ContinuationRecipe:
    """One epoch, the rate annealed to zero (paper, section 3.2).

    The paper names neither rate nor batch: the rate begins where pretraining ended, the batch is that of pretraining.
    """
    return ContinuationRecipe(
        name="continuation",
        cost="a seventy-fifth of the pretraining on as much data: about 3 hours on 8 H100",
        length=8192,
        batch=128,
        seed=1,
        epochs=1,
        passages="first",
        measurements=10,
        loop=LoopSettings(steps=1000, peak_lr=3e-5, warmup_steps=0, min_lr_ratio=0.0),
    )


def folder() -> ContinuationRecipe:
    """A few dozen files: everything in them, several times, until the held-out loss rises.

    Sequences are short, so that many small steps fit into the patience of a processor.
    """
    return ContinuationRecipe(
        name="continuation-folder",
        cost="estimated: half an hour on 2 processor cores with the bundled model and 30 files",
        length=1024,
        batch=4,
        seed=1,
        epochs=8,
        passages="all",
        measurements=16,
        loop=LoopSettings(
            steps=1000,
            peak_lr=3e-4,
            warmup_steps=10,
            min_lr_ratio=0.0,
            patience=3,
            eval_batches=32,
            keep_checkpoints=1,
        ),
    )


RECIPES: Final[dict[str, Callable[[], ContinuationRecipe]]] = {
    "continuation": paper,
    "continuation-folder": folder,
}


def recipe_for(corpus: Path, *, lora: bool) -> ContinuationRecipe:
    """The recipe that suits a note store or a folder of MIDI files, and adapters or the whole model."""
    recipe = paper() if is_store(corpus) else folder()
    if lora:
        return dataclasses.replace(
            recipe, loop=dataclasses.replace(recipe.loop, peak_lr=round(LORA_RATE * recipe.loop.peak_lr, 9))
        )
    return recipe


def is_store(corpus: Path) -> bool:
    """Whether there is a note store rather than MIDI files."""
    from partimento.corpus.store.note_store import MANIFEST  # flags are read without waiting for its libraries

    return (corpus / MANIFEST).is_file()
