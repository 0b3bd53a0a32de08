"""`partimento listen serve DIR`: the page on which people compare, and the server that keeps their votes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import Host, NoBrowser, Port, VerbOptions
from partimento.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Serve a listening test that 'listen make' made, until it is interrupted; started again, it goes on.

    Every answer is on the disk (votes.jsonl) before the next question is asked. No address is kept.
    """

    study: tyro.conf.Positional[Path]
    """Folder of the study."""
    port: Port = 7870
    host: Host = None
    names: tuple[str, ...] = ()
    """Other names under which listeners reach this server, through a proxy of yours that speaks https, say."""
    no_browser: NoBrowser = False

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise UserError(f"--port must lie in 0..65535, not {self.port}")


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="listen serve")
    from partimento.evaluate.listening.manifest import Manifest
    from partimento.evaluate.listening.votes import VOTES, VoteLog
    from partimento.studio.address import run
    from partimento.studio.build import PAGE
    from partimento.studio.listening.app import NO_PAGE, application
    from partimento.studio.listening.panel import Panel

    if not PAGE.is_dir():
        raise UserError(" ".join(NO_PAGE.split()))
    manifest = Manifest.read(options.study)
    with VoteLog(options.study / VOTES, digest=manifest.digest) as log:
        run(
            application(Panel(options.study, manifest, log)),
            name="listening test",
            host=options.host,
            names=options.names,
            port=options.port,
            browser=not options.no_browser,
            say=options.say,
        )
    return 0
