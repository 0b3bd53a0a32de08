"""`partimento finetune classifier --task composer --data DIR -o RUN`: a model that tells labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.common.flags import fitting, parse, recipe_name
from partimento.commands.common.options import Base, Data, Resume, Task, Track, VerbOptions
from partimento.commands.common.outputs import folder_to_write
from partimento.embed.slicing import SUITING, Slicing
from partimento.train.recipes.classification import ClassifierRecipe, classifier_recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Fine-tune a classifier: a head at the end of slices, all weights trained, the best epoch chosen on validation.

    The test files are opened once, when the best epoch is known. A run that was interrupted goes on where it was. The
    task may also be a label of your own, and the data a note store that has it.
    """

    task: Task
    data: Data
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the run: recipe, log, checkpoints, the best epoch's model, metrics.json."""
    base: Base = "bundled"
    recipe: str = "classifier"
    """classifier: as in the paper; classifier-small: for models of a few million parameters."""
    resume: Resume = "auto"
    track: Track = ()
    slicing: Slicing = SUITING
    """Which notes of a file are read."""
    settings: Annotated[ClassifierRecipe, tyro.conf.arg(name="")]
    """The recipe's own fields."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    missing = {"task": tyro.MISSING, "data": tyro.MISSING, "out": tyro.MISSING}
    default = Options(**missing, settings=fitting(argv, classifier_recipe(recipe_name(argv, "classifier"))))
    options = parse(Options, argv, verb="finetune classifier", default=default)
    folder_to_write(options.out)
    from partimento.evaluate.finetuned import finetune_on_task
    from partimento.model.hub import best_model

    metrics = finetune_on_task(
        options.task,
        options.data,
        options.out,
        recipe=options.settings,
        base=options.base,
        resume=options.resume,
        track=options.track,
        quiet=options.quiet,
        slicing=options.slicing,
    )
    if not metrics:
        return 0
    lines = [f"validation: {100 * (1 - metrics['validation']['error']):.1f} % of the slices right"]
    if "test" in metrics:
        test = metrics["test"]
        low, high = test["accuracy_interval"]
        lines.append(
            f"test: {test['examples']} files, accuracy {100 * test['accuracy']:.1f} % "
            f"({100 * low:.1f} to {100 * high:.1f}), macro-F1 {100 * test['macro_f1']:.1f} %"
        )
    lines += [f"model in {best_model(options.out)}", f"next: partimento classify FILE.mid --model {options.out}"]
    options.report(metrics | {"model": best_model(options.out)}, *lines)
    return 0
