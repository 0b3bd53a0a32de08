"""What libraries do instead of code of ours, and what they cost: archives, the passage index's sort, charts.

    python benchmarks/corpus/libraries.py MIDI CORPUS

MIDI is a folder, CORPUS its survey. Each way runs in a process of its own: seconds of processor time, and the most
memory that the process held. The result stands in libraries.md.
"""

from __future__ import annotations

import io
import multiprocessing
import resource
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from partimento.corpus.archives import SourceError
from partimento.corpus.duplicates.fingerprints import Fingerprint
from partimento.corpus.duplicates.index import MOST_PLACES, PassageIndex
from partimento.corpus.selection import report
from partimento.corpus.selection.quality import FILTERS, measured
from partimento.corpus.sources import open_source
from partimento.corpus.survey.manifest import READABLE, read_manifest

FEW = 300


def measure(name: str, way: Callable[..., str], *arguments: Any) -> None:
    """A row of the table: what was done, in how many seconds, with how much memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        said, seconds, megabytes = pool.apply(run, (way, arguments))
    print(f"| {name} | {seconds:,.2f} | {megabytes:,.0f} | {said} |", flush=True)


def run(way: Callable[..., str], arguments: tuple[Any, ...]) -> tuple[str, float, float]:
    begin = time.process_time()
    said = way(*arguments)
    return said, time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# -- archives ----------------------------------------------------------------------------------------------------------


def archive_by_sources(archive: Path, few: int | None) -> str:
    source = open_source(archive)
    paths = [entry.path for entry in sorted(source.entries(), key=lambda entry: entry.reading_order)][:few]
    read = [data for _, data in source.read_many(paths)]
    return f"{sum(not isinstance(data, SourceError) for data in read):,} files"


def archive_by_fsspec(archive: Path, few: int | None) -> str:
    import fsspec

    files = fsspec.filesystem("tar", fo=str(archive))
    paths = [path for path in files.find("") if path.lower().endswith(".mid")][:few]
    return f"{sum(len(files.cat_file(path)) > 0 for path in paths):,} files"


def listed_by_fsspec(archive: Path) -> str:
    import fsspec

    try:
        return f"lists {len(fsspec.filesystem('tar', fo=str(archive)).find('')):,} files"
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the result
        return f"{type(error).__name__}: {error}"


def listed_by_sources(archive: Path) -> str:
    try:
        return f"lists {len(list(open_source(archive).entries())):,} files"
    except SourceError as error:
        return f"refused: {str(error).rpartition(': ')[2]}"


# -- the sort of the passage index ------------------------------------------------------------------------------------


def prints(corpus: Path) -> Iterator[tuple[str, str, Fingerprint]]:
    for row in read_manifest(corpus, ["path", "verdict", "fingerprint"]).to_pylist():
        if row["verdict"] == READABLE:
            yield row["path"], "", Fingerprint.from_bytes(row["fingerprint"])


def postings(corpus: Path) -> pa.Table:
    found = [fingerprint for _, _, fingerprint in prints(corpus)]
    columns = {name: np.concatenate([getattr(each, name) for each in found]) for name in ("hash", "onset_ms", "pitch")}
    return pa.table(
        columns | {"file": np.repeat(np.arange(len(found), dtype=np.uint32), [len(each) for each in found])}
    )


def index_by_ranges(corpus: Path, out: Path) -> str:
    return f"{len(PassageIndex.build(prints(corpus), out / 'index')._hash):,} passages, sorted a range at a time"


def index_by_arrow(corpus: Path, out: Path) -> str:
    ordered = postings(corpus).sort_by([("hash", "ascending"), ("file", "ascending")])
    for name in ordered.column_names:
        ordered[name].to_numpy().tofile(out / name)
    return f"{len(ordered):,} passages, all in memory"


def index_by_duckdb(corpus: Path, out: Path) -> str:
    import duckdb

    with duckdb.connect(config={"memory_limit": "256MB", "threads": 1, "temp_directory": str(out)}) as connection:
        connection.register("postings", postings(corpus))
        query = f"""
            SELECT hash, file, onset_ms, pitch FROM postings
            QUALIFY row_number() OVER (PARTITION BY hash ORDER BY file, onset_ms) <= {MOST_PLACES}
            ORDER BY hash, file
        """
        ordered = connection.sql(query).to_arrow_table()
    for name in ordered.column_names:
        ordered[name].to_numpy().tofile(out / name)
    return f"{len(ordered):,} passages, spilling beyond 256 MB"


# -- charts ------------------------------------------------------------------------------------------------------------


def report_by_template(corpus: Path) -> str:
    return f"{report.write(corpus).stat().st_size / 1000:,.0f} kB, the whole page"


def charts_by_matplotlib(corpus: Path) -> str:
    from matplotlib.figure import Figure

    columns = list(dict.fromkeys(filter_.column for filter_ in FILTERS.values()))
    names = sorted({name for filter_ in FILTERS.values() for name in filter_.columns})
    rows, size = read_manifest(corpus, names), 0
    for column in columns:
        figure = Figure(figsize=(3.2, 1.5))
        axes = figure.subplots()
        axes.hist(measured(rows, column), bins=48)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg")
        size += len(buffer.getvalue())
    return f"{size / 1000:,.0f} kB, {len(columns)} histograms alone"


def main() -> None:
    midi, corpus = map(Path, sys.argv[1:])
    print("| | seconds | MB | |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        archive, cut = Path(temporary, "midi.tar.gz"), Path(temporary, "cut.tar.gz")
        with tarfile.open(archive, "w:gz") as made:
            made.add(midi, "midi")
        cut.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
        for few in (FEW, None):
            measure(f"tar.gz, {few or 'all'}: `sources.py`", archive_by_sources, archive, few)
            measure(f"tar.gz, {few or 'all'}: fsspec", archive_by_fsspec, archive, few)
        measure("tar.gz cut in half: `sources.py`", listed_by_sources, cut)
        measure("tar.gz cut in half: fsspec", listed_by_fsspec, cut)
        for name, way in (("`index.py`", index_by_ranges), ("Arrow", index_by_arrow), ("DuckDB", index_by_duckdb)):
            out = Path(temporary, name.strip("`"))
            out.mkdir()
            measure(f"index: {name}", way, corpus, out)
    measure("report: template", report_by_template, corpus)
    measure("report: matplotlib", charts_by_matplotlib, corpus)


if __name__ == "__main__":
    main()
