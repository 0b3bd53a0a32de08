"""`partimento listen make STUDY.toml -o DIR`: the clips of a listening test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import VerbOptions
from partimento.commands.common.outputs import folder_to_write


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Make all clips of a listening test: one piano, one length, one loudness, frozen by hash.

    Called again, it goes on where it was stopped. docs/listening.md explains STUDY.toml.
    """

    study: tyro.conf.Positional[Path]
    """The STUDY.toml."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the study; 'listen serve' and 'listen report' take it."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="listen make")
    from partimento.evaluate.listening.make import make
    from partimento.evaluate.listening.report import planned

    folder_to_write(options.out)
    with options.counted("clips") as advance:
        manifest = make(options.study, options.out, say=options.say, progress=advance)
    facts = {"study": options.out, "clips": len(manifest.clips), "digest": manifest.digest}
    options.report(facts, planned(manifest), f"next: partimento listen serve {options.out}")
    return 0
