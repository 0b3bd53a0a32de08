"""What a token costs with one weight format beside another, on a machine that is not ours alone.

    python benchmarks/engines/turns.py MODEL onnx-int8 onnx-int4 [--rounds 40] [--past 512]

All formats are open in one process and decode a token each in turn, on one thread, timed by that thread's processor
time: other load slows them alike. The first format is what the others are compared with. On several threads the memory
is what limits, and smaller weights gain more; `decode.py` measures that, on a machine that is idle.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time

from partimento.generate.onnx_backend import OnnxBackend
from partimento.model.export.onnx_folder import prepare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("engines", nargs="+")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--past", type=int, default=512)
    arguments = parser.parse_args()
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
    print(f"{arguments.rounds} tokens each behind {arguments.past}, load average {os.getloadavg()[0]:.1f}\n")
    print("| engine | ms a token, median | least | as fast as the first, median of turns |\n|---|---|---|---|")
    first = taken[arguments.engines[0]]
    for engine, values in taken.items():
        ratio = statistics.median(one / other for one, other in zip(first, values, strict=True))
        median, least = 1000 * statistics.median(values), 1000 * min(values)
        print(f"| {engine} | {median:.1f} | {least:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
