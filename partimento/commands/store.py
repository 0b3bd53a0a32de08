"""`partimento store FOLDER -o STORE`: MIDI files -> a note store for training."""

from __future__ import annotations

import csv
import hashlib
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.progress import track

from partimento.commands.flags import parse
from partimento.corpus.store import NoteStore, build
from partimento.errors import UserError
from partimento.midi.reader import MidiError

_HELDOUT_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Read every MIDI file under FOLDER once and keep its piano notes, 8 bytes each."""

    folder: Annotated[Path, tyro.conf.Positional]
    """Folder of .mid and .midi files, searched recursively."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the new store; must not exist."""
    labels: Path | None = None
    """CSV with columns path (ending as the files' paths do, relative to FOLDER) and split; rows whose split is
    'train' are trained on, all others held out, files without a row left out. Without it, 5 % of the files, chosen by
    their content, are held out."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="store")
    if not options.folder.is_dir():
        raise UserError(f"{options.folder}: not a folder")
    files = sorted(p for p in options.folder.rglob("*") if p.suffix.lower() in (".mid", ".midi"))
    sources = (
        _by_labels(files, options.folder, options.labels) if options.labels else [(p, _by_content(p)) for p in files]
    )
    if not sources:
        raise UserError(f"{options.folder}: no .mid or .midi files to read")
    refusals: Counter[str] = Counter()

    def refused(error: MidiError) -> None:
        refusals[error.reason.value] += 1
        print(f"refused: {error}", file=sys.stderr)

    def progress(rows: Iterable[tuple[Path, str]]) -> Iterable[tuple[Path, str]]:
        return track(rows, description="reading", total=len(sources), disable=not sys.stderr.isatty())

    build(sources, options.out, refused=refused, progress=progress)
    store = NoteStore(options.out)
    for split in ("train", "heldout"):
        mine = [file for file in store.files if file.split == split]
        print(f"{split}: {len(mine)} files, {sum(file.count for file in mine):,} notes")
    print(
        f"passed over: {len(sources) - len(store)} (of them refused: {sum(refusals.values())}); store in {options.out}"
    )
    return 0


def _by_content(path: Path) -> str:
    share = int.from_bytes(hashlib.sha256(path.read_bytes()).digest()[:4], "big") / 2**32
    return "heldout" if share < _HELDOUT_SHARE else "train"


def _by_labels(files: list[Path], folder: Path, labels: Path) -> list[tuple[Path, str]]:
    try:
        with labels.open(newline="", encoding="utf-8") as file:
            split_of = {row["path"]: "train" if row["split"] == "train" else "heldout" for row in csv.DictReader(file)}
    except (OSError, KeyError) as error:
        raise UserError(f"{labels}: needs a CSV with columns path and split ({error!r})") from error
    return [(p, split_of[name]) for p in files if (name := p.relative_to(folder).as_posix()) in split_of]
