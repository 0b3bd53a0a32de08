"""Fit a linear head on an embedding model's vectors, and judge it on files that neither of them has seen.

    python -m benchmarks.tasks.make_classifier period MIDI --vectors VECTORS.parquet --stores STORE [STORE ...] \
        --head partimento/bundled/classifier.safetensors -o benchmarks/tasks/classifier.md

VECTORS are tables of `partimento embed` with the model of --embedder; files that are in none are left out. The
note stores say what the embedding model learned from. The head is a logistic regression on the task's training files,
all classes weighing the same; its strength and its temperature are chosen by the loss on the validation files, both
without test files. Judged are the test files of pieces of which no file was learned from by the embedding model; with
--labels, a CSV of paths below MIDI and splits, only those that it does not call train.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.common import Program, publish, table
from benchmarks.tasks.make_retrieval import trained
from partimento.corpus.store.note_store import digest
from partimento.embed.head import LinearHead
from partimento.evaluate.metrics import Estimate, interval, resampled, score
from partimento.evaluate.tasks import HASH_LENGTH, Example, Task, find
from partimento.model.hub import locate

STRENGTHS = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1)
TEMPERATURES = np.geomspace(0.2, 5, 100)
LEAST = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)
BINS = (0.0, 0.5, 0.7, 0.9, 1.0)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Vectors, class numbers and piece numbers of files."""

    x_nE: Floats
    y_n: Ints
    pieces: Ints


def split(
    task: Task, name: str, vectors: dict[str, NDArray[np.float32]], without: frozenset[int] = frozenset()
) -> Split:
    """A split's files that there are vectors of, but for some pieces."""
    ours = [each for each in task.examples if each.split == name and each.piece not in without]
    chosen = [each for each in ours if each.sha256 in vectors]
    return Split(
        x_nE=np.array([vectors[each.sha256] for each in chosen], np.float64),
        y_n=np.array([task.index(each) for each in chosen], np.int64),
        pieces=np.array([each.piece for each in chosen], np.int64),
    )


def fitted(train: Split, validation: Split, head: LinearHead) -> tuple[LinearHead, str]:
    """The head with weights, and in words what was chosen for it; channels are standardised on the training files."""
    mean_E, deviation_E = train.x_nE.mean(0), np.maximum(train.x_nE.std(0), 1e-6)
    best: tuple[float, LinearHead, str] | None = None
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, class_weight="balanced", max_iter=5000)
        model.fit((train.x_nE - mean_E) / deviation_E, train.y_n)
        coefficients, intercepts = model.coef_, model.intercept_
        if len(head.classes) == 2:  # it has one row then
            coefficients = np.vstack([-coefficients, coefficients]) / 2
            intercepts = np.append(-intercepts, intercepts) / 2
        weight_CE = coefficients / deviation_E
        bias_C = intercepts - weight_CE @ mean_E
        for temperature in TEMPERATURES:
            tried = replace(
                head,
                weight_CE=(weight_CE / temperature).astype(np.float32),
                bias_C=(bias_C / temperature).astype(np.float32),
            )
            right_n = np.take_along_axis(tried.probabilities(validation.x_nE), validation.y_n[:, None], axis=1)
            loss = float(-np.log(right_n).mean())
            if best is None or loss < best[0]:
                best = loss, tried, f"C = {strength:g}, temperature {temperature:.2f}, validation loss {loss:.3f} nats"
    assert best is not None
    return best[1], best[2]


def balanced_accuracy(y_n: Ints, said_n: Ints, pieces: Ints, classes: int) -> Estimate:
    """The mean over the classes of how many of their files are told, and its interval over resampled pieces."""
    weight_Rn = np.concatenate([np.ones((1, len(y_n))), resampled(pieces, 0)])
    of_class_Cn = np.arange(classes)[:, None] == y_n
    sizes_RC = weight_Rn @ of_class_Cn.T
    hits_RC = weight_Rn @ (of_class_Cn & (said_n == y_n)).T
    share_RC = np.divide(hits_RC, sizes_RC, out=np.full(sizes_RC.shape, np.nan), where=sizes_RC > 0)
    means = np.nanmean(share_RC, axis=1)
    return float(means[0]), interval(means[1:])


