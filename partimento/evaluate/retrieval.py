"""Retrieval: given a performance, is another performance of its piece among the nearest?

Knows: the performances of ASAP by content and piece (a manifest; no MIDI comes with it), three distances, recall at 1
and 10 beside chance, and that pieces which models were trained on are judged apart from those held out. Refuses to
know: where vectors come from.

    task = located(performances(), contents(Path("midi")))
    vectors = file_encoder("runs/embedding", Path("vectors")).encode([example.path for example in task.found])
    judged("ours", vectors, task.found)                                  # a Finding for each distance and split
    evaluate_retrieval(Path("midi"), Path("out"), {"ours": "runs/embedding"})       # all of it, and retrieval.md

Every performance that has another one of its piece is a query; all others, those of pieces played once too, are
candidates. Recall at k is the share of queries with another performance of the piece among the k nearest.

Shape legend: n performances, q queries among them, E channels of a vector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from partimento.errors import UserError
from partimento.evaluate.encoders import EXACT, STATISTICS, EncoderSettings, file_encoder
from partimento.evaluate.metrics import Estimate, share
from partimento.evaluate.tables import bounded, table, write
from partimento.evaluate.tasks import Example, Task, contents, located, read_manifest

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

NAME: Final = "retrieval"
AT: Final = (1, 10)
SPLIT_NAMES: Final = {"test": "held out", "train": "trained on"}
"""The manifest's splits, and what they are called here."""
_LEAST_DEVIATION: Final = 1e-6


def performances() -> Task:
    """The performances of ASAP as the package knows them, each labelled with its piece; none is located yet."""
    examples = read_manifest(NAME)
    return Task(name=NAME, classes=tuple(sorted({example.label for example in examples})), examples=examples)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Recall at each of `AT` of an encoder by a distance on the queries of a split; intervals resample pieces."""

    encoder: str
    distance: str
    split: str
    queries: int
    pieces: int
    recall: Mapping[int, Estimate]


def evaluate_retrieval(
    data: Path,
    out: Path,
    models: Mapping[str, str],
    *,
    pooled: Mapping[str, str] | None = None,
    settings: EncoderSettings = EXACT,
    say: Callable[[str], None] = lambda _: None,
) -> list[Finding]:
    """Judges models by their names, of those in `pooled` the mean of the hidden states, statistics and chance.

    Performances are found in the folder `data`; retrieval.md, retrieval.csv and the vectors are kept in `out`. Raises
    `UserError` where no performance is found, or a name stands for two encoders.
    """
    pooled = pooled or {}
    task = located(performances(), contents(data))
    if not task.found:
        raise UserError(f"{data}: none of the performances of ASAP is in it")
    if task.missing:
        say(f"{len(task.missing)} of {len(task.examples)} performances are not in {data}")
    twice = ({STATISTICS} & {*models, *pooled}) | (models.keys() & pooled.keys())
    if twice:
        raise UserError(f"--models, --pooled: {min(twice)!r} would name two encoders; choose another name")
    vectors = out / "vectors"
    encoders = {
        STATISTICS: file_encoder(STATISTICS, vectors),
        **{name: file_encoder(model, vectors, settings=settings) for name, model in models.items()},
        **{name: file_encoder(model, vectors, kind="pooled", settings=settings) for name, model in pooled.items()},
    }
    findings = by_chance(task.found)
    for name, encoder in encoders.items():
        findings += judged(name, encoder.encode(task.paths), task.found)
        say(f"{name}: judged")
    write(out, NAME, markdown=markdown(findings), rows=[csv_row(finding) for finding in findings])
    return findings


def judged(name: str, vectors_nE: Floats, examples: Sequence[Example]) -> list[Finding]:
    """Findings for the vectors of `examples`, a row for each, by every distance on every split that has queries."""
    found = []
    for distance, nearness in DISTANCES.items():
        found += judged_by(nearness(np.asarray(vectors_nE, np.float64)), examples, name=name, distance=distance)
    return found


def judged_by(near_nn: Floats, examples: Sequence[Example], *, name: str, distance: str) -> list[Finding]:
    """The same for any nearness: `near_nn[i, j]` is the larger the nearer j is to i, -inf where it is not found."""
    rank_q, query_q = ranks(near_nn, np.array([example.piece for example in examples]))
    return _by_split(name, distance, query_q, examples, [(rank_q < at).astype(np.float64) for at in AT])


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
    for split, called in SPLIT_NAMES.items():
        chosen = np.array([examples[query].split == split for query in query_q], bool)
        if not chosen.any():
            continue
        pieces = np.array([examples[query].piece for query in query_q[chosen]])
        recall = {at: share(hit_q[chosen], pieces=pieces) for at, hit_q in zip(AT, hits, strict=True)}
        facts = {"queries": len(pieces), "pieces": len(set(pieces.tolist()))}
        found.append(Finding(encoder=name, distance=distance, split=called, recall=recall, **facts))
    if not found:
        raise UserError("no piece has two performances among the data; see partimento evaluate retrieval --help")
    return found


def markdown(findings: Sequence[Finding]) -> str:
    """A table in percent for each split."""
    parts = [
        "Another performance of the same piece among the nearest 1 and 10, %, with 95 % intervals (pieces resampled)."
    ]
    for split in SPLIT_NAMES.values():
        of_split = [finding for finding in findings if finding.split == split]
        if of_split:
            rows = [(one.encoder, one.distance, *map(_percent, one.recall.values())) for one in of_split]
            parts.append(f"Pieces {split}: {of_split[0].queries} queries of {of_split[0].pieces} pieces.")
            parts.append(table(["vectors", "distance", *(f"recall at {at}" for at in AT)], rows))
    return "\n\n".join(parts) + "\n"


def csv_row(finding: Finding) -> dict[str, Any]:
    """A finding as a line of the CSV, recalls as shares."""
    facts = {name: getattr(finding, name) for name in ("encoder", "distance", "split", "queries", "pieces")}
    for at, estimate in finding.recall.items():
        facts |= bounded(f"at_{at}", *estimate)
    return facts


def _percent(estimate: Estimate) -> str:
    value, (low, high) = estimate
    return f"{100 * value:.1f} [{100 * low:.0f}–{100 * high:.0f}]"
