"""`partimento finetune contrastive STORE --from MODEL -o RUN`: a model that turns performances into vectors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.common.flags import fitting, parse, recipe_name
from partimento.commands.common.options import Base, Resume, Track, VerbOptions
from partimento.commands.common.outputs import folder_to_write
from partimento.train.recipes.contrastive import ContrastiveRecipe, contrastive_recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Train a language model further to give music of one file like vectors, and other files unlike ones.

    A run that was interrupted goes on where it was. Only a store made from a selection knows which files play one piece
    (partimento survey, select, store --selection contrastive), which --mask-same-piece needs.
    """

    store: Annotated[Path, tyro.conf.Positional]
    """Note store made by 'partimento store'."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the run: recipe, log, checkpoints, models."""
    base: Base = "bundled"
    recipe: str = "contrastive"
    """contrastive: the paper's; contrastive-small: for small models and a few thousand files."""
    resume: Resume = "auto"
    track: Track = ()
    settings: Annotated[ContrastiveRecipe, tyro.conf.arg(name="")]
    """The recipe's own fields."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    named = contrastive_recipe(recipe_name(argv, "contrastive"))
    default = Options(store=tyro.MISSING, out=tyro.MISSING, settings=fitting(argv, named))
    options = parse(Options, argv, verb="finetune contrastive", default=default)
    folder_to_write(options.out)
    from partimento.train.distributed import main_process
    from partimento.train.stages.contrastive import finetune_contrastive

    model = finetune_contrastive(
        options.settings.changed_from(named),
        options.store,
        options.out,
        base=options.base,
        resume=options.resume,
        track=options.track,
        quiet=options.quiet,
        say=options.say,
    )
    if main_process():
        next_step = f"next: partimento embed FOLDER --model {options.out}"
        options.report({"model": model}, f"model in {model}", next_step)
    return 0
