"""`partimento plot RUN... [-o PNG]`: loss curves of training runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import Force, VerbOptions
from partimento.commands.common.outputs import file_to_write
from partimento.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Draw training and validation loss of one or more runs over the tokens they have seen."""

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Folders of runs."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("curves.png")
    """The picture (.png)."""
    force: Force = False


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="plot")
    if not options.runs:
        raise UserError("plot needs the folder of at least one run")
    file_to_write(options.out, ".png", force=options.force)
    from partimento.train.curves import draw

    draw(options.runs, options.out)
    options.report({"picture": options.out}, str(options.out))
    return 0
