"""Which rows of a surveyed corpus are one performance or one piece: found once for a manifest, then kept beside it.

Knows how contents, fingerprints and rows belong together; refuses to know when two fingerprints are alike
(`duplicates/`) and what follows from it (`select.py`).

    >>> rows = read_manifest("corpus", ["sha256", "verdict", "notes"])  # doctest: +SKIP
    >>> relate("corpus", rows).piece_group                                    # doctest: +SKIP
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from partimento import __version__
from partimento.corpus.duplicates import alignment, fingerprints
from partimento.corpus.duplicates.fingerprints import Fingerprint
from partimento.corpus.duplicates.relations import Relations, relations
from partimento.corpus.survey import manifest
from partimento.files import replacing

FILE: Final = "relations.parquet"
_OF: Final = b"contents"


def relate(corpus: str | os.PathLike[str], rows: pa.Table) -> Relations:
    """The groups of the n `rows` of the corpus's manifest (columns sha256, verdict and notes), by row index.

    Rows of the same bytes are in one group; a refused row is alone. Computed when the manifest has changed since the
    last time, and written to `corpus`/relations.parquet.
    """
    readable = np.flatnonzero(pc.equal(rows.column("verdict"), manifest.READABLE))
    contents = rows.column("sha256").take(readable).combine_chunks().dictionary_encode()
    content = np.asarray(contents.indices, np.int64)  # numbered in order of first appearance
    _, at = np.unique(content, return_index=True)
    first = readable[at]
    found = _kept(Path(corpus), contents.dictionary)
    if found is None:
        found = _found(Path(corpus), contents.dictionary, rows.column("notes").take(first))
        table = pa.table({"performance_group": found.performance_group, "piece_group": found.piece_group})
        with replacing(Path(corpus) / FILE) as part:
            pq.write_table(table.replace_schema_metadata({_OF: _key(contents.dictionary)}), part)
    groups = []
    for group in (found.performance_group, found.piece_group):
        rows_groups = np.arange(len(rows), dtype=np.int32)
        rows_groups[readable] = first[group[content]]
        groups.append(rows_groups)
    return Relations(performance_group=groups[0], piece_group=groups[1])


def _found(corpus: Path, contents: pa.StringArray, notes: pa.ChunkedArray) -> Relations:
    """Relations among distinct contents. Fingerprints are read part by part: together they are most of a manifest."""
    place_of = {content: place for place, content in enumerate(contents.to_pylist())}
    nothing = Fingerprint.from_bytes(bytes([fingerprints.VERSION]))
    prints = [nothing] * len(contents)
    for part in manifest.parts(corpus):
        with pq.ParquetFile(part) as file:
            for batch in file.iter_batches(columns=["sha256", "fingerprint"]):
                for content, data in zip(batch.column("sha256").to_pylist(), batch.column("fingerprint"), strict=True):
                    place = place_of.get(content)
                    if place is not None and data.is_valid:
                        prints[place] = Fingerprint.from_bytes(data.as_py())
    return relations(prints, notes.to_numpy())


def _key(contents: pa.StringArray) -> bytes:
    text = f"{__version__} {fingerprints.VERSION} {alignment.VERSION} " + "".join(contents.to_pylist())
    return hashlib.sha256(text.encode()).hexdigest().encode()


def _kept(corpus: Path, contents: pa.StringArray) -> Relations | None:
    """What was found for the same contents, if that can still be read."""
    try:
        table = pq.read_table(corpus / FILE)
    except (FileNotFoundError, pa.ArrowException):
        return None
    if (table.schema.metadata or {}).get(_OF) != _key(contents):
        return None
    return Relations(
        performance_group=table.column("performance_group").to_numpy(),
        piece_group=table.column("piece_group").to_numpy(),
    )
