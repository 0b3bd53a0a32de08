"""`partimento finetune classifier --task composer --data DIR -o RUN`: a model that tells labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.flags import fitting, parse, recipe_name
from partimento.embed.slicing import SUITING, Slicing
from partimento.train.log import TrackerName
from partimento.train.recipes.classification import ClassifierRecipe, classifier_recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Fine-tune a classifier: a head at the end of slices, all weights trained, the best epoch chosen on validation.

    The test files are opened once, when the best epoch is known. A run that was interrupted goes on where it was.
    """

    task: str
    """One of the tasks of 'partimento evaluate tasks', a category of a metadata.json, or a label of a note store."""
    data: Path
    """Folder of MIDI files, in which the task's are found by content; or a metadata.json of the published layout; or a
    note store with labels of your own."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the run: recipe, log, checkpoints, the best epoch's model, metrics.json."""
    base: Annotated[str, tyro.conf.arg(name="from")] = "bundled"
    """The model to begin with: a bundled one, a file, a run's folder, or owner/name on the hub."""
    recipe: str = "classifier"
    """classifier: as in the paper; classifier-small: for models of a few million parameters."""
    resume: str = "auto"
    """auto: go on if the folder holds a run; off: refuse such a folder; or a checkpoint to begin a new run from."""
    track: tuple[TrackerName, ...] = ()
    """Where to log beside log.jsonl."""
    slicing: Slicing = SUITING
    """Which notes of a test file are read."""
    settings: Annotated[ClassifierRecipe, tyro.conf.arg(name="")]
    """The recipe's own fields, such as --labelled 100 or --loop.peak-lr 1e-4."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    missing = {"task": tyro.MISSING, "data": tyro.MISSING, "out": tyro.MISSING}
    default = Options(**missing, settings=fitting(argv, classifier_recipe(recipe_name(argv, "classifier"))))
    options = parse(Options, argv, verb="finetune classifier", default=default)
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
        slicing=options.slicing,
    )
    if not metrics:
        return 0
    print(f"validation: {100 * (1 - metrics['validation']['error']):.1f} % of the slices right")
    if "test" in metrics:
        test = metrics["test"]
        low, high = test["accuracy_interval"]
        print(
            f"test: {test['examples']} files, accuracy {100 * test['accuracy']:.1f} % "
            f"({100 * low:.1f} to {100 * high:.1f}), macro-F1 {100 * test['macro_f1']:.1f} %"
        )
    print(f"model in {best_model(options.out)}")
    print(f"next: partimento classify FILE.mid --model {options.out}")
    return 0
