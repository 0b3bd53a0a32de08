"""What the page's tests need: node, the packages that package-lock.json names (installed once), and a browser."""

import os
import shutil
import subprocess
from pathlib import Path

from filelock import FileLock

from partimento.studio.build import SOURCES as WEB
from partimento.studio.build import tools

EXAMPLES = Path(__file__).parents[2] / "examples"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def node_modules():
    installed, lock = WEB / "node_modules" / ".package-lock.json", WEB / "package-lock.json"
    with FileLock(WEB / "node_modules.lock"):  # tests run on several processes
        if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
            command = [*tools()[1], "ci", "--ignore-scripts", "--no-progress"]
            subprocess.run(command, cwd=WEB, capture_output=True, check=True)


def run(package, *arguments, **environment):
    """Runs a program of those packages, such as vitest/vitest.mjs; fails with what it says."""
    node_modules()
    done = subprocess.run(
        [tools()[0], f"node_modules/{package}", *arguments],
        cwd=WEB,
        env={**os.environ, "NO_COLOR": "1", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
