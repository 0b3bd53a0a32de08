"""What a user waits for: the first read after installing (kernels compile), and every start after that.

    python benchmarks/tokens/startup.py FILE.mid [-o benchmarks/tokens/startup.md]

Each start is a new process, timed from outside: the first with an empty cache of compiled code, then five more.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

READ = """
import sys
from partimento import Performance
Performance.from_midi(sys.argv[1])
assert "torch" not in sys.modules
"""


def main() -> None:
    """Measure and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()

    def start(code: str, cache: str) -> float:
        begin = time.perf_counter()
        environment = os.environ | {"NUMBA_CACHE_DIR": cache}
        subprocess.run([sys.executable, "-c", code, arguments.file], check=True, env=environment)
        return time.perf_counter() - begin

    with tempfile.TemporaryDirectory() as cache:
        first = start(READ, cache)
        later = statistics.median(start(READ, cache) for _ in range(5))
        bare = statistics.median(start("import partimento", cache) for _ in range(5))
    text = f"""# Starting

Python {platform.python_version()}, {os.cpu_count()} cores, {datetime.date.today()}; whole processes, no torch imported.

| start | seconds |
|---|---|
| read a file, first time after installing | {first:.1f} |
| read a file, later (median of 5) | {later:.2f} |
| `import partimento` (median of 5) | {bare:.2f} |
"""
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
