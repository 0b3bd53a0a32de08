"""What the recipes make of a surveyed corpus, in numbers; and how long a selection takes when the corpus is large.

    python -m benchmarks.corpus.selection counts CORPUS
    python -m benchmarks.corpus.selection scale CORPUS --rows 1200000

`counts` applies every named recipe, then pretraining's once more with the rule about pieces at a lower edge, so that it
bites on a small corpus too, and with declared splits passed over. `scale` repeats the corpus's rows under new names and
contents up to the number asked for and times what `partimento select` does with them, but for recognising
near-duplicates, which has a benchmark of its own.
"""

from __future__ import annotations

import dataclasses
import hashlib
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.common import Program, publish, table
from partimento.corpus import overlap as overlaps
from partimento.corpus.duplicates.index import PassageIndex
from partimento.corpus.duplicates.relations import Relations
from partimento.corpus.selection import report
from partimento.corpus.selection.groups import relate
from partimento.corpus.selection.recipes import RECIPES, Composition, selection_recipe
from partimento.corpus.selection.select import KEPT, Selection, hours_of, needed_columns, select
from partimento.corpus.selection.splits import SPLITS, same_piece, same_title
from partimento.corpus.survey.manifest import SCHEMA, open_for_writing, read_manifest

LOW_EDGE = 100


def counts(corpus: Path) -> Iterator[str]:
    recipes = [selection_recipe(name) for name in RECIPES]
    rows = read_manifest(corpus, sorted({c for each in recipes for c in [*needed_columns(each), "collection"]}))
    relations = relate(corpus, rows)
    hours = hours_of(rows)
    chosen = [select(rows, relations, each) for each in recipes]
    names = ", ".join(sorted(set(rows.column("collection").to_pylist())))
    yield f"{len(rows):,} files, {hours.sum():,.1f} hours: {names}."
    yield from by_filter(chosen, hours)
    yield "Of the files kept, repeats of a piece by its sound (files less pieces), and its most files:"
    yield repeats(relations, chosen)
    yield "Files kept, by collection:"
    yield by_collection(rows, chosen)
    pretrain = selection_recipe("pretrain")
    low, one = (
        dataclasses.replace(pretrain, composition=Composition(crowded_above=LOW_EDGE, per_piece=n, every_piece=False))
        for n in (10, 1)
    )
    drawn = dataclasses.replace(pretrain, splits=dataclasses.replace(pretrain.splits, declared=False))
    yield f"The rule about pieces, were a composer crowded with more than {LOW_EDGE} identified files:"
    of_rule = []
    for allowed, each in ((10, low), (1, one)):
        decisions = select(rows, relations, each).by_decision(hours)
        cells = (cell(decisions[name]) for name in ("unidentified", "per-piece", KEPT))
        of_rule.append((f"at most {allowed}", *cells))
    yield table(["files of a piece", "unidentified", "per-piece", "kept"], of_rule)
    yield (
        "Splits of what pretraining keeps, and how many of the validation files are found in train: by the passage "
        "index, as the same performance or piece; by name, that is by work number or title."
    )
    kept = np.array(chosen[0].table.column("decision").to_pylist()) == KEPT
    ways = {
        "as the collections declare": np.where(kept, np.array(rows.column("declared_split").to_pylist(), object), None),
        "declared, whole groups": np.array(chosen[0].table.column("split").to_pylist(), object),
        "drawn from the seed": np.array(select(rows, relations, drawn).table.column("split").to_pylist(), object),
    }
    sizes = []
    for label, split in ways.items():
        cells = (
            *((split == name).sum() for name in SPLITS),
            *leaks(corpus, rows, split == "train", split == "validation"),
        )
        sizes.append((label, *(f"{cell:,}" for cell in cells)))
    yield table(["", *SPLITS, "same performance", "same piece", "same name"], sizes)


def leaks(corpus: Path, rows: pa.Table, train: np.ndarray, held_out: np.ndarray) -> tuple[int, int, int]:
    """Rows of `held_out` that are in `train`, bool [n] each: as performance, as piece, by name.

    The passage index asks every file, where the splits rest on the leaders of groups.
    """
    contents = np.array(rows.column("sha256").to_pylist(), object)
    known, asked = set(contents[train].tolist()), set(contents[held_out].tolist())
    files = list(overlaps.fingerprints_of(str(corpus), lambda _, error: print(error)))
    with tempfile.TemporaryDirectory() as folder:
        index = PassageIndex.build((file for file in files if file[1] in known), Path(folder) / "index")
        found = Counter(each.relation for each in overlaps.overlap([file for file in files if file[1] in asked], index))
    named = np.zeros(len(rows), np.bool_)
    for group in (same_piece(rows), same_title(rows)):
        named |= (group >= 0) & np.isin(group, group[train])
    return found[overlaps.SAME_PERFORMANCE], found[overlaps.SAME_PIECE], int((named & held_out).sum())


