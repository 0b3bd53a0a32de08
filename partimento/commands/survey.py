"""`partimento survey SOURCE... -o CORPUS`: every MIDI file once -> one row of a manifest."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import Labels, VerbOptions, Workers
from partimento.commands.common.outputs import folder_to_write
from partimento.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Read every MIDI file once and record what it is: verdict, measurements, metadata, fingerprint.

    Interrupt it at any time: the same command goes on where it was, and later reads only what is new.
    """

    sources: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Folders, .zip and .tar archives (read in place), or URLs of object stores (s3://bucket/folder)."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the corpus; its manifest is made or brought up to date."""
    labels: Labels = None
    metadata: Path | None = None
    """Aria-MIDI's metadata.json, for files <file_id>_<segment>.mid."""
    cluster: str | None = None
    """Address of a Ray cluster, all of whose machines see the sources; without it the work is done here."""
    workers: Workers = None

    def __post_init__(self) -> None:
        if not self.sources:
            raise UserError("name at least one source: a folder, an archive or a URL")
        if self.workers is not None and self.workers < 1:
            raise UserError(f"--workers must be at least 1, not {self.workers}")


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="survey")
    folder_to_write(options.out)
    from partimento.corpus.sources import open_source
    from partimento.corpus.survey.labels import Labels
    from partimento.corpus.survey.run import survey

    labels = Labels.load(csv=options.labels, aria_midi=options.metadata)
    sources = [open_source(location) for location in dict.fromkeys(options.sources)]
    with options.counted("surveying") as advance:
        summary = survey(
            sources,
            options.out,
            labels=labels,
            cluster=options.cluster,
            workers=options.workers,
            progress=advance,
        )
    refused = summary.refused.total()
    known = summary.readable + refused
    lines = [
        f"surveyed now: {summary.surveyed:,} files; known before: {known - summary.surveyed:,}",
        f"readable: {summary.readable:,} files, {summary.notes:,} notes, {summary.seconds / 3600:,.1f} h",
    ]
    if summary.repaired:
        lines.append(f"damaged, read as far as they go: {summary.repaired:,} of these files (column repairs)")
    lines.append(f"refused: {refused:,} files")
    lines += [f"  {reason:<22} {count:>9,}" for reason, count in summary.refused.most_common()]
    if labels:
        lines.append(f"the labels name {summary.labelled:,} of these {known:,} files")
    lines += [f"manifest in {options.out / 'manifest'}", f"next: partimento select {options.out}"]
    options.report(dataclasses.asdict(summary), *lines)
    return 0
