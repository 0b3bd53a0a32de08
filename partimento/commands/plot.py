"""`partimento plot RUN... [-o PNG]`: loss curves of training runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.flags import parse


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Draw training and validation loss of one or more runs over the tokens they have seen."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of runs."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("curves.png")
    """The picture (.png)."""
    force: bool = False
    """Replace a picture that exists."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="plot")
    from partimento.errors import UserError
    from partimento.files import refuse_existing
    from partimento.train.curves import draw

    if not options.runs:
        raise UserError("plot needs the folder of at least one run")
    if options.out.suffix.lower() != ".png":
        raise UserError(f"{options.out}: the picture is a PNG; give a name that ends in .png")
    refuse_existing(options.out, force=options.force)
    draw(options.runs, options.out)
    print(options.out)
    return 0