def page(head: LinearHead, test: Split, chosen: str, sizes: Sequence[str]) -> str:
    """What is said of a head on its test files."""
    shares_nC = head.probabilities(test.x_nE)
    said_n, sure_n = shares_nC.argmax(1).astype(np.int64), shares_nC.max(1)
    right_n = said_n == test.y_n
    found = score(test.y_n, said_n, classes=len(head.classes), pieces=test.pieces)
    balanced, (low, high) = balanced_accuracy(test.y_n, said_n, test.pieces, len(head.classes))
    confusion = [
        (name, *(int(((test.y_n == truth) & (said_n == said)).sum()) for said in range(len(head.classes))))
        for truth, name in enumerate(head.classes)
    ]
    calibration = []
    for begin, end in pairwise(BINS):
        here = (sure_n > begin) & (sure_n <= end)
        if here.any():
            means = f"{100 * sure_n[here].mean():.0f} %", f"{100 * right_n[here].mean():.0f} %"
            calibration.append((f"{begin:g} to {end:g}", int(here.sum()), *means))
    bins_n = np.digitize(sure_n, np.linspace(0, 1, 11))
    gap = sum(abs(sure_n[bins_n == one].sum() - right_n[bins_n == one].sum()) for one in set(bins_n.tolist()))
    thresholds = [
        (f"{least:g}", f"{100 * (sure_n >= least).mean():.0f} %", f"{100 * right_n[sure_n >= least].mean():.1f} %")
        for least in LEAST
        if (sure_n >= least).any()
    ]
    return "\n\n".join(
        [
            f"{', '.join(sizes)}. {chosen}.",
            f"On the {found.examples} test files: accuracy {100 * found.accuracy:.1f} % "
            f"({100 * found.accuracy_interval[0]:.1f} to {100 * found.accuracy_interval[1]:.1f}), balanced accuracy "
            f"{100 * balanced:.1f} % ({100 * low:.1f} to {100 * high:.1f}; chance {100 / len(head.classes):.0f}), "
            f"macro-F1 {100 * found.macro_f1:.1f} %; calibration error {gap / len(sure_n):.3f} (ten bins).",
            table(["truth \\ said", *head.classes], confusion),
            table(["probability said", "files", "mean of it", "right"], calibration),
            table(["called unknown below", "named", "of these right"], thresholds),
        ]
    )


def vectors_of(tables: Sequence[Path]) -> dict[str, NDArray[np.float32]]:
    """By the beginning of the SHA-256, as tasks name files."""
    rows = [
        row for path in tables for row in pq.read_table(path, columns=["sha256", "embedding"]).drop_null().to_pylist()
    ]
    return {row["sha256"][:HASH_LENGTH]: np.array(row["embedding"], np.float32) for row in rows}


def known_pieces(examples: Sequence[Example], seen: set[str]) -> frozenset[int]:
    """Pieces of which a file was seen, as the task numbers them."""
    return frozenset(each.piece for each in examples if each.sha256 in seen)


def declared(task: Task, midi: Path, labels: Path) -> set[str]:
    """The task's files that a CSV calls training files, whether or not they were taken for it."""
    with labels.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
    names = {row["path"].removeprefix(f"{midi.name}/") for row in rows}
    return {each.sha256 for each in task.found if each.path and each.path.relative_to(midi).as_posix() in names}


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = Program(__file__, __doc__, needs="vectors of the tasks' files, which quick music has none of")
    parser.add_argument("task")
    parser.add_argument("midi", type=Path)
    parser.add_argument("--vectors", type=Path, nargs="+", required=True)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--stores", type=Path, nargs="+", required=True)
    parser.add_argument("--embedder", default="bundled-embedding")
    parser.add_argument("--head", type=Path)
    parser.add_argument("--least", type=float, default=0.0, help="below this probability a file is called unknown")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    options = arguments(words)
    task = find(options.task, options.midi)
    vectors, seen = vectors_of(options.vectors), trained(options.stores)
    if options.labels is not None:
        seen |= declared(task, options.midi, options.labels)
    train, validation = (split(task, name, vectors) for name in ("train", "validation"))
    test = split(task, "test", vectors, known_pieces(task.examples, seen))
    empty = LinearHead(
        weight_CE=np.zeros((0, 0), np.float32),
        bias_C=np.zeros(0, np.float32),
        classes=task.classes,
        task=task.name,
        embedder=options.embedder,
        embedder_sha256=digest(locate(options.embedder)),
        least=options.least,
        licence="CC-BY-NC-SA-4.0",
    )
    head, chosen = fitted(train, validation, empty)
    if options.head is not None:
        head.save(options.head)
    names = {"training": train, "validation": validation, "test": test}
    sizes = [f"{len(each.y_n)} {name} files of {len(set(each.pieces.tolist()))} pieces" for name, each in names.items()]
    publish(options, f"A linear head for {task.name}", page(head, test, chosen, sizes))


if __name__ == "__main__":
    main()
