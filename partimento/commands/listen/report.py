"""`partimento listen report DIR`: what the votes of a listening test show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import VerbOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Count the votes of a listening test: report.md, report.csv and report.png in its folder.

    Wins, ties and losses with the paper's test, intervals, power, equivalence, strengths, and whether the numbers of
    'evaluate continuation' agree with the listeners. It can be called while 'listen serve' runs.
    """

    study: tyro.conf.Positional[Path]
    """Folder of the study."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="listen report")
    from partimento.evaluate.listening.report import NAME, findings, markdown, write

    report = findings(options.study)
    write(report, options.study)
    options.report(report, markdown(report).rstrip(), f"also in {options.study / NAME}.md, .csv and .png")
    return 0
