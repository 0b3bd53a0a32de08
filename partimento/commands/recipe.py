"""`partimento recipe [NAME]`: what a recipe says, in full."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import tyro

from partimento.commands.flags import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Print a recipe's resolved configuration as JSON; without a name, list the recipes and what they cost."""

    name: Annotated[str | None, tyro.conf.Positional] = None
    """Name of the recipe."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="recipe")
    from partimento.train import classifier, contrast, finetune_recipes, recipes
    from partimento.train.settings import RunRecipe, choose

    table: dict[str, Callable[[], RunRecipe]] = {}
    for kind in (recipes, finetune_recipes, contrast, classifier):
        table |= kind.RECIPES
    if options.name is not None:
        print(choose(table, options.name).to_json())
        return 0
    width = max(map(len, table))
    for name, make in table.items():
        print(f"{name:<{width}}  {make().cost}")
    return 0
