"""A classifier of a task, from its files to what it is worth: all that `partimento finetune classifier` does.

Knows: that a task's own files become a note store in the run's folder, once; that the test files are opened once, when
the best epoch is known; what `metrics.json` says. Refuses to know: how a classifier is trained (`train/stages`).

    metrics = finetune_on_task("composer", "midi", "runs/composer", recipe=recipes.classification.small())
    metrics["test"]["accuracy"]
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from partimento.corpus.store.build import build
from partimento.corpus.store.note_store import MANIFEST, NoteStore
from partimento.embed.slicing import SUITING, Slicing
from partimento.evaluate.outcomes import by_run
from partimento.evaluate.tasks import find, plan
from partimento.files import replacing
from partimento.model.checkpoint import load_any
from partimento.train.distributed import main_process
from partimento.train.log import TrackerName
from partimento.train.recipes.classification import ClassifierRecipe
from partimento.train.stages.classification import finetune_classifier

METRICS: Final = "metrics.json"
"""What a finished run was worth, in its folder."""
STORE: Final = "store"
"""Where the notes of a task's files are kept in the run's folder."""


def finetune_on_task(
    label: str,
    data: str | Path,
    folder: str | Path,
    *,
    recipe: ClassifierRecipe,
    base: str | Path = "bundled",
    resume: str = "auto",
    track: Sequence[TrackerName] = (),
    quiet: bool = False,
    slicing: Slicing = SUITING,
) -> dict[str, Any]:
    """Fine-tunes a classifier on a task (`tasks.find`), or on a label of a note store, and says what it is worth.

    Of the processes of a run the main one judges; the others return nothing. What was judged is not judged again.
    """
    data, folder = Path(data), Path(folder)
    task, store = None, data
    if not (data / MANIFEST).is_file():
        task, store = find(label, data), folder / STORE
        if not store.exists():
            folder.mkdir(parents=True, exist_ok=True)
            build(plan(task), store)
    classes = task.classes if task else None
    best = finetune_classifier(
        recipe, NoteStore(store), label, folder, base=base, classes=classes, resume=resume, track=track, quiet=quiet
    )
    if not main_process():
        return {}
    path = folder / METRICS
    if not path.exists():
        validation = load_any(best).metadata["validation"]
        metrics = {"task": label, "labelled": recipe.labelled, "validation": validation}
        if task is not None:
            metrics["test"] = asdict(by_run(task, folder, slicing=slicing).score())
        with replacing(path) as part:
            part.write_text(json.dumps(metrics, indent=1) + "\n", encoding="utf-8")
    return json.loads(path.read_text(encoding="utf-8"))
