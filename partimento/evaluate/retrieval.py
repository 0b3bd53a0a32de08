"""Retrieval: given a performance, is another performance of its piece among the nearest?

Knows: the performances of ASAP by content and piece (a manifest; no MIDI comes with it), three distances, recall at 1
and 10 beside chance, and that pieces which models were trained on are judged apart from those held out. Refuses to
know: where vectors come from.

    task = located(performances(), contents(Path("midi")))
    vectors = source("runs/embedding", Path("vectors")).encode([example.path for example in task.found])
    judged("ours", vectors, task.found)                                  # a Finding for each distance and split

Every performance that has another one of its piece is a query; all others, those of pieces played once too, are
candidates. Recall at k is the share of queries with another performance of the piece among the k nearest.

Shape legend: n performances, q queries among them, E channels of a vector.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from partimento.errors import UserError
from partimento.evaluate.metrics import Interval, share
from partimento.evaluate.tasks import Example, Task, read_manifest
from partimento.files import replacing

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

NAME: Final = "retrieval"
AT: Final = (1, 10)
SPLITS: Final = {"test": "held out", "train": "trained on"}
"""The manifest's splits, and what they are called here."""
_LEAST_DEVIATION: Final = 1e-6


def performances() -> Task:
    """The performances of ASAP as the package knows them, each labelled with its piece; none is located yet."""
    examples = read_manifest(NAME)
    return Task(name=NAME, classes=tuple(sorted({example.label for example in examples})), examples=examples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Recall of an encoder by a distance on the queries of a split, with 95 % intervals (pieces resampled)."""

    encoder: str
    distance: str
    split: str
    queries: int
    pieces: int
    at_1: float
    at_1_interval: Interval
    at_10: float
    at_10_interval: Interval


def judged(name: str, vectors_nE: Floats, examples: Sequence[Example]) -> list[Finding]:
    """Findings for the vectors of `examples`, a row for each, by every distance on every split that has queries."""
    piece_n = np.array([example.piece for example in examples])
    found = []
    for distance, nearness in DISTANCES.items():
        rank_q, query_q = ranks(nearness(np.asarray(vectors_nE, np.float64)), piece_n)
        found += _by_split(name, distance, query_q, examples, [(rank_q < at).astype(np.float64) for at in AT])
    return found


def by_chance(examples: Sequence[Example]) -> list[Finding]:
    """The same of candidates in an order drawn at random, exactly."""
    piece_n = np.array([example.piece for example in examples])
    _, piece_of, sizes = np.unique(piece_n, return_inverse=True, return_counts=True)
    query_q = np.flatnonzero(sizes[piece_of] > 1)
    candidates = len(piece_n) - 1
    strangers_q = candidates - (sizes[piece_of[query_q]] - 1)
    hits = [
        1 - np.prod([np.maximum(strangers_q - n, 0) / (candidates - n) for n in range(min(at, candidates))], axis=0)
        for at in AT
    ]
    return _by_split("chance", "", query_q, examples, hits)


def ranks(near_nn: Floats, piece_n: Ints) -> tuple[Ints, Ints]:
    """How many candidates of other pieces are at least as near as the nearest other performance [q], of which rows [q].

    `near_nn[i, j]` is the larger the nearer j is to i.
    """
    same_nn = piece_n[:, None] == piece_n
    other_nn = same_nn & ~np.eye(len(piece_n), dtype=bool)
    query_q = np.flatnonzero(other_nn.any(axis=1))
    best_q = np.where(other_nn, near_nn, -np.inf).max(axis=1)[query_q]
    nearer_qn = (near_nn[query_q] >= best_q[:, None]) & ~same_nn[query_q]
    return nearer_qn.sum(axis=1), query_q


def _cosine(x_nE: Floats) -> Floats:
    x_nE = x_nE / np.maximum(np.linalg.norm(x_nE, axis=1, keepdims=True), 1e-12)
    return x_nE @ x_nE.T


def _standardised(x_nE: Floats) -> Floats:
    return (x_nE - x_nE.mean(axis=0)) / np.maximum(x_nE.std(axis=0), _LEAST_DEVIATION)


def _euclidean(x_nE: Floats) -> Floats:
    square_n = (x_nE**2).sum(axis=1)
    return 2 * x_nE @ x_nE.T - square_n[:, None] - square_n


DISTANCES: Final[dict[str, Callable[[Floats], Floats]]] = {
    "cosine": _cosine,
    "cosine, standardised": lambda x_nE: _cosine(_standardised(x_nE)),
    "euclidean, standardised": lambda x_nE: _euclidean(_standardised(x_nE)),
}
"""Vectors [n, E] -> nearness [n, n]; standardised: every channel at mean 0 and deviation 1 over all performances."""


def _by_split(
    name: str, distance: str, query_q: Ints, examples: Sequence[Example], hits: Sequence[Floats]
) -> list[Finding]:
    found = []
    for split, called in SPLITS.items():
        chosen = np.array([examples[query].split == split for query in query_q], bool)
        if not chosen.any():
            continue
        pieces = np.array([examples[query].piece for query in query_q[chosen]])
        (at_1, at_1_interval), (at_10, at_10_interval) = (share(hit_q[chosen], pieces=pieces) for hit_q in hits)
        found.append(
            Finding(
                encoder=name,
                distance=distance,
                split=called,
                queries=len(pieces),
                pieces=len(set(pieces.tolist())),
                at_1=at_1,
                at_1_interval=at_1_interval,
                at_10=at_10,
                at_10_interval=at_10_interval,
            )
        )
    if not found:
        raise UserError("no piece has two performances among the data; see partimento evaluate retrieval --help")
    return found


def write(findings: Sequence[Finding], folder: Path) -> None:
    """retrieval.md and retrieval.csv in `folder`."""
    for name, text in (("retrieval.md", markdown(findings)), ("retrieval.csv", as_csv(findings))):
        with replacing(folder / name) as part:
            part.write_text(text, encoding="utf-8")


def markdown(findings: Sequence[Finding]) -> str:
    """A table in percent for each split."""
    lines = [
        "Another performance of the same piece among the nearest 1 and 10, %, with 95 % intervals (pieces resampled)."
    ]
    for split in SPLITS.values():
        of_split = [finding for finding in findings if finding.split == split]
        if not of_split:
            continue
        lines += ["", f"Pieces {split}: {of_split[0].queries} queries of {of_split[0].pieces} pieces.", ""]
        lines += ["| vectors | distance | recall at 1 | recall at 10 |", "|---|---|---|---|"]
        for finding in of_split:
            shown = (_percent(finding.at_1, finding.at_1_interval), _percent(finding.at_10, finding.at_10_interval))
            lines.append(f"| {finding.encoder} | {finding.distance} | {' | '.join(shown)} |")
    return "\n".join(lines) + "\n"


def as_csv(findings: Sequence[Finding]) -> str:
    """A line for each finding, recalls as shares."""
    text = io.StringIO(newline="")
    writer = None
    for finding in findings:
        row: dict[str, Any] = {}
        for name, value in asdict(finding).items():
            ends = (f"{name.removesuffix('interval')}{end}" for end in ("low", "high"))
            row |= dict(zip(ends, value, strict=True)) if isinstance(value, tuple) else {name: value}
        if writer is None:
            writer = csv.DictWriter(text, list(row), lineterminator="\n")
            writer.writeheader()
        writer.writerow({name: f"{value:.4f}" if isinstance(value, float) else value for name, value in row.items()})
    return text.getvalue()


def _percent(value: float, interval: Interval) -> str:
    return f"{100 * value:.1f} [{100 * interval[0]:.0f}–{100 * interval[1]:.0f}]"
