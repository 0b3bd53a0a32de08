"""What -o names, looked at before anything takes time.

Knows which names can be the output of a verb: a file of the kind that it writes, or a folder. Refuses to know what is
written. What exists is replaced with --force alone, and the words are the same for all verbs (`files.refuse_existing`);
verbs that go on where they were (survey, embed, training, evaluate) add to what they made themselves.

    file_to_write(options.out, ".png", force=options.force)
    folder_to_write(options.out)
"""

from __future__ import annotations

import csv
from pathlib import Path

from partimento.errors import UserError
from partimento.files import refuse_existing

_FILE_KINDS = (
    {".mid", ".midi", ".kar", ".rmi", ".wav", ".flac", ".ogg", ".mp3", ".png", ".jpg", ".svg", ".pdf", ".html", ".md"}
    | {".csv", ".json", ".toml", ".txt", ".parquet", ".safetensors", ".onnx", ".zip", ".tar", ".gz"}
)  # fmt: skip
"""What nobody calls a folder."""


def file_to_write(path: Path, *suffixes: str, force: bool | None) -> None:
    """Refuse a name without one of the suffixes, or that is taken; with `force` None what is there is gone on with."""
    if path.suffix.lower() not in suffixes:
        raise UserError(f"-o {path}: what is written is a {_kinds(suffixes)} file; give a name that ends so")
    if path.is_dir():
        raise UserError(f"-o {path}: that is a folder; give the name of a {_kinds(suffixes)} file")
    if force is not None:
        refuse_existing(path, force=force)


def folder_to_write(path: Path, *, force: bool | None = None) -> None:
    """Refuse a name that is a file's, or that is taken; with `force` None files are put into a folder that is there."""
    if path.exists() and not path.is_dir():
        raise UserError(f"-o is the folder for what is written, and {path} is a file; give another name")
    if not path.exists() and path.suffix.lower() in _FILE_KINDS:
        raise UserError(f"-o is the folder for what is written, not a file such as {path}")
    if force is not None:
        refuse_existing(path, force=force)


def rows_of(table: Path) -> list[dict[str, str]]:
    """The rows of a CSV file that was written, to report them."""
    with table.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _kinds(suffixes: tuple[str, ...]) -> str:
    *others, last = suffixes
    return f"{', '.join(others)} or {last}" if others else last
