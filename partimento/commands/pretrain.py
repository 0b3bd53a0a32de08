"""`partimento pretrain STORE --recipe NAME -o RUN`: train a model by next-token prediction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.common.flags import fitting, parse, recipe_name
from partimento.commands.common.options import AnyBase, Resume, Track, VerbOptions
from partimento.commands.common.outputs import folder_to_write
from partimento.train.recipes import pretraining
from partimento.train.recipes.pretraining import PretrainingRecipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
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
    resume: Resume = "auto"
    base: AnyBase = None
    max_hours: float | None = None
    """Fit the number of steps to this many hours on this machine."""
    track: Track = ()
    settings: Annotated[PretrainingRecipe, tyro.conf.arg(name="")]
    """The recipe's own fields."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    named = pretraining.pretraining_recipe(recipe_name(argv, "two-cores"))
    default = Options(store=tyro.MISSING, out=tyro.MISSING, settings=fitting(argv, named))
    options = parse(Options, argv, verb="pretrain", default=default)
    folder_to_write(options.out)
    from partimento.train.distributed import main_process
    from partimento.train.stages.pretraining import pretrain

    model = pretrain(
        options.settings.changed_from(named),
        options.store,
        options.out,
        resume=options.resume,
        init=options.base,
        max_hours=options.max_hours,
        track=options.track,
        quiet=options.quiet,
    )
    if main_process():
        options.report(
            {"model": model},
            f"model in {model}",
            f"next: partimento continue FILE.mid --model {options.out}, or partimento plot {options.out}",
        )
    return 0
