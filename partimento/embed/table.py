"""A source of MIDI files and an encoder -> one Parquet table of vectors, a row for every file.

Knows: the table's columns, how a source is embedded block by block so that a kill at any moment loses one block at
most, and what need not be done again. Refuses to know: how a vector comes about (`encoder.py`), what it is used for.

    source, path = open_source("midi/"), locate("runs/mine")
    encoder = Encoder.load(path)
    embed(source, source.entries(), encoder, "embeddings.parquet", model=made_by(encoder, path))

While it is made, blocks lie beside the table in `<table>.parts/`; docs/embeddings.md says what is taken over from them
and from a finished table.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from partimento.corpus.archives import Entry, SourceError
from partimento.corpus.rows import Parts
from partimento.corpus.sources import Source
from partimento.corpus.store.note_store import digest
from partimento.embed.encoder import Encoder, NothingToEmbed
from partimento.errors import UserError
from partimento.files import replacing
from partimento.midi.performance import Performance
from partimento.midi.reader import MidiError, Reason
from partimento.tokens.tokenizer import Ids

NO_NOTES: Final = "no-notes"
"""The reason of a file without notes that the vocabulary can say; the others are the reader's."""
FILES_AT_ONCE: Final = 64
"""Files of a block at most: enough for their slices to find company of their length."""
_SECONDS_OF_BLOCK: Final = 10.0
"""What a kill may cost on a slow machine, whose blocks are smaller."""
_FIRST_FILES: Final = 2

_ABOUT: Final = b"partimento.embeddings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a table holds, and how much of it was done now."""

    embedded: int
    new: int
    refused: Counter[str]


def schema(size: int) -> pa.Schema:
    """The table's columns: `reason` is empty and `embedding` not null where a file could be embedded."""
    return pa.schema(
        [
            pa.field("path", pa.string(), nullable=False),
            pa.field("size", pa.int64(), nullable=False),
            pa.field("modified_ns", pa.int64(), nullable=False),
            pa.field("sha256", pa.string(), nullable=False),
            pa.field("notes", pa.int32()),
            pa.field("slices", pa.int32()),
            pa.field("reason", pa.string(), nullable=False),
            pa.field("detail", pa.string(), nullable=False),
            pa.field("embedding", pa.list_(pa.float32(), size)),
        ]
    )


def embed(
    source: Source,
    entries: Sequence[Entry],
    encoder: Encoder,
    out: str | Path,
    *,
    model: str,
    batch_size: int | None = None,
    replace: bool = False,
    progress: Callable[[int], None] = lambda _: None,
) -> Summary:
    """Embed the files `entries` of `source` into the table `out`, sorted by path; rows of other files leave it.

    `model` says which model and settings made the vectors (`made_by`): it is kept in the table, and a table of
    another one is refused, unless `replace`: then it stays until the new one is complete. `progress` is told how many
    files are done, first of those that were before. The whole table is held in memory (2 GB for a million files).
    """
    out = Path(out)
    parts = Parts(out.with_name(f"{out.name}.parts"), schema(encoder.size).with_metadata({_ABOUT: model.encode()}))
    if not entries:
        raise UserError(f"{source.location}: no MIDI files to embed")
    done = _done([out, *parts.paths], parts.schema, entries, skip_others=replace)
    known = set(done["path"].to_pylist())
    todo = [entry for entry in entries if entry.path not in known]
    progress(len(known))
    tables = [done]
    embedded = (_rows(source, encoder, block, parts.schema, batch_size) for block in _timed_blocks(todo))
    for rows in parts.keep(embedded):
        tables.append(rows)
        progress(rows.num_rows)
    whole = pa.concat_tables(tables).sort_by("path")
    with replacing(out) as part:
        pq.write_table(whole, part, compression="zstd")
    shutil.rmtree(parts.folder, ignore_errors=True)
    reasons = Counter(whole["reason"].to_pylist())
    return Summary(embedded=reasons.pop("", 0), new=len(todo), refused=reasons)


