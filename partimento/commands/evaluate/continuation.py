"""`partimento evaluate continuation --data DIR -o DIR`: how a model goes on, beside how the pianists did."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import (
    Candidates,
    CutTimes,
    Data,
    Engine,
    Labels,
    MinP,
    Model,
    PromptSeconds,
    Seconds,
    Seed,
    Temperature,
    TimeTemperature,
    TopP,
    VerbOptions,
)
from partimento.commands.common.outputs import folder_to_write, rows_of
from partimento.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Continue held-out performances, and compare what comes with what the pianists played and with unrelated music.

    Writes continuation.md, continuation.csv and continuation.png, and every continuation as a MIDI file on the way
    there. Called again, it goes on where it was stopped. One file of each piece is taken, the collections by turns; the
    model should not have been trained on them.
    """

    data: Data
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the result."""
    labels: Labels = None
    split: str | None = None
    """Only files of which the labels say this split: validation, say."""
    pieces: Literal["all", "first", "second"] = "all"
    """Which half of the pieces, by content: choose how to sample on the first, report on the second."""
    prompts: int = 40
    """How many prompts."""
    start_seconds: float = 0.0
    """Where prompts begin, after the first note."""
    prompt_seconds: PromptSeconds = None
    seconds: Seconds = None
    systems: Path | None = None
    """TOML file of systems that continue instead of a model of ours: published models of others, folders of files, a
    Markov chain (docs/evaluation.md)."""
    model: Model = "bundled"
    engine: Engine = "auto"
    temperature: Temperature = None
    min_p: MinP = None
    top_p: TopP = None
    time_temperature: TimeTemperature = None
    cut_times: CutTimes = None
    candidates: Candidates = None
    seed: Seed = 0


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="evaluate continuation")
    folder_to_write(options.out)
    if options.split is not None and options.labels is None:
        raise UserError("--split goes by labels; give a CSV that has a column split with --labels")
    from partimento.evaluate.continuation.prompts import Span
    from partimento.evaluate.continuation.report import evaluate_continuation
    from partimento.generate.decode.sampling import Sampling

    names = [field.name for field in dataclasses.fields(Sampling)]
    given = [name for name in (*names, "candidates") if getattr(options, name) is not None]
    if options.systems is not None and given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(f"{flags} is about a model of ours; with --systems the file says how each system is sampled")
    evaluate_continuation(
        options.data,
        options.out,
        Span(start=options.start_seconds, prompt=options.prompt_seconds or 15.0, seconds=options.seconds or 45.0),
        model=options.model,
        engine=options.engine,
        systems=options.systems,
        labels=options.labels,
        split=options.split,
        half=options.pieces,
        files=options.prompts,
        sampling={name: value for name in names if (value := getattr(options, name)) is not None},
        candidates=options.candidates,
        seed=options.seed,
        say=options.say,
    )
    table = options.out / "continuation.md"
    options.report({"table": table, "rows": rows_of(table.with_suffix(".csv"))}, f"table in {table}")
    return 0
