"""`partimento recipe [NAME]`: what a recipe says, in full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import tyro

from partimento.commands.common.flags import fitting, parse
from partimento.commands.common.options import VerbOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Print a recipe's resolved configuration as JSON; without a name, list the recipes and what they cost.

    Behind the name any field may be set, as in --batch 4 --loop.peak-lr 1e-3, to see what a run would be told.
    """

    name: Annotated[str | None, tyro.conf.Positional] = None
    """Name of the recipe."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    named = bool(argv) and not argv[0].startswith("-")
    options = parse(Options, argv[:1] if named else argv, verb="recipe")
    from partimento.train.recipes import RECIPES
    from partimento.train.settings import choose

    if options.name is not None:
        recipe = choose(RECIPES, options.name)
        changed = parse(type(recipe), argv[1:], verb=f"recipe {options.name}", default=fitting(argv[1:], recipe))
        print(changed.changed_from(recipe).to_json())
        return 0
    costs = {name: make().cost for name, make in RECIPES.items()}
    if options.json:
        options.report(costs)
        return 0
    width = max(map(len, RECIPES))
    for name, cost in costs.items():
        print(f"{name:<{width}}  {cost}")
    return 0
