"""A note store <-> Parquet files, the form in which notes are published.

One row per file: the columns of the files table, and lists of what was played: `onset_ms` (from the first note),
`keyed_ms`, `sounding_ms` (with the sustain pedal folded in), `pitch`, `velocity`, and `pedal_ms` with `pedal_down`.
Any Parquet reader can use them, and `datasets.load_dataset(folder)` by the card beside them. A shard becomes a file for
each split, and says which places its rows have in the shard, so both directions are exact: a store that went out and
came in again has the same bytes and hashes. It refuses to know about MIDI and tokens.

    >>> publish(NoteStore("store"), "published")     # doctest: +SKIP
    >>> restore("published", "store2")               # doctest: +SKIP
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from heapq import merge
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from partimento.corpus.rows import blocks
from partimento.corpus.selection.splits import SPLITS
from partimento.corpus.store.build import write_shard
from partimento.corpus.store.card import card, part_name
from partimento.corpus.store.note_store import FIXED_COLUMNS, VERSION, NoteStore, StoreManifest
from partimento.corpus.store.packing import Packed, pack_columns, unpack
from partimento.errors import UserError
from partimento.files import new_folder

NOTE_LISTS: Final = {
    "onset_ms": pa.uint32(),
    "keyed_ms": pa.uint16(),
    "sounding_ms": pa.uint16(),
    "pitch": pa.uint8(),
    "velocity": pa.uint8(),
}
PEDAL_LISTS: Final = {"pedal_ms": pa.uint32(), "pedal_down": pa.uint8()}
_LISTS: Final = NOTE_LISTS | PEDAL_LISTS
_ABOUT: Final = b"partimento"
_PLAIN: Final = tuple(field for field in FIXED_COLUMNS if field.name not in ("notes", "pedal"))
_FILES_AT_ONCE: Final = 256


def publish(
    store: NoteStore,
    out: str | os.PathLike[str],
    *,
    replace: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> list[Path]:
    """Write the store as `out`/part-NNNNN-SPLIT.parquet with a README.md, which the hub shows; returns the parts.

    `out` appears whole, in place of nothing unless `replace`.
    """
    first = 0
    with new_folder(out, replace=replace) as folder:
        for number, shard in enumerate(store.shards):
            split_of = store.split_of[first : first + shard.files]
            for split in np.unique(split_of).tolist():
                places = np.flatnonzero(split_of == split)
                schema = _schema(store.labels, places.tolist())
                with pq.ParquetWriter(folder / part_name(number, SPLITS[split]), schema, compression="zstd") as writer:
                    for some in blocks(first + places, _FILES_AT_ONCE):
                        writer.write_table(pa.Table.from_pylist([_row(store, i) for i in some.tolist()], schema))
                        progress(len(some))
            first += shard.files
        (folder / "README.md").write_text(card(store, Path(out).name), encoding="utf-8")
    return _parts(out)


def is_published(folder: str | os.PathLike[str]) -> bool:
    """Whether `folder` holds Parquet parts as `publish` writes them."""
    return bool(_parts(folder))


def restore(
    published: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    replace: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> None:
    """Make a new store at `out` from the parts in a folder; raises `UserError` for parts that are not of a store."""
    parts = _parts(published)
    labels = _labels(parts)
    shards = []
    with new_folder(out, replace=replace) as folder:
        for number, (_, of_shard) in enumerate(groupby(parts, key=_shard_of)):
            rows = merge(*(_rows(part, labels) for part in of_shard), key=itemgetter(0))
            shards.append(write_shard(folder, f"{number:05}", labels, ((row, packed) for _, row, packed in rows)))
            progress(shards[-1].files)
        StoreManifest(labels=labels, shards=tuple(shards)).write(folder)


def _parts(folder: str | os.PathLike[str]) -> list[Path]:
    return sorted(Path(folder).glob("part-*.parquet"))


def _shard_of(part: Path) -> str:
    """The number in a part's name; before there was a part for each split, that was all there was."""
    return part.stem.split("-")[1]


