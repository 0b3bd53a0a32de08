"""A folder that appears whole or not at all.

Knows: files and names. Refuses to know what is written.

    with whole_folder(path) as temporary:
        (temporary / "config.json").write_text("{}")
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from partimento.errors import UserError


@contextmanager
def whole_folder(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """A temporary folder beside `path`, which takes its name at the end; if anything is raised, nothing is left.

    Raises `UserError` if `path` exists, unless it may be replaced. Another process that made `path` meanwhile is left
    in possession.
    """
    if path.exists() and not replace:
        raise UserError(f"{path} exists already; give --force to replace it, or another folder with -o")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir()
        yield temporary
        if replace and path.exists():
            old = path.with_name(f".{path.name}.{os.getpid()}.old")
            path.rename(old)
            temporary.rename(path)
            shutil.rmtree(old)
        elif not path.exists():
            temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
