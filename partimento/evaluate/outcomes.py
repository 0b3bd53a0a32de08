"""One method on one task: fitted on train, chosen on validation, judged once on test.

Knows: the three ways to get from a task to test predictions (a linear probe on anybody's vectors, boosted trees on
statistics, a fine-tuned classifier), and how an outcome is kept as JSON so that it can be judged again or compared.
What a run's classifier says is kept in the run's folder. Refuses to know: which outcomes make a table.

    outcome = by_probe(located(task("composer"), contents(folder)), encode)     # encode as in encoders.py
    outcome.score().accuracy
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import torch

from partimento.corpus.selection.splits import SPLITS
from partimento.corpus.store.note_store import NoteStore
from partimento.embed.labeller import Labeller
from partimento.embed.slicing import SUITING, Slicing
from partimento.errors import UserError
from partimento.evaluate.encoders import EXACT, STATISTICS, Encode, EncoderSettings, VectorKind, Vectors, file_encoder
from partimento.evaluate.handcrafted import boosted
from partimento.evaluate.metrics import Score, score
from partimento.evaluate.probe import probe
from partimento.evaluate.tasks import HASH_LENGTH, Example, Task, content_key
from partimento.files import replacing
from partimento.model.checkpoint import load_any
from partimento.model.hub import best_model

OUTCOME: Final = "outcome.json"
"""What a run's classifier says of the test files, in the run's folder."""

Ints = npt.NDArray[np.int64]
Trees = Callable[[npt.NDArray, npt.NDArray, npt.NDArray, npt.NDArray, npt.NDArray], Ints]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Test predictions of one method on one task, file by file; `about` says what made them."""

    task: str
    classes: tuple[str, ...]
    files: tuple[str, ...]
    pieces: tuple[int, ...]
    truth: tuple[int, ...]
    predicted: tuple[int, ...]
    about: dict[str, Any]

    def score(self) -> Score:
        """Accuracy, macro-F1 and their intervals."""
        return score(
            np.array(self.truth), np.array(self.predicted), classes=len(self.classes), pieces=np.array(self.pieces)
        )

    def write(self, path: Path) -> None:
        """Keep it as JSON, with its score for those who read it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_text(json.dumps(asdict(self) | {"score": asdict(self.score())}) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """What `write` kept, or None where there is nothing of the kind."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
            del values["score"]
            about = values.pop("about")
            task = values.pop("task")
            return cls(task=task, about=about, **{name: tuple(value) for name, value in values.items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None


def origin(task: Task, made_of: str) -> dict[str, str]:
    """What decides an outcome, for `about`: the method with its model as a word, and the files with their splits."""
    files = "\n".join(example.sha256 + example.split for example in task.found)
    return {"made_of": made_of, "files": hashlib.sha256(files.encode()).hexdigest()[:HASH_LENGTH]}


def evaluate_probe(
    task: Task,
    encoder: str,
    *,
    kind: VectorKind = "head",
    settings: EncoderSettings = EXACT,
    vectors: Path | None = None,
    progress: Callable[[int], None] = lambda _: None,
) -> Outcome:
    """A task by a probe on an encoder's vectors, or by trees on statistics, as `encoders.file_encoder` has them."""
    encode = file_encoder(encoder, vectors, kind=kind, settings=settings, progress=progress).encode
    return by_trees(task, encode) if encoder == STATISTICS else by_probe(task, encode)


def by_probe(task: Task, encode: Encode, **about: Any) -> Outcome:
    """A linear probe on the vectors of `encode`."""
    (x, y), (validation_x, validation_y), (test_x, _) = _encoded(task, encode)
    fitted = probe(x, y, validation_x, validation_y, classes=len(task.classes))
    return _outcome(task, task.split("test"), fitted.predict(test_x), about | {"epochs": fitted.epochs})


def by_trees(task: Task, statistics: Encode, *, trees: Trees = boosted, **about: Any) -> Outcome:
    """Trees on the statistics of the notes: `handcrafted.boosted` or `forest`."""
    (x, y), (validation_x, validation_y), (test_x, _) = _encoded(task, statistics)
    return _outcome(task, task.split("test"), trees(x, y, validation_x, validation_y, test_x), about)


def _encoded(task: Task, encode: Encode) -> list[tuple[Vectors, Ints]]:
    """Vectors and labels of train, validation and test."""
    splits = [task.split(name) for name in SPLITS]
    vectors = encode([_path(example) for examples in splits for example in examples])
    parts = np.split(vectors, np.cumsum([len(examples) for examples in splits])[:-1])
    return [(part, _labels(task, examples)) for part, examples in zip(parts, splits, strict=True)]


def by_run(task: Task, run: Path, *, slicing: Slicing = SUITING, device: torch.device | str = "cpu") -> Outcome:
    """The best epoch of a classifier's run, which must know the task's classes; asked once for each way of slicing.

    Where only its outcome came home, as `by_store` wrote it on another machine, that outcome counts.
    """
    best = best_model(run)
    kept = Outcome.read(run / OUTCOME)
    elsewhere = kept is not None and not best.is_file()
    made_by = kept.about["made_of"].split()[0] if kept and elsewhere else content_key(best)
    about = origin(task, f"{made_by} {slicing}")
    if kept is None or not about.items() <= kept.about.items():
        trained = training(load_any(best).metadata)
        kept = by_classifier(task, Labeller.load(best, slicing=slicing, device=device), **about, trained=trained)
        kept.write(run / OUTCOME)
    return kept


def by_store(task: Task, store: NoteStore, run: Path, *, device: torch.device | str = "cpu") -> Outcome:
    """`by_run` of the task's files that a note store holds, whose MIDI need not be there; kept in the run's folder."""
    index_of = {file.sha256[:HASH_LENGTH]: index for index, file in enumerate(store.files)}
    held = [replace(example, path=store.path) for example in task.examples if example.sha256 in index_of]
    task, best = replace(task, examples=tuple(held)), best_model(run)
    test, labeller = task.split("test"), Labeller.load(best, device=device)
    notes = [store.notes(index_of[example.sha256]) for example in test]
    predicted = labeller.of_notes(notes, 32)[:, [labeller.classes.index(name) for name in task.classes]].argmax(1)
    about = origin(task, f"{content_key(best)} {SUITING}") | {"trained": training(load_any(best).metadata)}
    outcome = _outcome(task, test, predicted.astype(np.int64), about)
    outcome.write(run / OUTCOME)
    return outcome


def by_classifier(task: Task, labeller: Labeller, **about: Any) -> Outcome:
    """A fine-tuned classifier, which must know the task's classes; trained on its train split by whoever made it."""
    if set(labeller.classes) != set(task.classes):
        told, asked = ", ".join(labeller.classes), ", ".join(task.classes)
        raise UserError(f"the classifier tells {told}, but task {task.name} asks for {asked}")
    test = task.split("test")
    order = [labeller.classes.index(name) for name in task.classes]
    probabilities = labeller.probabilities([_path(example) for example in test])[:, order]
    return _outcome(task, test, probabilities.argmax(1).astype(np.int64), about)


def training(metadata: Mapping[str, Any]) -> str:
    """How a model was trained, in short, out of what is kept with its weights; "" where nothing is."""
    recipe = metadata.get("recipe")
    if recipe is None:
        return ""
    loop, epochs = recipe["loop"], recipe["epochs"]
    extent = f"{loop['steps']} steps" if epochs is None else f"{epochs:g} epoch{'' if epochs == 1 else 's'}"
    words = [
        extent,
        f"batch {recipe['batch']}",
        f"{recipe['length']} tokens",
        f"{loop['optimiser']} at {loop['peak_lr']:g}",
    ]
    if "temperature" in recipe:
        words += [f"temperature {recipe['temperature']:g}", "pretrained" if recipe["pretrained"] else "from scratch"]
    return ", ".join(words)


def _outcome(task: Task, test: tuple[Example, ...], predicted: Ints, about: dict[str, Any]) -> Outcome:
    return Outcome(
        task=task.name,
        classes=task.classes,
        files=tuple(example.sha256 for example in test),
        pieces=tuple(example.piece for example in test),
        truth=tuple(_labels(task, test).tolist()),
        predicted=tuple(predicted.tolist()),
        about=about,
    )


def _labels(task: Task, examples: tuple[Example, ...]) -> Ints:
    return np.array([task.index(example) for example in examples], np.int64)


def _path(example: Example) -> Path:
    assert example.path is not None, "Task.split gives only what has been found"
    return example.path
