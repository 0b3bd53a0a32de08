"""`partimento survey SOURCE... -o CORPUS`: every MIDI file once -> one row of a manifest."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from partimento.commands.flags import parse
from partimento.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Read every MIDI file once and record what it is: verdict, measurements, metadata, fingerprint.

    Interrupt it at any time: the same command goes on where it was, and later reads only what is new.
    """

    sources: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Folders, .zip and .tar archives (read in place), or URLs of object stores (s3://bucket/folder)."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the corpus; its manifest is made or brought up to date."""
    labels: Path | None = None
    """CSV with a column path and any of composer, opus, piece, form, period, genre, performer, title, collection,
    licence, split."""
    metadata: Path | None = None
    """Aria-MIDI's metadata.json, for files <file_id>_<segment>.mid."""
    cluster: str | None = None
    """Address of a Ray cluster, all of whose machines see the sources; without it the work is done here."""
    workers: int | None = None
    """Processes; default: one for each core."""

    def __post_init__(self) -> None:
        if not self.sources:
            raise UserError("name at least one source: a folder, an archive or a URL")
        if self.workers is not None and self.workers < 1:
            raise UserError(f"--workers must be at least 1, not {self.workers}")


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="survey")
    from partimento.corpus.labels import Labels
    from partimento.corpus.sources import open_source
    from partimento.corpus.survey import survey

    labels = Labels.load(csv=options.labels, aria_midi=options.metadata)
    sources = [open_source(location) for location in dict.fromkeys(options.sources)]
    with _Progress() as progress:
        summary = survey(
            sources,
            options.out,
            labels=labels,
            cluster=options.cluster,
            workers=options.workers,
            progress=progress.show,
        )
    refused = summary.refused.total()
    print(f"surveyed now: {summary.surveyed:,} files; known before: {summary.readable + refused - summary.surveyed:,}")
    print(f"readable: {summary.readable:,} files, {summary.notes:,} notes, {summary.seconds / 3600:,.1f} h")
    print(f"refused: {refused:,} files")
    for reason, count in summary.refused.most_common():
        print(f"  {reason:<22} {count:>9,}")
    if labels:
        print(f"the labels name {summary.labelled:,} of these {summary.readable + refused:,} files")
    print(f"manifest in {options.out / 'manifest'}")
    return 0


class _Progress:
    """A bar with files, files/s and time left on a terminal; nothing elsewhere."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self._bar.add_task("listing", total=None, rate="")

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, done: int, total: int) -> None:
        """Move the bar to `done` of `total` files."""
        speed = self._bar.tasks[0].speed
        rate = "" if speed is None else f"{speed:,.0f} files/s"
        self._bar.update(self._task, description="surveying", completed=done, total=total, rate=rate)
