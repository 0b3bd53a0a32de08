"""`partimento pretrain STORE --recipe NAME -o RUN`: train a model by next-token prediction."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.flags import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Pretrain on a note store; a run that was interrupted goes on where it was."""

    store: Annotated[Path, tyro.conf.Positional]
    """Note store made by 'partimento store'."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the run: recipe, log, state, model."""
    recipe: str = "bundled"
    """Name of the recipe."""
    max_hours: float | None = None
    """Fit the number of steps to this many hours on this machine."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="pretrain")
    from partimento.train import recipes
    from partimento.train.run import run

    model = run(recipes.named(options.recipe), options.store, options.out, max_hours=options.max_hours)
    print(f"model in {model}")
    return 0