def _timed_blocks(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """The entries in blocks that take some seconds each at the pace of the block before: the first one is small."""
    first, size = 0, min(_FIRST_FILES, FILES_AT_ONCE)
    while first < len(entries):
        begun = time.monotonic()
        yield entries[first : first + size]
        first += size
        pace = size / max(time.monotonic() - begun, 1e-9)
        size = max(1, min(FILES_AT_ONCE, round(_SECONDS_OF_BLOCK * pace)))


def made_by(encoder: Encoder, model: Path) -> str:
    """What decides the vectors of an encoder that was loaded from this file, in words."""
    kind = "pooled hidden states" if encoder.pooled else "embeddings"
    return f"{kind} of the model with sha256 {digest(model)}, computed in {encoder.dtype}, {encoder.slicing}"


def read_facts(path: Path) -> dict[str, Any]:
    """What a finished table holds and what made it; raises `UserError` for any other file."""
    try:
        table = pq.read_table(path, columns=["reason"])
        about = (table.schema.metadata or {})[_ABOUT].decode()
        size = pq.read_schema(path).field("embedding").type.list_size
    except (OSError, KeyError, pa.ArrowException) as error:
        raise UserError(f"{path}: not a table of embeddings ({error})") from error
    embedded = table["reason"].to_pylist().count("")
    return {"files": embedded, "passed over": len(table) - embedded, "numbers": size, "made by": about}


def _done(paths: list[Path], columns: pa.Schema, entries: Sequence[Entry], *, skip_others: bool) -> pa.Table:
    """The rows of a finished table and of blocks that are still true of the source.

    What another model made is refused, or with `skip_others` counts for nothing.
    """
    missing = {(entry.path, entry.size, entry.modified_ns) for entry in entries}
    tables = [columns.empty_table()]
    for path in paths:
        if not path.exists():
            continue
        try:
            table = pq.read_table(path)
        except (OSError, pa.ArrowException) as error:
            raise UserError(
                f"{path}: not a table of embeddings ({str(error).splitlines()[0]}); move it away"
            ) from error
        made_by = (table.schema.metadata or {}).get(_ABOUT)
        if not table.schema.equals(columns) or made_by != columns.metadata[_ABOUT]:
            if skip_others:
                continue
            raise UserError(
                f"{path}: holds what another model or other settings made; give --force to replace it, or another name "
                "with -o"
            )
        keys = list(zip(*(table[name].to_pylist() for name in ("path", "size", "modified_ns")), strict=True))
        tables.append(table.filter(pa.array([key in missing for key in keys], pa.bool_())))
        missing.difference_update(keys)
    return pa.concat_tables(tables)


def _rows(
    source: Source, encoder: Encoder, block: Sequence[Entry], columns: pa.Schema, batch_size: int | None
) -> pa.Table:
    """A row for each file of a block, in its order."""
    contents = dict(source.read_many([entry.path for entry in block]))
    rows, sequences = [], list[list[Ids]]()
    for entry in block:
        data = contents[entry.path]
        row = {"path": entry.path, "size": entry.size, "modified_ns": entry.modified_ns, "sha256": ""}
        of_file: list[Ids] = []
        reason, detail = "", ""
        if isinstance(data, SourceError):
            reason, detail = Reason.CANNOT_OPEN.value, str(data)
        else:
            row["sha256"] = hashlib.sha256(data).hexdigest()
            try:
                performance = Performance.from_midi(data)
                row["notes"] = len(performance)
                of_file = encoder.sequences(performance)
            except MidiError as error:
                reason, detail = error.reason.value, str(error)
            except NothingToEmbed as error:
                reason, detail = NO_NOTES, str(error)
        rows.append(row | {"slices": len(of_file), "reason": reason, "detail": detail})
        sequences.append(of_file)
    vectors = encoder.encode_sequences([ids for of_file in sequences for ids in of_file], batch_size)
    ends = np.cumsum([len(of_file) for of_file in sequences])
    for row, of_file, end in zip(rows, sequences, ends, strict=True):
        row["embedding"] = vectors[end - len(of_file) : end].mean(axis=0) if of_file else None
    return pa.Table.from_pylist(rows, columns)
