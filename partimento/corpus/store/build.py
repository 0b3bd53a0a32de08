"""Files -> a note store, shard by shard.

A plan (one row per file, in `plans.py`) is cut into stretches of 4,096 files, and each becomes a shard: some 75 to 110
MB of notes. A shard is built by itself, in any process (`rows.py`), note by note to disk, so memory stays flat however
large the corpus is; a build that was killed goes on after its last complete shard. It refuses to know why a file is in
the plan.

    >>> build(plan_folder("midi"), "store")      # doctest: +SKIP
    []
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from partimento.corpus.archives import SourceError
from partimento.corpus.rows import blocks, spread
from partimento.corpus.sources import kept_open
from partimento.corpus.store.note_store import MANIFEST, PARTS, VERSION, Shard, StoreManifest, digest, files_schema
from partimento.corpus.store.packing import Packed, pack
from partimento.corpus.store.plans import Refusal, label_columns
from partimento.errors import UserError
from partimento.files import new_folder, refuse_existing, replacing, take_place
from partimento.midi.performance import Performance

FILES_PER_SHARD: Final = 4096
_PLAN: Final = "plan.sha256"


def build(
    plan: pa.Table,
    out: str | os.PathLike[str],
    *,
    workers: int = 1,
    progress: Callable[[int], None] = lambda _: None,
    files_per_shard: int = FILES_PER_SHARD,
    replace: bool = False,
) -> list[Refusal]:
    """Make a new store at `out`; returns which files of the plan are not in it, and why.

    Files that cannot be read, have no piano notes or have changed since the plan was made are passed over. The store
    appears whole, by renaming, or not at all, in place of nothing unless `replace`; what an interrupted build of the
    same plan has finished is used. `progress` hears of every finished stretch how many files it had.
    """
    target = Path(out)
    refuse_existing(target, force=replace)
    partial = _partial(target, _fingerprint(plan, files_per_shard))
    stretches = {f"{number:05}": stretch for number, stretch in enumerate(blocks(plan, files_per_shard))}
    missing = [(partial, name, stretch) for name, stretch in stretches.items() if not _entry(partial, name).exists()]
    if finished := len(plan) - sum(len(stretch) for _, _, stretch in missing):
        progress(finished)
    kept_open.cache_clear()
    for files in spread(_build_shard, missing, workers=min(workers, len(missing))):
        progress(files)
    done = [json.loads(_entry(partial, name).read_text(encoding="utf-8")) for name in stretches]
    shards = [Shard(**entry["shard"]) for entry in done if entry["shard"]["files"]]
    if not shards:
        shutil.rmtree(partial)
        raise UserError("no file with piano notes among the sources")
    _complete(partial, target, StoreManifest(labels=label_columns(plan), shards=tuple(shards)))
    return [(path, why) for entry in done for path, why in entry["refused"]]


def write_store(out: str | os.PathLike[str], files: Sequence[tuple[dict[str, Any], Packed]]) -> None:
    """Make a new store without labels of files that are in memory: rows as of `write_shard`, and notes."""
    with new_folder(out) as folder:
        shards = [
            write_shard(folder, f"{number:05}", (), some) for number, some in enumerate(blocks(files, FILES_PER_SHARD))
        ]
        StoreManifest(labels=(), shards=tuple(shards)).write(folder)


def write_shard(
    folder: Path, name: str, labels: Sequence[str], files: Iterable[tuple[dict[str, Any], Packed]]
) -> Shard:
    """Write one shard's files into `folder`, note by note; returns its entry in the manifest.

    `files`: the columns of the files table but for the counts (`{"name": "a.mid", "sha256": b"...", "split": "train",
    "piece": 0, "performance": 0}` and the labels), with the notes.
    """
    rows: list[dict[str, Any]] = []
    counts = {"notes": 0, "pedal": 0}
    hashes = {part: hashlib.sha256() for part in counts}
    with ExitStack() as stack:
        streams = {part: stack.enter_context((folder / f"{name}.{part}").open("wb")) for part in counts}
        for row, packed in files:
            columns = {"notes": packed.notes, "pedal": packed.pedal}
            for part, column in columns.items():
                data = column.tobytes()
                streams[part].write(data)
                hashes[part].update(data)
                counts[part] += len(column)
            rows.append(row | {part: len(column) for part, column in columns.items()})
    sha256 = {part: found.hexdigest() for part, found in hashes.items()}
    shard = Shard(name=name, files=len(rows), **counts, sha256=sha256)
    path = shard.path(folder, "files")
    pq.write_table(pa.Table.from_pylist(rows, files_schema(labels)), path, compression="zstd")
    sha256["files"] = digest(path)
    return shard


def _complete(partial: Path, target: Path, manifest: StoreManifest) -> None:
    """Write the manifest and give a folder of shards its name; anything else in it goes."""
    manifest.write(partial)
    wanted = {shard.path(partial, part) for shard in manifest.shards for part in PARTS}
    for path in partial.iterdir():
        if path not in wanted and path.name != MANIFEST:
            path.unlink()
    take_place(partial, target)


def _partial(target: Path, fingerprint: str) -> Path:
    """The folder where the shards collect, emptied if it is not of this plan."""
    partial = target.with_name(target.name + ".partial")
    mark = partial / _PLAN
    if not mark.exists() or mark.read_text(encoding="utf-8") != fingerprint:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        mark.write_text(fingerprint, encoding="utf-8")
    return partial


def _fingerprint(plan: pa.Table, files_per_shard: int) -> str:
    buffer = pa.BufferOutputStream()
    with pa.ipc.new_stream(buffer, plan.schema) as stream:
        stream.write_table(plan.combine_chunks())
    return hashlib.sha256(buffer.getvalue()).hexdigest() + f" version {VERSION}, {files_per_shard} files a shard"


def _build_shard(task: tuple[Path, str, pa.Table]) -> int:
    """One shard from one stretch of the plan, its files counted; its entry, written last, says that it is complete."""
    partial, name, stretch = task
    refused: list[Refusal] = []
    shard = write_shard(partial, name, label_columns(stretch), _readable(stretch, refused))
    with replacing(_entry(partial, name)) as entry:
        entry.write_text(json.dumps({"shard": asdict(shard), "refused": refused}), encoding="utf-8")
    return len(stretch)


def _readable(stretch: pa.Table, refused: list[Refusal]) -> Iterator[tuple[dict[str, Any], Packed]]:
    """Rows with their notes, source by source, each source in the order in which it is best read."""
    kept = ("sha256", "split", "piece", "performance", *label_columns(stretch))
    for source in sorted(set(stretch["source"].to_pylist())):
        rows = {row["path"]: row for row in stretch.filter(pc.equal(stretch["source"], source)).to_pylist()}
        for path, data in kept_open(source).read_many(rows):
            try:
                packed = _packed(path, data, rows[path]["sha256"])
            except UserError as error:
                refused.append((path, str(error)))
                continue
            yield {"name": path} | {column: rows[path][column] for column in kept}, packed


def _packed(path: str, data: bytes | SourceError, sha256: bytes) -> Packed:
    """The notes of a planned file; raises `UserError` if they cannot be had."""
    if isinstance(data, SourceError):
        raise data
    if sha256 != hashlib.sha256(data).digest():
        raise UserError(f"{path}: has changed since it was listed")
    packed = pack(Performance.from_midi(data, name=path))
    if not len(packed):
        raise UserError(f"{path}: no piano notes")
    return packed


def _entry(partial: Path, name: str) -> Path:
    return partial / f"{name}.done"
