"""A classifier of a task, from its files to what it is worth: all that `partimento finetune classifier` does.

Knows: that a task's own files become a note store in the run's folder, once; that the test files are opened once, when
the best epoch is known; what `metrics.json` says. Refuses to know: how a classifier is trained (`train/stages`).

    trained = train("composer", "midi", "runs/composer", recipe=recipes.classification.small())
    metrics = judge(trained)
    metrics["test"]["accuracy"]
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from partimento.corpus.build import build
from partimento.corpus.store import MANIFEST, NoteStore
from partimento.embed.slicing import SUITING, Slicing
from partimento.evaluate.outcomes import by_run
from partimento.evaluate.tasks import Task, find, plan
from partimento.files import replacing
from partimento.model.checkpoint import load_any
from partimento.train.log import TrackerName
from partimento.train.recipes.classification import ClassifierRecipe
from partimento.train.stages.classification import finetune_classifier

METRICS: Final = "metrics.json"
"""What a finished run was worth, in its folder."""
STORE: Final = "store"
"""Where the notes of a task's files are kept in the run's folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A run of `train`: its folder, the model of its best epoch, and the task, unless the data are a note store."""

    folder: Path
    best: Path
    label: str
    labelled: int | None
    task: Task | None


def train(
    label: str,
    data: str | Path,
    folder: str | Path,
    *,
    recipe: ClassifierRecipe,
    base: str | Path = "bundled",
    resume: str = "auto",
    track: Sequence[TrackerName] = (),
) -> Trained:
    """Fine-tunes a classifier on a task (`tasks.find`) or on a label of a note store, as `finetune_classifier` does."""
    data, folder = Path(data), Path(folder)
    task, store = None, data
    if not (data / MANIFEST).is_file():
        task, store = find(label, data), folder / STORE
        if not store.exists():
            folder.mkdir(parents=True, exist_ok=True)
            build(plan(task), store)
    classes = task.classes if task else None
    best = finetune_classifier(
        recipe, NoteStore(store), label, folder, base=base, classes=classes, resume=resume, track=track
    )
    return Trained(folder=folder, best=best, label=label, labelled=recipe.labelled, task=task)


def judge(trained: Trained, *, slicing: Slicing = SUITING) -> dict[str, Any] | None:
    """What `metrics.json` now says: `validation`, and of a task `test`, a score. None if it was there already."""
    path = trained.folder / METRICS
    if path.exists():
        return None
    validation = load_any(trained.best).metadata["validation"]
    metrics = {"task": trained.label, "labelled": trained.labelled, "validation": validation}
    if trained.task is not None:
        metrics["test"] = asdict(by_run(trained.task, trained.folder, slicing=slicing).score())
    with replacing(path) as part:
        part.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    return metrics
