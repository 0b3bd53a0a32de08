"""`partimento pretrain STORE --recipe NAME -o RUN`: train a model by next-token prediction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.flags import fitting, parse, recipe_name
from partimento.train.log import TrackerName
from partimento.train.recipes import pretraining
from partimento.train.recipes.pretraining import PretrainingRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Pretrain on a note store; a run that was interrupted goes on where it was.

    Every field of the recipe can be set by its own flag, as in --batch 4 --loop.peak-lr 1e-3. On several GPUs or
    machines: torchrun --nproc-per-node 8 -m partimento pretrain ...
    """

    store: Annotated[Path, tyro.conf.Positional]
    """Note store made by 'partimento store'."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the run: recipe, log, checkpoints, model."""
    recipe: str = "two-cores"
    """Name of the recipe (see 'partimento recipe')."""
    resume: str = "auto"
    """auto: go on if the folder holds a run; off: refuse such a folder; or a checkpoint to begin a new run from."""
    init: str | None = None
    """A model whose weights to begin with, instead of random ones."""
    max_hours: float | None = None
    """Fit the number of steps to this many hours on this machine."""
    track: tuple[TrackerName, ...] = ()
    """Where to log beside log.jsonl."""
    settings: Annotated[PretrainingRecipe, tyro.conf.arg(name="")]
    """The recipe's own fields."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    named = pretraining.pretraining_recipe(recipe_name(argv, "two-cores"))
    default = Options(store=tyro.MISSING, out=tyro.MISSING, settings=fitting(argv, named))
    options = parse(Options, argv, verb="pretrain", default=default)
    from partimento.train.distributed import main_process
    from partimento.train.stages.pretraining import pretrain

    model = pretrain(
        options.settings.changed_from(named),
        options.store,
        options.out,
        resume=options.resume,
        init=options.init,
        max_hours=options.max_hours,
        track=options.track,
    )
    if main_process():
        print(f"model in {model}")
        print(f"next: partimento continue FILE.mid --model {options.out}, or partimento plot {options.out}")
    return 0
