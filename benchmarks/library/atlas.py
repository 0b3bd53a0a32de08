"""The map of the composers: a work that no model has seen, placed on it; and how well neighbours tell composers.

    python -m benchmarks.library.atlas MIDI --vectors vectors --stores pretrain contrastive --work 83 --figure atlas.png

The files are those of the composer task (docs/evaluation.md), found in MIDI by content, or a metadata.json. `--work` is
the piece whose performances are left out when the map is drawn and placed on it afterwards; `--stores` are the note
stores that the model has learned from, so that files of other pieces can be judged apart.
"""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.common import Program, percent, publish, table
from benchmarks.tasks.make_retrieval import trained
from partimento.commands.common.precision import told_dtype
from partimento.embed.vectors import nearest, unit
from partimento.evaluate.encoders import STATISTICS, EncoderSettings, file_encoder
from partimento.evaluate.metrics import share
from partimento.evaluate.tasks import Example, find
from partimento.library.atlas.figure import write_figure
from partimento.library.atlas.map import Atlas, draw_map
from partimento.library.atlas.page import MapFiles

K = 10
Floats = npt.NDArray[np.floating]


def predicted(near_nn: Floats, label_n: npt.NDArray, piece_n: npt.NDArray, *, without_piece: bool) -> npt.NDArray:
    """The commonest label of the K nearest of each file, of equals that of the nearest."""
    barred = piece_n[:, None] == piece_n if without_piece else np.eye(len(piece_n), dtype=bool)
    order_nk = np.argsort(np.where(barred, -np.inf, near_nn) * -1, axis=1, kind="stable")[:, :K]
    return np.array([Counter(label_n[row].tolist()).most_common(1)[0][0] for row in order_nk])


def standardised(vectors: Floats) -> Floats:
    return (vectors - vectors.mean(axis=0)) / np.maximum(vectors.std(axis=0), 1e-6)


def closeness(xy: Floats) -> Floats:
    return -np.linalg.norm(xy[:, None] - xy, axis=2)


def named(examples: Sequence[Example], root: Path, labels: Path | None) -> list[str]:
    """Paths without the root; behind one the title that a table gives its file."""
    base = root.resolve() if root.is_dir() else root.resolve().parent
    paths = [example.path.resolve().relative_to(base) for example in examples if example.path is not None]
    titles: dict[str, str] = {}
    if labels is not None:
        with labels.open(newline="", encoding="utf-8") as file:
            titles = {row["path"]: f" ({row['title'].replace('_', ' ')})" for row in csv.DictReader(file)}
    return [path.with_suffix("").as_posix() + titles.get(f"{base.name}/{path}", "") for path in paths]


