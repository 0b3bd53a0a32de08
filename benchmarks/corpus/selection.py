"""What the recipes make of a surveyed corpus, in numbers; and how long a selection takes when the corpus is large.

    python benchmarks/corpus/selection.py counts CORPUS
    python benchmarks/corpus/selection.py scale CORPUS --rows 1200000

`counts` applies every named recipe, then pretraining's once more with the rule about pieces at a lower edge, so that it
bites on a small corpus too, and with declared splits passed over. `scale` repeats the corpus's rows under new names and
contents up to the number asked for and times what `partimento select` does with them, but for recognising
near-duplicates, which has a benchmark of its own.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from partimento.corpus import overlap as overlaps
from partimento.corpus import report
from partimento.corpus.duplicates import Relations
from partimento.corpus.groups import relate
from partimento.corpus.manifest import SCHEMA, open_for_writing, read_manifest
from partimento.corpus.passages import PassageIndex
from partimento.corpus.recipes import RECIPES, Composition, selection_recipe
from partimento.corpus.selection import KEPT, Selection, hours_of, needed_columns, select
from partimento.corpus.splits import SPLITS, same_piece, same_title

LOW_EDGE = 100


def counts(corpus: Path) -> Iterator[str]:
    recipes = [selection_recipe(name) for name in RECIPES]
    rows = read_manifest(corpus, sorted({c for each in recipes for c in [*needed_columns(each), "collection"]}))
    relations = relate(corpus, rows)
    hours = hours_of(rows)
    chosen = [select(rows, relations, each) for each in recipes]
    names = ", ".join(sorted(set(rows.column("collection").to_pylist())))
    yield from (f"{len(rows):,} files, {hours.sum():,.1f} hours: {names}.", "")
    yield from table(chosen, hours)
    yield from ("", "Of the files kept, repeats of a piece by its sound (files less pieces), and its most files:", "")
    yield from repeats(relations, chosen)
    yield from ("", "Files kept, by collection:", "")
    yield from by_collection(rows, chosen)
    pretrain = selection_recipe("pretrain")
    low, one = (
        dataclasses.replace(pretrain, composition=Composition(crowded_above=LOW_EDGE, per_piece=n, every_piece=False))
        for n in (10, 1)
    )
    drawn = dataclasses.replace(pretrain, splits=dataclasses.replace(pretrain.splits, declared=False))
    yield from ("", f"The rule about pieces, were a composer crowded with more than {LOW_EDGE} identified files:", "")
    yield "| files of a piece | unidentified | per-piece | kept |"
    yield "|---|---|---|---|"
    for allowed, each in ((10, low), (1, one)):
        decisions = select(rows, relations, each).by_decision(hours)
        yield "| at most {} | {} | {} | {} |".format(
            allowed, *(cell(decisions[name]) for name in ("unidentified", "per-piece", KEPT))
        )
    yield from ("", "Splits of what pretraining keeps, and how many of the validation files are found in train: by the")
    yield from ("passage index, as the same performance or piece; by name, that is by work number or title.", "")
    yield f"| | {' | '.join(SPLITS)} | same performance | same piece | same name |"
    yield "|---" * 7 + "|"
    kept = np.array(chosen[0].table.column("decision").to_pylist()) == KEPT
    ways = {
        "as the collections declare": np.where(kept, np.array(rows.column("declared_split").to_pylist(), object), None),
        "declared, whole groups": np.array(chosen[0].table.column("split").to_pylist(), object),
        "drawn from the seed": np.array(select(rows, relations, drawn).table.column("split").to_pylist(), object),
    }
    for label, split in ways.items():
        sizes = [(split == name).sum() for name in SPLITS]
        cells = [*sizes, *leaks(corpus, rows, split == "train", split == "validation")]
        yield f"| {label} | {' | '.join(f'{cell:,}' for cell in cells)} |"


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


def table(chosen: list[Selection], hours: np.ndarray) -> Iterator[str]:
    decisions = [each.by_decision(hours) for each in chosen]
    yield "| removed by | " + " | ".join(each.recipe.name for each in chosen) + " |"
    yield "|---" * (len(chosen) + 1) + "|"
    asked = list(dict.fromkeys(name for each in (decisions[1], *decisions) for name in each if name != KEPT))
    for name in [*asked, KEPT]:
        cells = [cell(each[name]) if name in each else "not used" for each in decisions]
        if name == KEPT or any(each.get(name) and each[name].files for each in decisions):
            yield f"| {'**kept**' if name == KEPT else name} | " + " | ".join(cells) + " |"
    idle = [name for name in asked if not any(each.get(name) and each[name].files for each in decisions)]
    yield from ("", "Took nothing: " + ", ".join(idle) + ".")


def repeats(relations: Relations, chosen: list[Selection]) -> Iterator[str]:
    yield "| split | " + " | ".join(each.recipe.name for each in chosen) + " |"
    yield "|---" * (len(chosen) + 1) + "|"
    for name in SPLITS[:2]:
        cells = []
        for each in chosen:
            piece = relations.piece_group[np.array(each.table.column("split").to_pylist(), object) == name]
            _, files = np.unique(piece, return_counts=True)
            cells.append(f"{(files - 1).sum():,} of {len(piece):,} files (most: {files.max(initial=0)})")
        yield f"| {name} | {' | '.join(cells)} |"


def by_collection(rows: pa.Table, chosen: list[Selection]) -> Iterator[str]:
    collections = rows.column("collection").to_pylist()
    yield "| collection | surveyed | " + " | ".join(each.recipe.name for each in chosen) + " |"
    yield "|---" * (len(chosen) + 2) + "|"
    kept = []
    for each in chosen:
        decisions = each.table.column("decision").to_pylist()
        kept.append(Counter(name for name, decision in zip(collections, decisions, strict=True) if decision == KEPT))
    for name, surveyed in Counter(collections).most_common():
        yield f"| {name} | {surveyed:,} | " + " | ".join(f"{each[name]:,}" for each in kept) + " |"


def cell(count) -> str:
    return f"{count.files:,} ({count.hours:,.1f} h)"


def scale(corpus: Path, wanted: int) -> None:
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
        print(f"{n:,} rows: open {opened - start:.1f} s, select {selected - opened:.1f} s, "
              f"save {saved - selected:.1f} s, report {written - saved:.1f} s; peak {peak:.2f} GiB")  # fmt: skip


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    of_counts = verbs.add_parser("counts")
    of_counts.add_argument("corpus", type=Path)
    of_scale = verbs.add_parser("scale")
    of_scale.add_argument("corpus", type=Path)
    of_scale.add_argument("--rows", type=int, default=1_200_000)
    options = parser.parse_args()
    if options.verb == "counts":
        print("\n".join(counts(options.corpus)))
    else:
        scale(options.corpus, options.rows)


if __name__ == "__main__":
    main()
