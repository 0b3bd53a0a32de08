"""Rows of one batch: what each costs, and whether its bits depend on how many others there are.

python -m benchmarks.studio.rows examples/nocturne.mid -o rows.md

Times are processor time of one thread, the median of 20 steps behind the prompt's first 15 s.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.common import Program, publish, table, times
from partimento import Engine, Performance

SIZES = (1, 2, 3, 4, 5, 7, 8, 16, 33, 64)


def main(words: Sequence[str] | None = None) -> None:
    """Reads the same tokens in batches of several sizes."""
    program = Program(__file__, __doc__, quick="{file} --model {model}")
    program.add_argument("prompt", type=Path)
    program.add_argument("--model", default="bundled")
    options = program.parse_args(words)
    engine = Engine.load(options.model)
    backend = engine.backend
    tokens = engine.tokens_of(Performance.from_midi(options.prompt).slice_time(0, 15), None)
    read = backend.cache(batch=1, capacity=len(tokens) + 64)
    backend.read([tokens], read)
    following = np.random.default_rng(0).integers(100, 1000, (max(SIZES), 1)).tolist()
    reference = backend.read(following, read.take([0] * max(SIZES)))
    rows = []
    for size in SIZES:
        cache = read.take([0] * size)
        logits = backend.read(following[:size], cache)
        same = sum(np.array_equal(mine, theirs) for mine, theirs in zip(logits, reference[:size], strict=True))
        took = statistics.median(times(partial(backend.read, following[:size], cache), 20))
        rows.append((size, f"{1000 * took / size:.2f}", same))
    publish(
        options,
        "Rows of a batch",
        f"One step behind {len(tokens)} tokens; {backend.description}.",
        table(["rows", "ms of a row", f"rows whose bits are those of {max(SIZES)} rows"], rows),
    )


if __name__ == "__main__":
    main()