def main(words: Sequence[str] | None = None) -> None:
    program = Program(__file__, __doc__, quick="{layout} --model statistics --vectors {work} --work 0")
    program.add_argument("midi", type=Path)
    program.add_argument("--model", default="bundled-embedding")
    program.add_argument("--vectors", type=Path, required=True)
    program.add_argument("--half", action="store_true")
    program.add_argument("--stores", type=Path, nargs="*", default=())
    program.add_argument("--work", type=int, required=True)
    program.add_argument("--labels", type=Path, help="a CSV with titles")
    program.add_argument("--figure", type=Path)
    program.add_argument("--called", help="what the figure calls the work")
    arguments = program.parse_args(words)
    examples = find("composer", arguments.midi).found
    paths = [example.path for example in examples if example.path is not None]
    label_n = np.array([example.label for example in examples])
    piece_n = np.array([example.piece for example in examples])
    settings = EncoderSettings(dtype=told_dtype("cpu", half=arguments.half))
    encoded = file_encoder(arguments.model, arguments.vectors, settings=settings).encode(paths).astype(np.float64)
    statistics = standardised(file_encoder(STATISTICS, arguments.vectors).encode(paths).astype(np.float64))
    seen = trained(list(arguments.stores))
    new_n = np.array([example.sha256 not in seen for example in examples])
    names = named(examples, arguments.midi, arguments.labels)

    begun = time.process_time()
    maps = {kind: draw_map(vectors, names) for kind, vectors in (("", encoded), ("statistics", statistics))}
    seconds = (time.process_time() - begun) / 2
    kinds = {
        "embedding": unit(encoded) @ unit(encoded).T,
        "its map": closeness(maps[""].xy),
        "statistics of the notes": unit(statistics) @ unit(statistics).T,
        "their map": closeness(maps["statistics"].xy),
    }
    _, counts = np.unique(label_n, return_counts=True)
    guessed = float(((counts / counts.sum()) ** 2).sum())
    rows = [
        ["chance", *[f"{percent(guessed)}"] * 3],
        ["the commonest composer", *[percent(counts.max() / counts.sum())] * 3],
    ]
    for kind, near in kinds.items():
        row = [kind]
        for without_piece, chosen in ((False, new_n | True), (True, new_n | True), (True, new_n)):
            hits = predicted(near, label_n, piece_n, without_piece=without_piece) == label_n
            value, (low, high) = share(hits[chosen].astype(np.float64), pieces=piece_n[chosen])
            row.append(f"{100 * value:.1f} [{100 * low:.0f}–{100 * high:.0f}]")
        rows.append(row)

    work_n = piece_n == arguments.work
    others = [name for name, out in zip(names, work_n, strict=True) if not out]
    atlas = draw_map(encoded[~work_n], others)
    again = draw_map(encoded[~work_n], others)
    placed = atlas.add(encoded[~work_n], [names[at] for at in np.flatnonzero(work_n)], encoded[work_n])
    if arguments.figure:
        composers = [*label_n[~work_n].tolist(), *label_n[work_n].tolist()]
        titled = MapFiles(paths=placed.names, titles=placed.names, kinds={"composer": composers})
        sources = [example.source for example, out in zip(examples, work_n, strict=True) if out]
        first = {
            len(others) + sources.index(source): f"{arguments.called or placed.names[len(others)]} ({source})"
            for source in sorted(set(sources))
        }
        write_figure(
            arguments.figure,
            placed,
            titled,
            title="Files by composer; the stars were placed on the map of the others",
            named=first,
        )
    publish(
        arguments,
        "The map of the composers",
        f"{len(examples)} files of {len(counts)} composers and {len(set(piece_n.tolist()))} pieces; {new_n.sum()} of "
        f"them are of pieces that are in no training split of the stores given. {maps[''].about}. "
        f"A map takes {seconds:.0f} s of one core; drawn again, its places are "
        f"{'the same' if again.xy.tobytes() == atlas.xy.tobytes() else 'OTHERS'}, byte for byte.",
        f"Composer by the {K} nearest files, accuracy in %, 95 % intervals (pieces resampled). With the piece: other "
        "performances of it may be among the nearest. Without: they may not.",
        table(["nearest by", "with the piece", "without the piece", "without, pieces not trained on"], rows),
        *around(examples, encoded, names, placed, work_n),
    )


def around(
    examples: Sequence[Example], encoded: Floats, names: Sequence[str], placed: Atlas, work_n: npt.NDArray
) -> list[str]:
    """What stands around the performances of the work, which are the last ones of the map."""
    label_n = np.array([example.label for example in examples])
    drawn = label_n[~work_n]
    queries = np.flatnonzero(work_n)
    others = np.flatnonzero(~work_n)
    near, distance = nearest(unit(encoded[others]), unit(encoded[queries]), K)
    away = np.linalg.norm(placed.xy[len(others) :, None] - placed.xy[: len(others)], axis=2)
    on_map = np.argsort(away, axis=1, kind="stable")[:, :K]
    source_n = np.array([example.source for example in examples])
    rows, nearest_to = [], list[str]()
    for at, (query, by_vector, by_place) in enumerate(zip(queries, near, on_map, strict=True)):
        alike = [int((drawn[found] == label_n[query]).sum()) for found in (by_vector, by_place)]
        rows.append((names[query], *alike, int((source_n[others[by_vector]] == source_n[query]).sum())))
        if source_n[query] not in source_n[queries[:at]]:
            found = [
                (names[others[other]], drawn[other], f"{1 - far**2 / 2:.3f}")
                for other, far in zip(by_vector, distance[at], strict=True)
            ]
            nearest_to += [f"The nearest to {names[query]}, by the vectors:"]
            nearest_to += [table(["file", "composer", "cosine"], found)]
    of_all = percent(float((drawn == label_n[queries[0]]).mean()))
    return [
        f"A work by {label_n[queries[0]]} placed on a map drawn without it: how many of the {K} nearest files are by "
        f"its composer (of all files {of_all}), and from its collection.",
        table(["performance", "by vectors", "on the map", "of its collection"], rows),
        *nearest_to,
    ]


if __name__ == "__main__":
    main()
