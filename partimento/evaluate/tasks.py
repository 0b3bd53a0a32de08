"""Classification tasks: which files, which labels, which split.

Knows: the six tasks of the paper's Table 2 with its classes (section 4.1), each a manifest of content hashes inside the
package, and the published layout of splits, `metadata.json`: {category: {split: {path: label}}}. It refuses to know
what is done with the files; no MIDI comes with it, and a file is found by what is in it, wherever it lies and whatever
it is called.

    >>> composer = located(task("composer"), contents(Path("midi")))      # doctest: +SKIP
    >>> composer.split("test")[0].path, composer.missing                  # doctest: +SKIP

docs/evaluation.md says how the splits were drawn.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import pyarrow as pa

from partimento.corpus.archives import is_midi
from partimento.corpus.selection.splits import SPLITS
from partimento.corpus.store.plans import PLAN_COLUMNS
from partimento.errors import UserError

TASKS: Final[dict[str, tuple[str, ...]]] = {
    "genre": ("classical", "jazz"),
    "form": ("nocturne", "sonata", "prelude", "etude", "fugue", "waltz"),
    "period": ("baroque", "classical", "romantic", "impressionist"),
    "composer": (
        "bach", "beethoven", "brahms", "chopin", "debussy", "liszt", "mozart", "rachmaninoff", "schubert", "schumann",
    ),
    "pianist8": ("Bethel", "Clayderman", "Einaudi", "Hancock", "Hillsong", "Hisaishi", "Ryuichi", "Yiruma"),
    "vgmidi": ("happy", "sad", "calm", "tense"),
}  # fmt: skip
"""Classes of each task, in the order of the paper's columns. The paper's sixth form is the improvisation, of which the
files at hand have one; preludes stand in for it."""

COLUMNS: Final = ("sha256", "label", "split", "source", "piece")
HASH_LENGTH: Final = 16
"""Hexadecimal digits of a file's SHA-256 that stand for it."""
CARVED: Final = 0.15
"""Share of a layout's training files that become validation where it has none."""

_LAYOUT_NAMES: Final = {"music_period": "period", "pianist": "pianist8", "emotion": "vgmidi"}
_SPLIT_NAMES: Final = {"val": "validation", "valid": "validation", "dev": "validation"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A file with a label. `sha256` is cut to `HASH_LENGTH` digits; `source` is the collection it came from.

    Files of one `piece` number are the same piece or tied by one; they share a split. `path` is None until it is found.
    """

    sha256: str
    label: str
    split: str
    source: str = ""
    piece: int
    path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task's examples, those of one file once."""

    name: str
    classes: tuple[str, ...]
    examples: tuple[Example, ...]

    @property
    def missing(self) -> tuple[Example, ...]:
        """The examples whose files have not been found."""
        return tuple(example for example in self.examples if example.path is None)

    @property
    def found(self) -> tuple[Example, ...]:
        """The examples that there are files for."""
        return tuple(example for example in self.examples if example.path is not None)

    @property
    def paths(self) -> list[Path]:
        """Where the files are that have been found."""
        return [example.path for example in self.examples if example.path is not None]

    def split(self, name: str) -> tuple[Example, ...]:
        """The examples of a split that there are files for; raises `UserError` if there are none."""
        chosen = tuple(example for example in self.found if example.split == name)
        if not chosen:
            raise UserError(
                f"task {self.name}: none of its {name} files is among the data; see partimento evaluate tasks --data"
            )
        return chosen

    def index(self, example: Example) -> int:
        """Number of the example's class."""
        return self.classes.index(example.label)


def task(name: str) -> Task:
    """A task of Table 2 as the package knows it; none of its files is located yet."""
    if name not in TASKS:
        raise UserError(f"no task is called {name!r}; choose one of {', '.join(TASKS)}")
    return Task(name=name, classes=TASKS[name], examples=read_manifest(name))


def read_manifest(name: str) -> tuple[Example, ...]:
    """The examples of a manifest of the package; none is located yet."""
    path = Path(__file__).parent / "manifests" / f"{name}.csv"
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(
            Example(sha256=sha256, label=label, split=split, source=source, piece=int(piece))
            for sha256, label, split, source, piece in islice(csv.reader(file), 1, None)
        )


def contents(folder: Path) -> Mapping[str, Path]:
    """Every MIDI file in a folder and the folders in it by its content, so that names do not matter."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder of MIDI files")
    paths = sorted(path for path in folder.rglob("*") if is_midi(path.name) and path.is_file())
    return {content_key(path): path for path in reversed(paths)}


def content_key(path: Path) -> str:
    """The first `HASH_LENGTH` digits of a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:HASH_LENGTH]


