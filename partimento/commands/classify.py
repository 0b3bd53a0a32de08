"""`partimento classify FILES [--model RUN]`: probabilities of labels, of each file or over time."""

from __future__ import annotations

import csv as csv_library
import json as json_library
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import Model, VerbOptions, warn
from partimento.errors import UserError

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Tell what a classifier takes MIDI files for: the probability of each of its labels, file by file.

    The bundled one tells periods of classical piano music (partimento/bundled/CLASSIFIER_CARD.md says how well);
    'finetune classifier' makes others. A file of which a classifier knows nothing is called unknown.

    Status: 0; 2 if some file could not be read (it is named on standard error).
    """

    files: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """MIDI files, or folders and archives of them."""
    model: Model = "bundled-classifier"
    over_time: bool = False
    """A row for each slice, of 300 notes (or what the model learned from) and with start and end in seconds."""
    csv: bool = False
    """Print CSV, a column for each label; with --json it is an object a line."""

    def __post_init__(self) -> None:
        if not self.files:
            raise UserError("no files to classify; name MIDI files or folders")
        if self.csv and self.json:
            raise UserError("--json and --csv exclude each other")


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="classify")
    for path in options.files:
        if not path.exists():
            raise UserError(f"{path}: no such file or folder")
    from partimento.embed.labeller import Labeller, label_files

    labeller = Labeller.load(options.model)
    refused: list[str] = []

    def label(probabilities: list[float]) -> str:
        best = max(range(len(probabilities)), key=probabilities.__getitem__)
        return labeller.classes[best] if probabilities[best] >= labeller.least else UNKNOWN

    show = _json if options.json else _csv if options.csv else _table

    def rows() -> Iterator[dict[str, Any]]:
        with options.counted("classifying") as advance:
            for file, heard in label_files(labeller, options.files, over_time=options.over_time):
                if isinstance(heard, UserError):
                    refused.append(f"{file}: {heard}")
                for one in [] if isinstance(heard, UserError) else heard:
                    times = {"start": round(one.start, 3), "end": round(one.end, 3)} if options.over_time else {}
                    shares = one.probabilities.tolist()
                    yield {"file": file, **times, "label": label(shares), "probabilities": shares}
                advance(1)

    show(rows(), labeller.classes)
    for why in refused:
        warn(f"refused: {why}")
    return 2 if refused else 0


def _table(rows: Iterator[dict[str, Any]], classes: tuple[str, ...]) -> None:
    for row in rows:
        likeliest = sorted(zip(row["probabilities"], classes, strict=True), reverse=True)[:3]
        labels = "  ".join(f"{name} {100 * share:.1f} %" for share, name in likeliest)
        when = f"  {row['start']:8.1f} – {row['end']:8.1f} s" if "start" in row else ""
        unknown = "unknown: " if row["label"] == UNKNOWN else ""
        print(f"{row['file']}{when}  {unknown}{labels}")


def _json(rows: Iterator[dict[str, Any]], classes: tuple[str, ...]) -> None:
    for row in rows:
        print(json_library.dumps(row | {"probabilities": dict(zip(classes, row["probabilities"], strict=True))}))


def _csv(rows: Iterator[dict[str, Any]], classes: tuple[str, ...]) -> None:
    writer = csv_library.writer(sys.stdout, lineterminator="\n")
    for number, row in enumerate(rows):
        place = {name: value for name, value in row.items() if name != "probabilities"}
        if number == 0:
            writer.writerow([*place, *classes])
        writer.writerow([*place.values(), *(f"{share:.6f}" for share in row["probabilities"])])
