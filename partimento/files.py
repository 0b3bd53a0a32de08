"""Writing files and folders whole.

It knows how a file takes the place of another one, and how a new folder gets its name: all of it or nothing. It refuses
to know what is in them.

    >>> from partimento.files import replacing
    >>> with replacing("notes.json") as part:  # doctest: +SKIP
    ...     part.write_text("{}")
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from os import PathLike
from pathlib import Path

from partimento.errors import UserError

_writes = count()


@contextmanager
def replacing(path: str | PathLike[str]) -> Iterator[Path]:
    """A file to write instead of `path`, which afterwards holds either all of it or what it held before.

    When the block ends, the file is on the disk and renamed; when it raises, the file is gone. Raises `UserError` where
    a file cannot be written, which is how every `OSError` of the block is taken.
    """
    target = Path(path)
    # In the same folder, because a rename is atomic only within one file system; cut, because names may have 255 bytes.
    part = target.parent / f".{target.name[:40]}.{os.getpid()}-{next(_writes)}.part"
    try:
        if "\0" in str(target):
            raise OSError("a name cannot contain NUL")
        yield part
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(target)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UserError(f"cannot write {target}: {why}; name a file in a folder you may write to") from error
    finally:
        with suppress(OSError, ValueError):
            part.unlink()


@contextmanager
def new_folder(path: str | PathLike[str], *, replace: bool = False) -> Iterator[Path]:
    """A folder to fill that is called `path` when the block ends; when it raises, there is none.

    Raises `UserError` if something of that name is there, unless it may be replaced: then it stays until the new one is
    complete. What a killed process left of such a block is removed.
    """
    target = Path(path)
    if target.exists() and not replace:
        raise UserError(f"{target}: already exists; remove it or choose another folder")
    part = target.with_name(target.name + ".partial")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UserError(f"cannot make {target}: {why}; name one in a folder you may write to") from error
    try:
        yield part
        if target.exists():
            target.rename(old := target.with_name(f"{target.name}.old.partial"))
            part.rename(target)
            shutil.rmtree(old)
        else:
            part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
