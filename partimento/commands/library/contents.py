"""`partimento library add|show|remove`: what is in a library."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Annotated

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import AnyModel, Labels, Tags, warn
from partimento.commands.library import Common
from partimento.errors import UserError

_COMMONEST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Add(Common):
    """Bring a library up to date with folders and archives; the first time, it is made.

    New files are read, moved ones recognised by their content, and those that are gone leave it. Interrupt it at any
    time: the same command goes on where it was.
    """

    folders: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Folders, .zip and .tar archives (read in place), MIDI files, or URLs of object stores (s3://bucket/folder)."""
    labels: Labels = None
    tag: Tags = ()
    model: AnyModel = None

    def __post_init__(self) -> None:
        if not self.folders:
            raise UserError("name at least one folder, archive or MIDI file to add")


def add(argv: list[str]) -> int:
    """Run `library add`; returns the exit status."""
    options = parse(Add, argv, verb="library add")
    from partimento.corpus.sources import open_source
    from partimento.library.library import MODEL, Library
    from partimento.model.precision import remark

    for folder in options.folders:
        open_source(folder)  # a word that is none is told before anything is made
    if not options.library.exists():
        library = Library.create(options.library, model=options.model or MODEL)
    else:
        library = Library(options.library)
        if options.model is not None and options.model != library.model:
            raise UserError(f"--model: the vectors of {options.library} are of {library.model}; make another library")
    options.say(remark(library.encoder.dtype, library.encoder.device))
    with options.counted("adding") as advance:
        library.add(options.folders, labels=options.labels, tags=options.tag, progress=advance)
    changes = library.changes
    for reason, files in changes.refused.most_common():
        told = "tried again next time" if reason == "cannot-open" else "library show --refused says which"
        warn(f"passed over, {reason}: {files:,} files ({told})")
    done = f"added {changes.added:,} files, moved {changes.moved:,}, removed {changes.removed:,}"
    options.report(
        dataclasses.asdict(changes) | {"library": options.library, "files": len(library)},
        f"{done}; {changes.known:,} were known; {len(library):,} files in {options.library}",
        f"next: partimento library find FILE.mid -l {options.library}",
    )
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Show(Common):
    """Tell what is in a library."""

    files: bool = False
    """A line for each file."""
    refused: bool = False
    """A line for each file without a vector, and why."""


def show(argv: list[str]) -> int:
    """Run `library show`; returns the exit status."""
    options = parse(Show, argv, verb="library show")
    from partimento.library.library import Library

    library = Library(options.library)
    if options.files or options.refused:
        for row in library.files().to_pylist():
            if options.refused != (row["reason"] != ""):
                continue
            said = row["detail"] if options.refused else f"{row['seconds']:8.1f} s {row['notes']:7,} notes"
            print(json.dumps(row) if options.json else f"{row['id']}  {said}  {row['path']}")
        return 0
    facts = library.show()
    if options.json:
        options.report(facts)
        return 0
    lines = {
        name: value if not isinstance(value, dict) else _counted(value) for name, value in facts.items() if value != {}
    }
    for name, value in lines.items():
        print(f"{name:<{max(map(len, lines))}}  {value if isinstance(value, str) else f'{value:,}'}")
    return 0


def _counted(counts: dict[str, int]) -> str:
    said = [f"{name} {count:,}" for name, count in counts.items()]
    rest = [f"and {len(said) - _COMMONEST} more"] if len(said) > _COMMONEST else []
    return ", ".join(said[:_COMMONEST] + rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remove(Common):
    """Take files out of a library; they stay where they are, and adding their folder brings them back."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Ids, paths, or folders and archives with everything in them."""

    def __post_init__(self) -> None:
        if not self.names:
            raise UserError("name at least one id, file, folder or archive to remove")


def remove(argv: list[str]) -> int:
    """Run `library remove`; returns the exit status."""
    options = parse(Remove, argv, verb="library remove")
    from partimento.library.library import Library

    library = Library(options.library)
    removed = library.remove(*options.names)
    facts = {"removed": removed, "files": len(library)}
    options.report(facts, f"removed {removed:,} files; {len(library):,} are left")
    return 0
