"""Writing files and folders whole, and their names as text.

It knows how a file takes the place of another one, and how a new folder gets its name: all of it or nothing. It refuses
to know what is in them.

    >>> from partimento.files import replacing
    >>> with replacing("notes.json") as part:  # doctest: +SKIP
    ...     part.write_text("{}")
"""

from __future__ import annotations

import os
import re
import shutil
import stat
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
        give_usual_mode(part)
        with part.open("rb+") as written:
            os.fsync(written.fileno())
        part.replace(target)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UserError(f"cannot write {target}: {why}; name a file in a folder you may write to") from error
    finally:
        with suppress(OSError, ValueError):
            part.unlink()


def from_disk(name: str) -> str:
    r"""A file name as text that any table and screen can hold: bytes that are not UTF-8 appear as \xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def to_disk(name: str) -> Path:
    r"""The inverse of `from_disk`, of a path too; a name that really holds a backslash and an x is tried first."""
    direct = Path(name)
    if "\\x" not in name or direct.exists():
        return direct
    escaped = os.fsencode(name)
    return Path(os.fsdecode(re.sub(rb"\\x([89a-f][0-9a-f])", lambda m: bytes([int(m[1], 16)]), escaped)))


def give_usual_mode(file: Path) -> None:
    """Let those read a file whom the umask lets; some libraries write files for the user alone."""
    if stat.S_IMODE(file.stat().st_mode) != stat.S_IRUSR | stat.S_IWUSR:
        return
    usual = file.with_name(f".{os.getpid()}-{next(_writes)}.mode")  # asking for the umask itself would change it
    try:
        usual.touch()
        file.chmod(stat.S_IMODE(usual.stat().st_mode))
    finally:
        usual.unlink(missing_ok=True)


def can_write(folder: Path) -> bool:
    """Whether files can be made in a folder, or, if there is none, in the one that it would be made in."""
    there = next(path for path in (folder, *folder.parents) if os.access(path, os.F_OK))
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def home_cache() -> Path:
    """Where this user's programs keep what can be made again; without a home, what cannot be written."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:
        return Path(os.devnull)


def home_config() -> Path:
    """Where this user's programs keep what was chosen or measured; without a home, what cannot be written."""
    try:
        return Path(os.environ.get("XDG_CONFIG_HOME") or os.environ.get("APPDATA") or Path.home() / ".config")
    except RuntimeError:
        return Path(os.devnull)


def place_for_compiled(package: Path) -> Path | None:
    """Where compiled functions go if neither the package's folder nor the user's home can be written, else None."""
    if can_write(package / "midi" / "__pycache__") or can_write(home_cache() / "numba"):
        return None
    return scratch_folder() / "numba"


def scratch_folder() -> Path:
    """This user's own folder among the temporary files, for what can be made again where nothing else can be written.

    It is said when it is made.
    """
    import logging  # only here: few need them, and everybody waits for this file
    import tempfile

    folder, new = own_folder(Path(tempfile.gettempdir()))
    if not new:
        return folder
    logging.getLogger("partimento").warning(
        "partimento: the home folder cannot be written; compiled code and prepared models are kept in %s", folder
    )
    return folder


def own_folder(shared: Path) -> tuple[Path, bool]:
    """A folder in `shared` that is this user's alone, and whether it was made just now.

    Where somebody else has made one of that name, it is a new one for this process.
    """
    import tempfile

    user = os.getuid() if hasattr(os, "getuid") else "cache"
    folder = shared / f"partimento-{user}"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        found = folder.lstat()
        ours = stat.S_ISDIR(found.st_mode) and not stat.S_IMODE(found.st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
        if user == "cache" or (ours and found.st_uid == user):
            return folder, False
        folder = Path(tempfile.mkdtemp(prefix="partimento-", dir=shared))
    return folder, True


def others_write(folder: Path) -> bool:
    """Whether another user than this one and root may put files into a folder; False where there is none.

    Windows keeps a user's folders to the user.
    """
    if not hasattr(os, "getuid") or not folder.exists():
        return False
    found = folder.stat()
    return found.st_uid not in (os.getuid(), 0) or bool(found.st_mode & stat.S_IWOTH)


@contextmanager
def held_alone(lock: Path, busy: str) -> Iterator[None]:
    """Holds the file `lock`, made if need be, while the block runs; raises `UserError`, saying `busy`, if another does.

    The system lets go of such a lock when its holder dies, however it dies.
    """
    from filelock import FileLock, Timeout  # only here: few need it

    try:
        with FileLock(lock, blocking=False):
            yield
    except Timeout as error:
        raise UserError(busy) from error


def refuse_existing(path: Path, *, force: bool) -> None:
    """Raise `UserError` where something would be replaced that nobody said may be."""
    if path.exists() and not force:
        raise UserError(f"{path} exists already; give --force to replace it, or another name with -o")


@contextmanager
def new_folder(path: str | PathLike[str], *, replace: bool = False) -> Iterator[Path]:
    """A folder to fill that is called `path` when the block ends; when it raises, there is none.

    Raises `UserError` if something of that name is there, unless it may be replaced: then it stays until the new one is
    complete. What a killed process left of such a block is removed.
    """
    target = Path(path)
    if target.exists() and not replace:
        raise UserError(f"{target} exists already; remove it, or give another name")
    part = target.with_name(target.name + ".partial")
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(parents=True)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UserError(f"cannot make {target}: {why}; name one in a folder you may write to") from error
    try:
        yield part
        take_place(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def take_place(part: Path, target: Path) -> None:
    """Call a complete folder `target`; what had that name before goes, once the new one has it."""
    if not target.exists():
        part.rename(target)
        return
    target.rename(old := target.with_name(f"{target.name}.old.partial"))
    part.rename(target)
    if old.is_dir():
        shutil.rmtree(old)
    else:
        old.unlink()
