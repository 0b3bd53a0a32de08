"""`partimento select CORPUS --recipe NAME`: which of the surveyed files are trained on, and why not the others."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import Force, VerbOptions, warn


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Decide by a recipe on every file of a surveyed corpus, and give those that are kept a split.

    Writes selections/NAME.parquet and report.html into CORPUS.
    """

    corpus: Annotated[Path, tyro.conf.Positional]
    """Folder made by 'partimento survey'."""
    recipe: str = "pretrain"
    """pretrain, finetune, contrastive, or a TOML file with the same fields (--show prints one to begin with)."""
    name: str | None = None
    """Name of the selection; by default the recipe's."""
    force: Force = False
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
    from partimento.corpus.selection.select import Count, hours_of, needed_columns, refuse_another, select
    from partimento.corpus.selection.splits import SPLITS
    from partimento.corpus.survey.manifest import read_manifest

    rows = read_manifest(options.corpus, needed_columns(recipe))
    refuse_another(options.corpus, recipe, force=options.force)
    selection = select(rows, relate(options.corpus, rows), recipe)
    path = selection.save(options.corpus)
    hours = hours_of(rows)

    def line(label: str, count: Count) -> str:
        return f"{label:<22}{count.files:>10,}{count.hours:>12,.1f}"

    decisions, by_split = selection.by_decision(hours), selection.by_split(hours)
    for name in SPLITS[:2]:
        if not by_split[name].files:
            warn(
                f"warning: no file in the {name} split, which training needs; give a recipe with other shares "
                f"(partimento select --recipe {options.recipe} --show > mine.toml, then --recipe mine.toml)"
            )
    pictures = report.write(options.corpus)
    counts = {"decisions": decisions, "splits": by_split}
    options.report(
        {"files": len(rows), "selection": path, "report": pictures}
        | {of: {name: dataclasses.asdict(count) for name, count in each.items()} for of, each in counts.items()},
        f"{'removed by':<22}{'files':>10}{'hours':>12}",
        *(line(name, count) for name, count in decisions.items()),
        *(line(f"  {name}", count) for name, count in by_split.items()),
        f"{len(rows):,} files; what was decided on each in {path}, pictures in {pictures}",
        f"next: partimento store {options.corpus} --selection {recipe.name} -o STORE",
    )
    return 0
