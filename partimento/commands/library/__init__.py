"""`partimento library WHAT ...`: what a collection can be asked and how it is kept, a line in `KINDS` for each."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.common.options import VerbOptions
from partimento.commands.common.verbs import Verb, call

KINDS: tuple[Verb, ...] = (
    Verb(
        name="add",
        help="bring it up to date with folders and archives",
        target="partimento.commands.library.contents:add",
    ),
    Verb(name="find", help="the pieces or moments most like one", target="partimento.commands.library.search:find"),
    Verb(name="same", help="other performances of the piece", target="partimento.commands.library.search:same"),
    Verb(name="show", help="what is in it", target="partimento.commands.library.contents:show"),
    Verb(name="remove", help="take files out of it", target="partimento.commands.library.contents:remove"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Common(VerbOptions):
    """What all of them have."""

    library: Annotated[Path, tyro.conf.arg(aliases=["-l"])] = Path("library")
    """Folder of the library."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    return call(argv, KINDS, program="partimento library", about="A collection that can be asked.")