def _schema(labels: tuple[str, ...], places: list[int]) -> pa.Schema:
    lists = [pa.field(name, pa.list_(kind), nullable=False) for name, kind in _LISTS.items()]
    about = json.dumps({"version": VERSION, "labels": labels, "places": places}).encode()
    return pa.schema([*_PLAIN, *(pa.field(name, pa.string()) for name in labels), *lists], {_ABOUT: about})


def _row(store: NoteStore, index: int) -> dict[str, Any]:
    file, packed = store.file(index), store.packed(index)
    keyed = unpack(packed, fold_pedal=False)
    return {
        **file.labels,
        "name": file.name,
        "sha256": bytes.fromhex(file.sha256),
        "split": file.split,
        "piece": file.piece,
        "performance": file.performance,
        "onset_ms": keyed.onset_ms,
        "keyed_ms": packed.notes["keyed_ms"],
        "sounding_ms": packed.notes["sounding_ms"],
        "pitch": keyed.pitch,
        "velocity": keyed.velocity,
        "pedal_ms": keyed.pedal_ms,
        "pedal_down": keyed.pedal_down,
    }


def _labels(parts: list[Path]) -> tuple[str, ...]:
    """The labels that all parts agree on."""
    found = set()
    for part in parts:
        try:
            file = pq.ParquetFile(part)
            schema, places = file.schema_arrow, _places(file)
            labels = tuple(json.loads(schema.metadata[_ABOUT])["labels"])
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{part}: not a part of a published note store ({error!r})") from error
        if len(places) != file.metadata.num_rows:
            raise UserError(f"{part}: {file.metadata.num_rows} rows where there were {len(places)}; publish it anew")
        if not schema.equals(_schema(labels, [])):
            raise UserError(f"{part}: not the columns of a published note store; see docs/store.md")
        found.add(labels)
    if len(found) != 1:
        raise UserError("the parts of a published note store have different labels; restore them one by one")
    return found.pop()


def _places(file: pq.ParquetFile) -> list[int]:
    """Which places in the shard the rows of a part have: all of them in turn, where it does not say."""
    about = json.loads((file.schema_arrow.metadata or {})[_ABOUT])
    return list(about.get("places", range(file.metadata.num_rows)))


def _rows(part: Path, labels: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any], Packed]]:
    """Place in the shard, row and notes of each file."""
    plain = [*(field.name for field in _PLAIN), *labels]
    try:
        file = pq.ParquetFile(part)
        places = iter(_places(file))
        for batch in file.iter_batches(batch_size=_FILES_AT_ONCE):
            lists = {name: _arrays(batch.column(name)) for name in _LISTS}
            for i, row in enumerate(batch.select(plain).to_pylist()):
                columns = {name: arrays[i] for name, arrays in lists.items()}
                _check(part, row, columns)
                yield next(places), row, pack_columns(**columns)
    except pa.ArrowException as error:
        raise UserError(f"{part}: cannot be read ({str(error).splitlines()[0]})") from error


def _arrays(column: pa.ListArray) -> list[npt.NDArray]:
    values, ends = column.values.to_numpy(), column.offsets.to_numpy()
    return [values[begin:end] for begin, end in pairwise(ends)]


def _check(part: Path, row: dict[str, Any], columns: dict[str, npt.NDArray]) -> None:
    """Refuse a row that no store could hold."""
    onset, wrong = columns["onset_ms"].astype(np.int64), ""
    if len({len(columns[name]) for name in NOTE_LISTS}) > 1 or len({len(columns[name]) for name in PEDAL_LISTS}) > 1:
        wrong = "lists of different lengths"
    elif not len(onset) or onset[0] != 0 or (np.diff(onset) < 0).any():
        wrong = "onsets that do not ascend from 0"
    elif max(columns["pitch"].max(), columns["velocity"].max()) > 127:
        wrong = "a pitch or velocity above 127"
    elif row["split"] not in SPLITS:
        wrong = f"split {row['split']!r}, not one of {', '.join(SPLITS)}"
    if wrong:
        raise UserError(f"{part}: {row['name']}: {wrong}")
