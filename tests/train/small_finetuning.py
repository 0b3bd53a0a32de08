"""One small fine-tuning, as tests and the programs they start all use it."""

import dataclasses
from pathlib import Path
from typing import Any

from partimento.train.recipes import continuation as recipes
from partimento.train.recipes.continuation import ContinuationRecipe
from partimento.train.stages.continuation import Outcome, finetune_continuation


def recipe(**changes: Any) -> ContinuationRecipe:
    """The recipe for folders, at the size of the models of these tests; what belongs to its loop goes there."""
    loop = {
        "epochs": None,
        "measurements": None,
        "steps": 9,
        "warmup_steps": 2,
        "peak_lr": 1e-2,
        "eval_every": 3,
        "checkpoint_every": 3,
        "keep_checkpoints": 2,
        "precision": "float32",
    } | changes
    of_loop = {field.name for field in dataclasses.fields(recipes.folder().loop)}
    settings = dataclasses.replace(
        recipes.folder().loop, **{name: value for name, value in loop.items() if name in of_loop}
    )
    rest = {name: value for name, value in loop.items() if name not in of_loop}
    return dataclasses.replace(recipes.folder(), loop=settings, **rest)


def tune(corpus: str | Path, folder: Path, base: str | Path, **changes: Any) -> Outcome:
    """Fine-tunes with that recipe."""
    return finetune_continuation(recipe(**changes), corpus, folder, base=base)
