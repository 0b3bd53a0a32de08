"""How many files a minute a library takes in, beside the same files read one by one in float32.

    python -m benchmarks.library.adding MIDI_FOLDER [--files 40] [--threads 2] [-o adding.md]

All of `Library.add` is measured: reading, survey, fingerprints, vectors, tables, the index of passages. Times of the
processor tell what a machine with nothing else to do would take; threads that wait for each other count as busy, so on
a machine that is not at rest give it one.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from benchmarks.common import Program, drawn, publish, table
from benchmarks.made_up import scratch
from partimento.embed.encoder import Encoder, Vectors
from partimento.embed.vectors import unit
from partimento.errors import UserError
from partimento.library.library import Library


def one_by_one(files: Sequence[Path]) -> dict[str, Vectors]:
    """The vectors of the files that have one."""
    encoder, vectors = Encoder.load("bundled-embedding"), {}
    for path in files:
        try:
            vectors[str(path)] = encoder.encode(path, 1)
        except UserError:
            continue
    return vectors


def least_cosine(library: Library, exact: dict[str, Vectors]) -> float:
    """Of the library's vectors and these of the same files."""
    paths = dict(zip(*(library.files()[name].to_pylist() for name in ("id", "path")), strict=True))
    return min(
        float((unit(vector[None]) * unit(exact[paths[id_]][None])).sum())
        for id_, vector in zip(*library.vectors(), strict=True)
        if paths[id_] in exact
    )


def main(words: Sequence[str] | None = None) -> None:
    parser = Program(__file__, __doc__, quick="{midi} --files 2 --threads 1")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args(words)
    torch.set_num_threads(options.threads)
    midi = scratch() / "to-add"
    first, *files = drawn(options.folder, options.files + 1)
    for number, path in enumerate(files):
        (midi / f"{number}").mkdir(parents=True)
        files[number] = Path(shutil.copy(path, midi / f"{number}" / path.name)).resolve()
    library = Library.create(scratch() / "library")
    library.add(first)  # compiled code is loaded, memory is allocated
    exact: dict[str, Vectors] = {}
    ways: dict[str, Callable[[], object]] = {
        f"library add, {str(library.encoder.dtype).removeprefix('torch.')}": lambda: library.add(midi),
        "vectors alone, one file and one slice at a time, float32": lambda: exact.update(one_by_one(files)),
    }
    rows = []
    for name, work in ways.items():
        wall, used = time.perf_counter(), time.process_time()
        work()
        wall, used = time.perf_counter() - wall, time.process_time() - used
        minute = 60 * len(files)
        rows.append((name, f"{wall:.0f}", f"{used:.0f}", f"{minute / wall:.0f}", f"{minute / used:.1f}"))
        print(*rows[-1], flush=True)
    facts = library.show()
    head = ["way", "seconds", "of the processor", "files a minute", "files a minute of one processor"]
    publish(
        options,
        "Adding to a library",
        f"{len(files)} files; with the one before them {facts['slices']} slices and {facts['notes']:,} notes; "
        f"load average {os.getloadavg()[0]:.0f} at the end. Between the vectors of the two ways the cosine is "
        f"{least_cosine(library, exact):.5f} at least.",
        table(head, rows),
        libraries=["lancedb"],
    )


if __name__ == "__main__":
    main()
