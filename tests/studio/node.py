"""What the page's tests need: node, and the packages that package-lock.json names, installed once."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WEB = ROOT / "partimento" / "studio" / "web"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


def node_modules():
    """Skips, and says so, on a machine without npm; the page itself is built there, too (`studio/build.py`)."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("the page's tests need node and npm")
    installed, lock = WEB / "node_modules" / ".package-lock.json", WEB / "package-lock.json"
    if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
        command = ["npm", "ci", "--ignore-scripts", "--no-progress"]
        subprocess.run(command, cwd=WEB, capture_output=True, check=True)
