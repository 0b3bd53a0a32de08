"""`partimento select CORPUS --recipe NAME`: which of the surveyed files are trained on, and why not the others."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.flags import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Decide by a recipe on every file of a surveyed corpus, and give those that are kept a split.

    Writes selections/NAME.parquet and report.html into CORPUS.
    """

    corpus: Annotated[Path, tyro.conf.Positional]
    """Folder made by 'partimento survey'."""
    recipe: str = "pretrain"
    """pretrain, finetune, contrastive, or a TOML file with the same fields (--show prints one to begin with)."""
    name: str | None = None
    """Name of the selection; by default the recipe's."""
    show: bool = False
    """Print the recipe as TOML, every filter explained, and stop."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="select")
    from partimento.corpus.selection import recipes

    recipe = recipes.selection_recipe(options.recipe)
    if options.name is not None:
        recipe = dataclasses.replace(recipe, name=options.name)
    if options.show:
        print(recipe.to_toml(), end="")
        return 0
    from partimento.corpus.selection import report
    from partimento.corpus.selection.groups import relate
    from partimento.corpus.selection.select import Count, hours_of, needed_columns, select
    from partimento.corpus.selection.splits import SPLITS
    from partimento.corpus.survey.manifest import read_manifest

    rows = read_manifest(options.corpus, needed_columns(recipe))
    selection = select(rows, relate(options.corpus, rows), recipe)
    path = selection.save(options.corpus)
    hours = hours_of(rows)

    def line(label: str, count: Count) -> None:
        print(f"{label:<22}{count.files:>10,}{count.hours:>12,.1f}")

    print(f"{'removed by':<22}{'files':>10}{'hours':>12}")
    for name, count in selection.by_decision(hours).items():
        line(name, count)
    for name, count in selection.by_split(hours).items():
        line(f"  {name}", count)
    for name in SPLITS[:2]:
        if not selection.by_split(hours)[name].files:
            print(
                f"warning: no file in the {name} split, which training needs; give a recipe with other shares "
                f"(partimento select --recipe {options.recipe} --show > mine.toml, then --recipe mine.toml)",
                file=sys.stderr,
            )
    print(f"{len(rows):,} files; what was decided on each in {path}, pictures in {report.write(options.corpus)}")
    print(f"next: partimento store {options.corpus} --selection {recipe.name} -o STORE")
    return 0
