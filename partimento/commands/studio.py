"""`partimento studio`: the page to hear, see and steer music with, and the server behind it.

Knows the flags. Refuses to know what is served (`partimento.studio`).

    partimento studio nocturne.mid
    partimento studio --host 0.0.0.0 --port 8000 --no-browser
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import (
    Candidates,
    Engine,
    Host,
    Model,
    NoBrowser,
    Originality,
    Port,
    VerbOptions,
    Window,
)
from partimento.commands.originality import what_was_learned
from partimento.errors import UserError
from partimento.midi.performance import Performance


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Open the studio in the browser: play, hear how it goes on, choose, take it home. Nothing leaves this machine.

    It is also a server for other programs (docs/studio.md).
    """

    file: tyro.conf.Positional[Path | None] = None
    """A MIDI file to begin with."""
    port: Port = 7860
    host: Host = None
    no_browser: NoBrowser = False
    model: Model = "bundled"
    engine: Engine = "auto"
    candidates: Candidates = None
    window: Window = None
    originality: Originality = True
    library: Annotated[Path | None, tyro.conf.arg(aliases=["-l"])] = None
    """A library, as 'partimento library add' makes it: its map is shown, and its files are prompts."""

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UserError(f"--port must lie in 0..65535, not {self.port}")
        if self.candidates is not None:
            from partimento.studio.protocol import MOST_CANDIDATES

            if not 1 <= self.candidates <= MOST_CANDIDATES:
                raise UserError(f"--candidates must lie in 1..{MOST_CANDIDATES}, not {self.candidates}")


def main(argv: list[str]) -> None:
    """Run the verb with the arguments after its name."""
    options = parse(Options, argv, verb="studio")
    opened = None if options.file is None else Performance.from_midi(options.file)

    from partimento.generate.engine import Engine as MusicEngine
    from partimento.library.library import Library
    from partimento.studio.app import NO_PAGE
    from partimento.studio.build import PAGE
    from partimento.studio.serve import serve

    library = None if options.library is None else Library(options.library)
    if not PAGE.is_dir():
        print(NO_PAGE.strip())
    learned = what_was_learned(options.model, options) if options.originality else None
    engine = MusicEngine.load(options.model, engine=options.engine, window=options.window, say=options.say)
    if options.candidates is not None:
        engine.abilities = dataclasses.replace(engine.abilities, candidates=options.candidates)
    serve(
        engine,
        model=options.model,
        opened=opened,
        host=options.host,
        port=options.port,
        browser=not options.no_browser,
        say=options.say,
        learned=learned,
        library=library,
    )
