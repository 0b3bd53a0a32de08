"""Another performance of the piece: by vectors, by shared passages, and by both, one after the other.

    python -m benchmarks.library.retrieval MIDI --model bundled-embedding --vectors vectors -o retrieval.md

The performances are ASAP's, found in MIDI by content (evaluate/retrieval.py); vectors are kept in --vectors.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.common import Program, publish, table
from partimento.commands.common.precision import told_dtype
from partimento.corpus.duplicates.among import matches_among
from partimento.corpus.duplicates.fingerprints import Fingerprint, fingerprint
from partimento.corpus.duplicates.index import Match, PassageIndex
from partimento.embed.vectors import nearest, unit
from partimento.evaluate.encoders import STATISTICS, EncoderSettings, file_encoder
from partimento.evaluate.retrieval import DISTANCES, by_chance, judged_by, performances
from partimento.evaluate.tasks import Example, contents, located
from partimento.midi.performance import Performance
from partimento.tokens.notes import Notes

FIRST_STAGE = 64
Floats = npt.NDArray[np.floating]


def _standardised(vectors: Floats) -> Floats:
    return (vectors - vectors.mean(axis=0)) / np.maximum(vectors.std(axis=0), 1e-6)


def _scored(found: Sequence[Match], beside: Floats) -> Floats:
    """Files that share passages before all others, and these in the order of `beside`."""
    scores = beside.copy()
    for place, match in enumerate(found):
        scores[match.file] = 1e6 - place
    return scores


def main(words: Sequence[str] | None = None) -> None:
    program = Program(__file__, __doc__, needs="the performances of ASAP are nobody's to make up")
    program.add_argument("midi", type=Path)
    program.add_argument("--model", default="bundled-embedding")
    program.add_argument("--vectors", type=Path, required=True)
    program.add_argument("--half", action="store_true")
    arguments = program.parse_args(words)
    examples = located(performances(), contents(arguments.midi)).found
    paths = [example.path for example in examples if example.path is not None]
    settings = EncoderSettings(dtype=told_dtype("cpu", half=arguments.half))
    encoded = file_encoder(arguments.model, arguments.vectors, settings=settings).encode(paths).astype(np.float64)
    statistics = _standardised(file_encoder(STATISTICS, arguments.vectors).encode(paths).astype(np.float64))
    prints = [fingerprint(Notes.from_performance(Performance.from_midi(path))) for path in paths]
    folder = arguments.vectors / "passages"
    if not folder.exists():
        PassageIndex.build(zip(map(str, paths), [""] * len(paths), prints, strict=True), folder)
    index = PassageIndex(folder)
    none = np.full(len(paths), -np.inf)
    rows: list[tuple] = []

    def judge(name: str, distance: str, answer: Callable[[int], Floats]) -> None:
        answer(0)
        begun = time.process_time()
        near = np.stack([answer(query) for query in range(len(paths))])
        cost = f"{1000 * (time.process_time() - begun) / len(paths):.1f}"
        rows.extend(_rows(judged_by(near, examples, name=name, distance=distance), cost))

    def two_stages(vectors: Floats) -> Callable[[int], Floats]:
        directions = unit(vectors)

        def answer(query: int) -> Floats:
            near, _ = nearest(directions, directions[query : query + 1], min(FIRST_STAGE + 1, len(paths)))
            others = [int(at) for at in near[0] if at != query][:FIRST_STAGE]
            found = matches_among(prints[query], [prints[at] for at in others], [str(at) for at in others])
            scores = directions @ directions[query]
            for place, match in enumerate(found):
                scores[others[match.file]] = 1e6 - place
            return scores

        return answer

    for name, vectors in ((STATISTICS + ", standardised", statistics), ("embedding", encoded)):
        cosine = DISTANCES["cosine"](vectors)
        judge(name, "cosine", lambda query, cosine=cosine: cosine[query])
        judge(f"{name}, then passages", f"{FIRST_STAGE} nearest", two_stages(vectors))
    cosine = DISTANCES["cosine"](encoded)
    judge("passages", "shared", lambda query: _scored(index.query(prints[query]), none))
    judge("passages, then embedding", "shared", lambda query: _scored(index.query(prints[query]), cosine[query]))
    chance = _rows(by_chance(examples), "")
    publish(
        arguments,
        "Another performance of the same piece",
        f"{len(paths)} performances of ASAP, each that has another one of its piece a query among all others. "
        "Recall: the share of queries with one of them among the 1 and the 10 nearest, %, with 95 % intervals (pieces "
        "resampled). Milliseconds of one core for a query, without reading and embedding its file.",
        table(["by", "order", "pieces", "queries", "recall at 1", "recall at 10", "ms"], [*chance, *rows]),
        _strangers(index, prints, examples),
    )


def _rows(findings: Sequence, cost: str) -> list[tuple]:
    def percent(estimate) -> str:
        value, (low, high) = estimate
        return f"{100 * value:.1f} [{100 * low:.0f}–{100 * high:.0f}]"

    return [
        (one.encoder, one.distance, one.split, one.queries, *map(percent, one.recall.values()), cost)
        for one in findings
    ]


def _strangers(index: PassageIndex, prints: Sequence[Fingerprint], examples: Sequence[Example]) -> str:
    """How often files that are said to share a piece are of different ones."""
    right = wrong = 0
    for query, asked in enumerate(prints):
        for match in index.query(asked):
            if match.file != query:
                same = examples[match.file].piece == examples[query].piece
                right, wrong = right + same, wrong + (not same)
    _, sizes = np.unique([example.piece for example in examples], return_counts=True)
    pairs = int((sizes * (sizes - 1)).sum())
    return (
        f"Of {pairs:,} ordered pairs that play one piece, passages name {right:,} ({100 * right / pairs:.1f} %); "
        f"{wrong} pairs that they name play two."
    )


if __name__ == "__main__":
    main()
