"""Rows of one batch: what each costs, and whether its bits depend on how many others there are.

    OMP_NUM_THREADS=1 python benchmarks/studio/rows.py examples/nocturne.mid

Times are processor time of one thread, the median of 20 steps behind the prompt's first 15 s.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from partimento import Engine, Performance

SIZES = (1, 2, 3, 4, 5, 7, 8, 16, 33, 64)


def main() -> None:
    """Read the same tokens in batches of several sizes, print a table."""
    parser = argparse.ArgumentParser(description="Measure rows of batches.")
    parser.add_argument("prompt", type=Path)
    parser.add_argument("--model", default="bundled")
    options = parser.parse_args()
    engine = Engine.load(options.model)
    backend = engine.backend
    tokens = engine.tokens_of(Performance.from_midi(options.prompt).slice_time(0, 15), None)
    read = backend.cache(batch=1, capacity=len(tokens) + 64)
    backend.read([tokens], read)
    following = np.random.default_rng(0).integers(100, 1000, (max(SIZES), 1)).tolist()
    reference = backend.read(following, read.take([0] * max(SIZES)))
    print("| rows | ms of a row | rows whose bits are those of 64 rows |\n|---:|---:|---:|")
    for rows in SIZES:
        cache = read.take([0] * rows)
        logits = backend.read(following[:rows], cache)
        same = sum(np.array_equal(mine, theirs) for mine, theirs in zip(logits, reference, strict=False))
        times = []
        for _ in range(20):
            began = time.process_time()
            backend.read(following[:rows], cache)
            times.append(time.process_time() - began)
        print(f"| {rows} | {1000 * statistics.median(times) / rows:.2f} | {same} |")


if __name__ == "__main__":
    main()
