"""What a token costs with one weight format beside another, on a machine that is not ours alone.

    python -m benchmarks.engines.turns MODEL onnx-int8 onnx-int4 [--rounds 40] [--past 512]

All formats are open in one process and decode a token each in turn, on one thread, timed by that thread's processor
time: other load slows them alike. The first format is what the others are compared with. On several threads the memory
is what limits, and smaller weights gain more; `decode.py` measures that, on a machine that is idle.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Sequence

from benchmarks.common import Program, publish, table
from partimento.export.onnx_folder import prepare
from partimento.generate.backends.onnx_backend import OnnxBackend


def main(words: Sequence[str] | None = None) -> None:
    parser = Program(__file__, __doc__, quick="{model} onnx-int8 onnx --rounds 2 --past 16")
    parser.add_argument("model")
    parser.add_argument("engines", nargs="+")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--past", type=int, default=512)
    arguments = parser.parse_args(words)
    opened = {}
    for engine in arguments.engines:
        backend = OnnxBackend(prepare(arguments.model, engine), threads=1)
        cache = backend.cache(batch=1, capacity=arguments.past + arguments.rounds + 1)
        backend.read([[50, 60]], cache)
        cache._length = arguments.past  # time does not depend on what keys and values are
        opened[engine] = backend, cache
    taken: dict[str, list[float]] = {engine: [] for engine in opened}
    for _ in range(arguments.rounds):
        for engine, (backend, cache) in opened.items():
            began = time.process_time()
            backend.read([[50]], cache)
            taken[engine].append(time.process_time() - began)
    first, rows = taken[arguments.engines[0]], []
    for engine, values in taken.items():
        ratio = statistics.median(one / other for one, other in zip(first, values, strict=True))
        milliseconds = 1000 * statistics.median(values), 1000 * min(values)
        rows.append((engine, *(f"{each:.1f}" for each in milliseconds), f"{ratio:.2f}"))
    publish(
        arguments,
        "Formats in turns",
        f"{arguments.rounds} tokens each behind {arguments.past}, load average {os.getloadavg()[0]:.1f}.",
        table(["engine", "ms a token, median", "least", "as fast as the first, median of turns"], rows),
    )


if __name__ == "__main__":
    main()
