"""Files -> rows, resumable: the one way in which this package works through many files.

A survey, a note store, a table of embeddings and a cache of vectors are made alike. What is not done yet is cut into
`blocks`; `spread` works on them here, in several processes or on a Ray cluster; `Parts` keeps the rows as Parquet
files, each of them written whole. So a kill at any moment costs the blocks under way and no more. This file knows
blocks, processes and parts; what a row says, and which files have theirs already, is known to who calls it.

    >>> parts = Parts("table.parts", schema)                               # doctest: +SKIP
    >>> for rows in parts.keep(spread(measure, blocks(paths, 64), workers=4)):  # doctest: +SKIP
    ...     print(rows.num_rows)
    64
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from partimento.errors import UserError
from partimento.files import replacing

Block = TypeVar("Block")
Result = TypeVar("Result")

UNDER_WAY: Final = 2
"""Blocks for each worker that are worked on or wait for it."""


def blocks(items: Any, size: int) -> list[Any]:
    """`blocks("abcde", 2)` -> ["ab", "cd", "e"]; of anything that can be sliced, an Arrow table too."""
    return [items[first : first + size] for first in range(0, len(items), size)]


def spread(
    work: Callable[[Block], Result], over: Iterable[Block], *, workers: int = 1, cluster: str | None = None
) -> Iterator[Result]:
    """work(block) of each block, in the order in which they are done; blocks are begun in their order.

    With one worker the work is done in this process. Several are processes of this machine or, with the address of a
    Ray cluster, tasks there; then `work` must be importable (a `partial` of a module's function), and a script that
    calls this does so below `if __name__ == "__main__"`.
    """
    if cluster is None and workers < 2:
        yield from map(work, over)
        return
    rest = iter(over)
    pool = _RayPool(cluster) if cluster is not None else _local_pool(workers)
    try:
        running = {pool.submit(work, block) for block in islice(rest, UNDER_WAY * workers)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                running.update(pool.submit(work, block) for block in islice(rest, 1))
                yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def processors(cluster: str | None = None) -> int:
    """How many this process may use, or those of a Ray cluster; raises `UserError` if that cannot be reached."""
    if cluster is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    machines = [node["Resources"] for node in _ray(cluster).nodes() if node["Alive"]]
    return max(1, int(sum(resources.get("CPU", 0) for resources in machines)))


class Parts:
    """Rows of one schema as `part-NNNNNN.parquet` in a folder; one process at a time adds to it."""

    def __init__(self, folder: str | os.PathLike[str], schema: pa.Schema) -> None:
        self.folder, self.schema = Path(folder), schema

    @property
    def paths(self) -> list[Path]:
        """The parts, oldest first."""
        return sorted(self.folder.glob("part-*.parquet"))

    def add(self, rows: pa.Table) -> None:
        """Append rows as one part."""
        last = self.paths[-1:]
        number = int(last[0].stem.removeprefix("part-")) + 1 if last else 0
        self.write(rows, self.folder / f"part-{number:06d}.parquet")

    def write(self, rows: pa.Table, part: Path) -> None:
        """Write rows as this part, whole, in place of what it held."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(part) as unfinished:
            rows = rows.cast(self.schema).replace_schema_metadata(self.schema.metadata)
            pq.write_table(rows, unfinished, compression="zstd")

    def keep(self, tables: Iterable[pa.Table], *, rows_per_part: int = 1) -> Iterator[pa.Table]:
        """Hand on the tables, adding a part whenever so many rows have come, and of the rest at the end."""
        waiting: list[pa.Table] = []
        for rows in tables:
            waiting.append(rows)
            if sum(table.num_rows for table in waiting) >= rows_per_part:
                self.add(pa.concat_tables(waiting))
                waiting.clear()
            yield rows
        if waiting:
            self.add(pa.concat_tables(waiting))


def _local_pool(workers: int) -> ProcessPoolExecutor:
    # Threads of this process may hold locks that a fork would copy.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Let this process end when the one that started it does, even by a kill: the pool's own would wait for ever."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class _RayPool:
    """A Ray cluster, asked as a process pool is."""

    def __init__(self, address: str) -> None:
        self._run = _ray(address).remote(_call)

    def submit(self, work: Callable[[Any], Any], block: Any) -> Future[Any]:
        return self._run.remote(work, block).future()

    def shutdown(self, *, cancel_futures: bool) -> None:
        """Ray ends its tasks with the process that asked for them."""


def _call(work: Callable[[Any], Any], block: Any) -> Any:
    return work(block)


def _ray(address: str) -> Any:
    """Ray, connected to the cluster at an address as `ray start` prints it."""
    try:
        import ray
    except ImportError as error:
        raise UserError("a cluster needs Ray: pip install 'partimento[cluster]'") from error
    try:
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if port.isdigit():
            socket.create_connection((host, int(port)), timeout=10).close()  # Ray itself would try for minutes
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, ignore_reinit_error=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"no Ray cluster answers at {address}: {error}") from error
    return ray