def located(task: Task, files: Mapping[str, Path]) -> Task:
    """The task with the paths of those files that are among `files`, as `contents` gives them."""
    examples = tuple(replace(example, path=files.get(example.sha256)) for example in task.examples)
    return replace(task, examples=examples)


def find_all(data: Path) -> list[Task]:
    """Every task with its files: those of the package in a folder of MIDI, or those of a `metadata.json`."""
    if data.suffix == ".json":
        return read_layout(data)
    files = contents(data)
    return [located(task(name), files) for name in TASKS]


def find(name: str, data: Path) -> Task:
    """One task with its files; see `find_all`."""
    if data.suffix != ".json":
        return located(task(name), contents(data))
    tasks = {task.name: task for task in read_layout(data)}
    if name not in tasks:
        raise UserError(f"{data}: has no category {name!r}; there are {', '.join(tasks)}")
    return tasks[name]


def plan(task: Task) -> pa.Table:
    """The task's files as a plan for a note store, with their splits, pieces and labels (`corpus/plans.py`)."""
    found = task.found
    paths = [example.path.resolve() for example in found if example.path is not None]
    columns = {
        "source": [str(path.parent) for path in paths],
        "path": [path.name for path in paths],
        "sha256": [hashlib.sha256(path.read_bytes()).digest() for path in paths],
        "split": [example.split for example in found],
        "piece": [example.piece for example in found],
        "performance": range(len(found)),
        task.name: [example.label for example in found],
    }
    return pa.table(columns, pa.schema([*PLAN_COLUMNS, pa.field(task.name, pa.string())]))


def read_layout(metadata: Path) -> list[Task]:
    """Tasks in the published layout: paths are relative to the folder of `metadata`.

    Where a category has no validation split, every class gives `CARVED` of its training files to one, chosen by their
    content. Pieces are not known, so every file is one by itself. A file that is named but not there stays missing.
    """
    try:
        layout = json.loads(metadata.read_text(encoding="utf-8"))
        return [_layout_task(metadata.parent, name, splits) for name, splits in layout.items()]
    except (OSError, ValueError, AttributeError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"{metadata}: not a layout of splits, {{category: {{split: {{path: label}}}}}}: {error}"
        ) from error


def _layout_task(folder: Path, name: str, splits: Mapping[str, Mapping[str, str]]) -> Task:
    examples: dict[str, Example] = {}
    for split_name, labels in splits.items():
        split = _SPLIT_NAMES.get(split_name, split_name)
        if split not in SPLITS:
            raise UserError(f"{folder}: category {name!r} has a split {split_name!r}; known are {', '.join(SPLITS)}")
        for relative, label in labels.items():
            path = folder / relative
            there = path if path.is_file() else None
            key = content_key(path) if there else relative
            example = Example(sha256=key, label=label, split=split, piece=len(examples), path=there)
            first = examples.setdefault(key, example)
            if first.split != split:
                raise UserError(f"{path}: is in the splits {first.split} and {split} of {name!r}; leave it in one")
    ordered = list(examples.values())
    if not any(example.split == "validation" for example in ordered):
        ordered = _carved(ordered)
    classes = tuple(dict.fromkeys(sorted(example.label for example in ordered)))
    return Task(name=_LAYOUT_NAMES.get(name, name), classes=classes, examples=tuple(ordered))


def _carved(examples: list[Example]) -> list[Example]:
    training = [example for example in examples if example.split == "train"]
    chosen: set[str] = set()
    for label in {example.label for example in training}:
        keys = sorted(example.sha256 for example in training if example.label == label)
        chosen.update(keys[: round(CARVED * len(keys))])
    return [
        replace(example, split="validation") if example.split == "train" and example.sha256 in chosen else example
        for example in examples
    ]
