"""Modules of the tests that run as programs, because they kill their own process or are more than one.

done = run("tests.train.killed_run", folder, "3")
"""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)])}


def command(module: str, *words: object) -> list[str]:
    return [sys.executable, "-m", module, *map(str, words)]


def run(module: str, *words: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs a module to its end, which has to be this one."""
    done = subprocess.run(command(module, *words), env=ENVIRONMENT, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stderr[-3000:]
    return done
