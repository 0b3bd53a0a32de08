"""`partimento finetune classifier --task composer --data DIR -o RUN`: a model that tells labels."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from partimento.commands.flags import parse, recipe_name
from partimento.embed.slicing import SUITING, Slicing
from partimento.files import replacing
from partimento.train.classifier import METRICS, ClassifierRecipe, classifier_recipe
from partimento.train.log import TrackerName

if TYPE_CHECKING:
    from partimento.corpus.store import NoteStore
    from partimento.evaluate.tasks import Task

STORE = "store"


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
    """auto: go on if the folder holds a run; off: refuse such a folder."""
    track: tuple[TrackerName, ...] = ()
    """Where to log beside log.jsonl."""
    slicing: Slicing = SUITING
    """Which notes of a test file are read."""
    settings: Annotated[ClassifierRecipe, tyro.conf.arg(name="")]
    """The recipe's own fields, such as --labelled 100 or --loop.peak-lr 1e-4."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    missing = {"task": tyro.MISSING, "data": tyro.MISSING, "out": tyro.MISSING}
    default = Options(**missing, settings=classifier_recipe(recipe_name(argv, "classifier")))
    options = parse(Options, argv, verb="finetune classifier", default=default)
    from partimento.train.classifier import finetune_classifier

    task, store = _data(options)
    best = finetune_classifier(
        options.settings,
        store,
        options.task,
        options.out,
        base=options.base,
        classes=task.classes if task else None,
        resume=options.resume,
        track=options.track,
    )
    if os.environ.get("RANK", "0") == "0":
        _report(options, task, best)
    return 0


def _data(options: Options) -> tuple[Task | None, NoteStore]:
    """The task, unless the data are a store, and the store; a task's own lies in the run's folder, made once."""
    from partimento.corpus.build import build
    from partimento.corpus.store import MANIFEST, NoteStore
    from partimento.evaluate.tasks import find, plan

    if (options.data / MANIFEST).is_file():
        return None, NoteStore(options.data)
    task, path = find(options.task, options.data), options.out / STORE
    if not path.exists():
        options.out.mkdir(parents=True, exist_ok=True)
        build(plan(task), path)
    return task, NoteStore(path)


def _report(options: Options, task: Task | None, best: Path) -> None:
    """Judge the best epoch: on the test files of a task; of a store, what validation said is all there is."""
    from partimento.evaluate.outcomes import by_run
    from partimento.model.checkpoint import load_any

    if (options.out / METRICS).exists():
        print(f"done already: {options.out / METRICS}")
        return
    validation = load_any(best).metadata["validation"]
    metrics = {"task": options.task, "labelled": options.settings.labelled, "validation": validation}
    print(f"validation: {100 * (1 - validation['error']):.1f} % of the slices right")
    if task is not None:
        score = by_run(task, options.out, slicing=options.slicing).score()
        metrics["test"] = asdict(score)
        low, high = score.accuracy_interval
        interval = f"({100 * low:.1f} to {100 * high:.1f})"
        print(f"test: {score.examples} files, accuracy {100 * score.accuracy:.1f} % {interval}, ", end="")
        print(f"macro-F1 {100 * score.macro_f1:.1f} %")
    with replacing(options.out / METRICS) as part:
        part.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    print(f"model in {best}")