def by_filter(chosen: list[Selection], hours: np.ndarray) -> Iterator[str]:
    decisions = [each.by_decision(hours) for each in chosen]
    asked = dict.fromkeys(name for each in (decisions[1], *decisions) for name in each if name != KEPT)
    idle = [name for name in asked if not any(each.get(name) and each[name].files for each in decisions)]
    rows = [
        (
            "**kept**" if name == KEPT else name,
            *(cell(each[name]) if name in each else "not used" for each in decisions),
        )
        for name in [*asked, KEPT]
        if name not in idle
    ]
    yield table(["removed by", *(each.recipe.name for each in chosen)], rows)
    yield f"Took nothing: {', '.join(idle)}."


def repeats(relations: Relations, chosen: list[Selection]) -> str:
    rows = []
    for name in SPLITS[:2]:
        cells = []
        for each in chosen:
            piece = relations.piece_group[np.array(each.table.column("split").to_pylist(), object) == name]
            _, files = np.unique(piece, return_counts=True)
            cells.append(f"{(files - 1).sum():,} of {len(piece):,} files (most: {files.max(initial=0)})")
        rows.append((name, *cells))
    return table(["split", *(each.recipe.name for each in chosen)], rows)


def by_collection(rows: pa.Table, chosen: list[Selection]) -> str:
    collections = rows.column("collection").to_pylist()
    kept = []
    for each in chosen:
        decisions = each.table.column("decision").to_pylist()
        kept.append(Counter(name for name, made in zip(collections, decisions, strict=True) if made == KEPT))
    counts = ((name, all_, *(each[name] for each in kept)) for name, all_ in Counter(collections).most_common())
    return table(
        ["collection", "surveyed", *(each.recipe.name for each in chosen)],
        ((name, *(f"{count:,}" for count in row)) for name, *row in counts),
    )


def cell(count) -> str:
    return f"{count.files:,} ({count.hours:,.1f} h)"


def scale(corpus: Path, wanted: int) -> Iterator[str]:
    base = read_manifest(corpus, [name for name in SCHEMA.names if name != "fingerprint"])
    with tempfile.TemporaryDirectory() as folder:
        with open_for_writing(folder) as writer:
            for copy in range(-(-wanted // len(base))):
                writer.parts.add(renamed(base.slice(0, wanted - copy * len(base)), copy))
        start = time.perf_counter()
        each = selection_recipe("pretrain")
        rows = read_manifest(folder, needed_columns(each))
        opened = time.perf_counter()
        rng = np.random.default_rng(1)
        n = len(rows)
        performance = np.where(rng.random(n) < 0.1, rng.integers(0, n, n), np.arange(n)).astype(np.int32)
        piece = np.where(rng.random(n) < 0.5, rng.integers(0, n, n), performance).astype(np.int32)
        selection = select(rows, Relations(performance_group=performance, piece_group=piece), each)
        selected = time.perf_counter()
        selection.save(folder)
        saved = time.perf_counter()
        report.write(folder)
        written = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        yield (
            f"{n:,} rows: open {opened - start:.1f} s, select {selected - opened:.1f} s, save {saved - selected:.1f} "
            f"s, report {written - saved:.1f} s; peak {peak:.2f} GiB"
        )


def renamed(rows: pa.Table, copy: int) -> pa.Table:
    """The rows as files of their own: other paths, other contents, and of every composer a dozen namesakes."""

    def text(name: str, values: list) -> None:
        nonlocal rows
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(values, pa.string()))

    text("path", [f"{copy}/{path}" for path in rows.column("path").to_pylist()])
    text("sha256", [hashlib.sha256(f"{copy} {old}".encode()).hexdigest() for old in rows.column("sha256").to_pylist()])
    text("composer", [old and f"{old} {copy % 12}" for old in rows.column("composer").to_pylist()])
    text("title", [old and f"{old} {copy % 50}" for old in rows.column("title").to_pylist()])
    return rows.append_column("fingerprint", pa.nulls(len(rows), pa.binary())).select(SCHEMA.names)


def main(words: Sequence[str] | None = None) -> None:
    program = Program(__file__, __doc__, quick="counts {corpus}")
    program.add_argument("what", choices=["counts", "scale"])
    program.add_argument("corpus", type=Path)
    program.add_argument("--rows", type=int, default=1_200_000, help="of scale")
    arguments = program.parse_args(words)
    found = counts(arguments.corpus) if arguments.what == "counts" else scale(arguments.corpus, arguments.rows)
    publish(arguments, "What the recipes make of a corpus", *found)


if __name__ == "__main__":
    main()
