"""What a user waits for: the first read after installing (kernels compile), and every start after that.

    python -m benchmarks.tokens.startup FILE.mid [-o benchmarks/tokens/startup.md]

Each start is a new process, timed from outside: the first with an empty cache of compiled code, then five more.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence

from benchmarks.common import Program, output_of, publish, table, times

READ = """
import sys
from partimento import Performance
Performance.from_midi(sys.argv[1])
assert "torch" not in sys.modules
"""


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the figures."""
    program = Program(__file__, __doc__, quick="{file} --starts 1")
    program.add_argument("file")
    program.add_argument("--starts", type=int, default=5)
    arguments = program.parse_args(words)

    def start(code: str, cache: str, starts: int) -> float:
        command = [sys.executable, "-c", code, arguments.file]
        taken = times(lambda: output_of(command, NUMBA_CACHE_DIR=cache), starts, clock=time.perf_counter, warm_up=False)
        return statistics.median(taken)

    with tempfile.TemporaryDirectory() as cache:
        rows = [
            ("read a file, first time after installing", f"{start(READ, cache, 1):.1f}"),
            (f"read a file, later (median of {arguments.starts})", f"{start(READ, cache, arguments.starts):.2f}"),
            (
                f"`import partimento` (median of {arguments.starts})",
                f"{start('import partimento', cache, arguments.starts):.2f}",
            ),
        ]
    publish(arguments, "Starting", "Whole processes, no torch imported.", table(["start", "seconds"], rows))


if __name__ == "__main__":
    main()
