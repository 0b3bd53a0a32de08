"""What libraries do instead of code of ours, and what they cost: archives, the passage index's sort, charts.

    python -m benchmarks.corpus.libraries MIDI CORPUS -o benchmarks/corpus/libraries.md

MIDI is a folder, CORPUS its survey. Each way runs in a process of its own: seconds of processor time, and the most
memory that the process held.
"""

from __future__ import annotations

import io
import multiprocessing
import resource
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.common import Program, publish, table
from partimento.corpus.archives import SourceError
from partimento.corpus.duplicates.fingerprints import Fingerprint
from partimento.corpus.duplicates.index import MOST_PLACES, PassageIndex
from partimento.corpus.selection import report
from partimento.corpus.selection.quality import FILTERS, measured
from partimento.corpus.sources import open_source
from partimento.corpus.survey.manifest import READABLE, read_manifest

FEW = 30
WHAT_FOLLOWS = """\
- **Archives stay ours.** fsspec takes four tenths longer for every file and twice as long for some, and would be
  wrapped in as many lines to say in words what is damaged, to read no more than a MIDI file may have, and to let the
  first or last of equal names count.
- **The sort of the passage index stays ours.** Arrow and DuckDB are about as fast at this size. But Arrow sorts in
  memory, which for 1.2 million files is all of 8.6 GB; and DuckDB, which can spill, would be a dependency of 68 MB
  for some forty lines, and leaves the same columns and `starts` to be written.
- **The report is a Jinja template,** its bars drawn as SVG by the template. matplotlib's files are larger, take
  longer, and have one palette for light and dark screens.
- **daft went.** A survey of 6,136 files (two workers, starting included, three rounds in turns with the revision
  before) took 13.2, 12.9 and 21.8 s by daft and 7.7, 10.4 and 12.4 s by `rows.py` (survey.md). daft is 151 MB
  installed, and importing it takes 0.16 s. Object stores are read by pyarrow, which is needed anyway, and by fsspec
  (2 MB, which comes with huggingface_hub).
- **loky would leave processes.** joblib spreads work in three lines, but after a kill -9 its workers wait for
  minutes; those of `rows.py` end with the process that started them. Its Ray backend gives no results before all are
  there."""


def measured_in_a_process(name: str, way: Callable[..., str], *arguments: Any) -> list[str]:
    """A row of the table: what was done, in how many seconds, with how much memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        said, seconds, megabytes = pool.apply(run, (way, arguments))
    return [name, f"{seconds:,.2f}", f"{megabytes:,.0f}", said]


def run(way: Callable[..., str], arguments: tuple[Any, ...]) -> tuple[str, float, float]:
    begin = time.process_time()
    said = way(*arguments)
    return said, time.process_time() - begin, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# -- archives ----------------------------------------------------------------------------------------------------------


def archive_by_sources(archive: Path, few: int | None) -> str:
    source = open_source(archive)
    paths = [entry.path for entry in source.entries()][:few]
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
        values = measured(rows, column)
        axes.hist(values[np.isfinite(values)], bins=48)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg")
        size += len(buffer.getvalue())
    return f"{size / 1000:,.0f} kB, {len(columns)} histograms alone"


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the table."""
    program = Program(__file__, __doc__, quick="{midi} {corpus}")
    program.add_argument("midi", type=Path)
    program.add_argument("corpus", type=Path)
    arguments = program.parse_args(words)
    corpus, rows = arguments.corpus, []

    def add(name: str, way: Callable[..., str], *given: Any) -> None:
        rows.append(measured_in_a_process(name, way, *given))

    with tempfile.TemporaryDirectory() as temporary:
        archive, cut = Path(temporary, "midi.tar.gz"), Path(temporary, "cut.tar.gz")
        with tarfile.open(archive, "w:gz") as made:
            made.add(arguments.midi, "midi")
        cut.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
        add("tar.gz, every file: `archives.py`", archive_by_sources, archive, None)
        add("tar.gz, every file: fsspec", archive_by_fsspec, archive, None)
        add(f"tar.gz, {FEW} files: `archives.py`", archive_by_sources, archive, FEW)
        add(f"tar.gz, {FEW} files: fsspec", archive_by_fsspec, archive, FEW)
        add("tar.gz cut in half: `archives.py`", listed_by_sources, cut)
        add("tar.gz cut in half: fsspec", listed_by_fsspec, cut)
        for name, way in (("`index.py`", index_by_ranges), ("Arrow", index_by_arrow), ("DuckDB", index_by_duckdb)):
            out = Path(temporary, name.strip("`"))
            out.mkdir()
            add(f"sort of the passage index: {name}", way, corpus, out)
    add("report: template", report_by_template, corpus)
    add("report: matplotlib", charts_by_matplotlib, corpus)
    publish(
        arguments,
        "Libraries instead of code of ours",
        table(["", "seconds", "MB", ""], rows),
        WHAT_FOLLOWS,
        libraries=["fsspec", "pyarrow", "duckdb", "jinja2", "matplotlib"],
    )


if __name__ == "__main__":
    main()
