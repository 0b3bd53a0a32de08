"""Benchmarks by name: what there is, and whether all of it still runs.

python -m benchmarks --list                    every benchmark in a line
python -m benchmarks --list train              those of a topic
python -m benchmarks --quick                   all of them, small and on made-up music; says what failed
python -m benchmarks --quick tokens embed.encode
python -m benchmarks.tokens.throughput --help  one of them in earnest: every benchmark is a module
"""

from __future__ import annotations

import argparse
import ast
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import HERE, NOT_QUICK, name_of, table


def programs() -> dict[str, Path]:
    """Every benchmark: the modules of the topics that can be run."""
    files = sorted(path for path in HERE.glob("*/*.py") if "def main(words" in path.read_text())
    return {name_of(str(path)): path for path in files}


def about(path: Path) -> str:
    """The first sentence of a benchmark, which names what it measures."""
    return (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def main(words: Sequence[str] | None = None) -> int:
    """Returns 1 if one of them failed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="topics, or topic.program; all where none is given")
    parser.add_argument("--list", action="store_true", help="say what there is, which is also done without --quick")
    parser.add_argument("--quick", action="store_true", help="run the quick forms")
    arguments = parser.parse_args(words)
    known = programs()
    chosen = {
        name: path
        for name, path in known.items()
        if not arguments.names or {name, name.partition(".")[0]} & set(arguments.names)
    }
    strange = set(arguments.names) - set(known) - {name.partition(".")[0] for name in known}
    if strange:
        parser.error(f"no benchmark or topic is called {min(strange)}; see --list")
    if arguments.list or not arguments.quick:
        print("\n".join(f"{name:24}{about(path)}" for name, path in chosen.items()))
        return 0
    rows, failed = [], False
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")])}
    for name in chosen:
        begun = time.perf_counter()
        command = [sys.executable, "-m", f"benchmarks.{name}", "--quick"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        outcome = {0: "runs", NOT_QUICK: done.stdout.strip()}.get(done.returncode, "FAILED")
        failed |= outcome == "FAILED"
        rows.append((name, f"{time.perf_counter() - begun:.1f}", outcome))
        print(*rows[-1], done.stderr[-2000:] if outcome == "FAILED" else "", flush=True)
    print("\n" + table(["benchmark", "seconds", "outcome"], rows))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
