"""What other systems need: nothing of POSIX where Windows would meet it, and continuous integration on each of them."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
POSIX_MODULES = {
    "crypt",
    "curses",
    "fcntl",
    "grp",
    "posix",
    "pty",
    "pwd",
    "readline",
    "resource",
    "syslog",
    "termios",
    "tty",
}
POSIX_NAMES = {
    "os": {
        *(
            "chown",
            "fork",
            "forkpty",
            "getegid",
            "geteuid",
            "getgid",
            "getloadavg",
            "getpgid",
            "getuid",
            "killpg",
            "mkfifo",
        ),
        *("nice", "pread", "pwrite", "sched_getaffinity", "sched_setaffinity", "setsid", "sysconf", "uname", "wait"),
    },
    "signal": {"SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "alarm", "pause", "setitimer"},
    "multiprocessing": {
        "Pool",
        "Process",
    },  # they fork on Linux and spawn elsewhere; get_context("spawn") does so everywhere
}


_ANY = re.compile(rf"\b({'|'.join(POSIX_MODULES.union(['fork', 'forkserver'], *POSIX_NAMES.values()))})\b")


def posix_only(source: str) -> Iterator[str]:
    """What of a module would fail on Windows: names that are not there, unless the function around asks first.

    Asking is `hasattr(os, "getuid")`, or `sys.platform`, anywhere in the function.
    """
    if not _ANY.search(source):  # which is most modules, and sooner said
        return
    tree = ast.parse(source)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    asking = [
        {id(inside) for inside in ast.walk(function)}
        for function in functions
        if "sys.platform" in (text := ast.unparse(function)) or "hasattr(" in text
    ]
    for node in ast.walk(tree):
        found: set[str] = set()
        if isinstance(node, ast.Import):
            found = {alias.name for alias in node.names} & POSIX_MODULES
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            taken = {f"{node.module}.{alias.name}" for alias in node.names}
            known = {f"{module}.{name}" for module, names in POSIX_NAMES.items() for name in names}
            found = ({node.module or ""} & POSIX_MODULES) | (taken & known)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found = {node.attr} & POSIX_NAMES.get(node.value.id, set())
        elif isinstance(node, ast.Constant) and node.value in ("fork", "forkserver"):
            found = {node.value}
        if found and not any(id(node) in inside for inside in asking):
            yield f"line {getattr(node, 'lineno', 0)}: {', '.join(sorted(found))}"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import fcntl", ["line 1: fcntl"]),
        ("def f():\n    from resource import getrusage", ["line 2: resource"]),
        ("import os\nos.fork()", ["line 2: fork"]),
        ("from os import getuid, getpid", ["line 1: os.getuid"]),
        ("context = get_context('fork')", ["line 1: fork"]),
        ("def f():\n    return os.getuid() if hasattr(os, 'getuid') else 0", []),
        ("def f():\n    if sys.platform == 'win32':\n        return None\n    import resource", []),
    ],
)
def test_what_windows_does_not_have_is_found(source, found):
    assert list(posix_only(source)) == found


def test_nothing_of_the_package_needs_posix():
    modules = [ROOT / "hatch_build.py", *(ROOT / "partimento").rglob("*.py")]
    texts = {path: path.read_text(encoding="utf-8") for path in modules if "node_modules" not in path.parts}
    assert {f"{path.relative_to(ROOT)}: {what}" for path, text in texts.items() for what in posix_only(text)} == set()


def test_pythons_own_switches_change_nothing():
    """Without asserts, and with every warning an error."""
    listing = [sys.executable, *("-O", "-W", "error"), "-m", "partimento", "tokens", "examples/nocturne.mid"]
    done = subprocess.run(listing, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].split()[-1] == "<E>"


def test_names_of_files_in_the_repository_exist_on_every_system():
    reserved = {"aux", "con", "nul", "prn", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
    for folder in ("partimento", "tests", "benchmarks", "docs", "examples", "recipes"):
        names = [path.name for path in (ROOT / folder).rglob("*") if "node_modules" not in path.parts]
        assert not [name for name in names if set(name) & set('<>:"\\|?*') or name.endswith((".", " "))]
        assert not [name for name in names if name.partition(".")[0].lower() in reserved]


def test_continuous_integration_tries_every_system_and_every_python():
    plan = (ROOT / ".github" / "workflows" / "test.yml").read_text(encoding="utf-8")
    matrix = {
        name: set(values.split(", ")) for name, values in re.findall(r"^ +(os|python): \[(.*)\]$", plan, re.MULTILINE)
    }
    assert matrix["os"] == {"ubuntu-latest", "macos-latest", "windows-latest"}
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["classifiers"]
    versions = {text.rpartition(" ")[2] for text in classifiers if "Python :: 3." in text}
    assert matrix["python"] == {f'"{version}"' for version in versions}
