"""Which files go into a note store: one row for each, as a table.

A plan comes from a folder or archive of MIDI, with or without a CSV of labels, or from a surveyed corpus and one of
its selections. It knows where files lie, their hashes, splits and labels; it refuses to know their notes.

    >>> plan_folder("midi").num_rows                  # doctest: +SKIP
    >>> plan_corpus("corpus", "pretrain").num_rows    # doctest: +SKIP
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from partimento.corpus.archives import SourceError
from partimento.corpus.selection.select import KEPT, Selection
from partimento.corpus.selection.splits import SPLITS
from partimento.corpus.sources import open_source
from partimento.corpus.survey.labels import read_csv
from partimento.corpus.survey.manifest import KEY, read_manifest
from partimento.errors import UserError

PLAN_COLUMNS: Final = (
    pa.field("source", pa.string()),
    pa.field("path", pa.string()),
    pa.field("sha256", pa.binary(32)),
    pa.field("split", pa.string()),
    pa.field("piece", pa.int64()),
    pa.field("performance", pa.int64()),
)
"""Columns of every plan; the labels follow as nullable strings."""

CORPUS_LABELS: Final = (
    "composer", "opus", "form", "period", "genre", "performer", "title", "collection", "licence",
)  # fmt: skip
_SAME: Final = {"pianist": "performer", "dataset": "collection"}
_NO_LABELS: Final = frozenset({"path", "split", "sha256", "source", "name", "notes", "pedal", "piece", "performance"})
VALIDATION_SHARE: Final = 0.05
"""How much of a folder without labels is held out."""

Refusal = tuple[str, str]
"""Path and reason of a file that was passed over."""

Labels = Mapping[str, dict[str, str]]


def label_columns(plan: pa.Table) -> tuple[str, ...]:
    """Names of a plan's labels."""
    return tuple(plan.column_names[len(PLAN_COLUMNS) :])


def plan_folder(
    location: str | os.PathLike[str], labels: Labels | None = None, *, validation_share: float = VALIDATION_SHARE
) -> tuple[pa.Table, list[Refusal]]:
    """All MIDI files of a folder or archive, or those that `labels` names by path; and what is passed over.

    Of files of equal bytes the first is taken. Without labels about `validation_share` of the files, chosen by their
    content, become the validation split: one at least, where there are two files and a share above 0. Each file is a
    piece and a performance by itself. Raises `UserError` if there are no files, or if the labels name none of them.
    """
    refused: list[Refusal] = []
    source = open_source(location)
    paths = [entry.path for entry in source.entries()]
    if labels is not None:
        named = [path for path in paths if path in labels]
        if paths and not named:
            example = next(iter(labels), "nothing")
            raise UserError(
                f"{source.location}: the labels name none of its {len(paths)} MIDI files, but {example}; "
                f"paths are relative to it, as {paths[0]}"
            )
        paths = named
    rows: dict[bytes, dict[str, Any]] = {}
    for path, data in source.read_many(paths):
        if isinstance(data, SourceError):
            refused.append((path, str(data)))
            continue
        sha256, group = hashlib.sha256(data).digest(), len(rows)
        if sha256 in rows:
            refused.append((path, f"{path}: the same bytes as {rows[sha256]['path']}"))
        else:
            row = {"source": source.location, "path": path, "sha256": sha256, "piece": group, "performance": group}
            rows[sha256] = row | (labels[path] if labels is not None else {"split": "train"})
    if not rows:
        raise UserError(f"{source.location}: no MIDI files to read")
    for sha256 in _held_out(list(rows), validation_share) if labels is None else ():
        rows[sha256]["split"] = "validation"
    known = {name: None for row in (labels or {}).values() for name in row if name != "split"}
    schema = pa.schema([*PLAN_COLUMNS, *(pa.field(name, pa.string()) for name in known)])
    return pa.Table.from_pylist(list(rows.values()), schema), refused


def read_labels(path: str | os.PathLike[str]) -> Labels:
    """Split and labels by file, from a CSV with the columns path and split; every other column is a label.

    `pianist` is taken as performer and `dataset` as collection. Raises `UserError` for another split than `SPLITS`.
    """
    found: dict[str, dict[str, str]] = {}
    for number, row in enumerate(read_csv(Path(path), "path", "split"), 2):
        split = row["split"]
        if split not in SPLITS:
            raise UserError(f"{path}: split {split!r} in line {number}; use one of {', '.join(SPLITS)}")
        labels = {_SAME.get(k, k): v for k, v in row.items() if k not in _NO_LABELS and isinstance(v, str)}
        found[row["path"]] = {"split": split} | {k: v for k, v in labels.items() if v}
    return found


def plan_corpus(corpus: str | os.PathLike[str], selection: str) -> pa.Table:
    """The files that a selection of a surveyed corpus kept, with its splits and groups and the survey's metadata."""
    chosen = Selection.open(corpus, selection).table
    chosen = chosen.filter(pc.equal(chosen["decision"], KEPT))
    if not len(chosen):
        raise UserError(f"{corpus}: selection {selection!r} kept no files; see partimento select")
    surveyed = read_manifest(corpus, columns=[*KEY, *CORPUS_LABELS])
    joined = chosen.join(surveyed, list(KEY)).sort_by([(name, "ascending") for name in KEY])
    digests = pa.array([bytes.fromhex(text) for text in joined["sha256"].to_pylist()], pa.binary(32))
    columns = {
        "source": joined["source"],
        "path": joined["path"],
        "sha256": digests,
        "split": joined["split"],
        "piece": joined["piece_group"],
        "performance": joined["performance_group"],
    }
    schema = pa.schema([*PLAN_COLUMNS, *(pa.field(name, pa.string()) for name in CORPUS_LABELS)])
    return pa.table({**columns, **{name: joined[name] for name in CORPUS_LABELS}}).cast(schema)


def _held_out(contents: list[bytes], share: float) -> list[bytes]:
    """About this share of the hashes, whatever their order; one at least, and one less than all at most."""
    lowest = sorted(contents)[: len(contents) - 1]
    drawn = [sha256 for sha256 in lowest if int.from_bytes(sha256[:4], "big") / 2**32 < share]
    return drawn or lowest[: share > 0]
