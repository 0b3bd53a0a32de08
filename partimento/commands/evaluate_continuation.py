"""`partimento evaluate continuation --data DIR -o DIR`: how a model goes on, beside how the pianists did."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro

from partimento.commands.flags import EngineName, parse
from partimento.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Continue held-out performances, and compare what comes with what the pianists played and with unrelated music.

    Writes continuation.md, continuation.csv and continuation.png, and every continuation as a MIDI file on the way
    there. Called again, it goes on where it was stopped. One file of each piece is taken, the collections by turns.
    """

    data: Path
    """Folder of MIDI files, which the model should not have been trained on."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the result."""
    labels: Path | None = None
    """CSV with a column path, and split, collection, title where known."""
    split: str | None = None
    """Only files of which the labels say this split: validation, say."""
    half: Literal["all", "first", "second"] = "all"
    """Half of the pieces, by content: choose how to sample on the first, report on the second."""
    files: int = 40
    """How many prompts."""
    start_seconds: float = 0.0
    """Where prompts begin, after the first note."""
    prompt_seconds: float = 15.0
    """Length of the prompts."""
    seconds: float = 45.0
    """Length of the continuations: once, twice, three times ... that of the prompts."""
    model: str = "bundled"
    """Name of a bundled model, a .safetensors file, a folder, or a model of the hub."""
    engine: EngineName = "auto"
    """What runs the model, as in 'partimento continue'."""
    temperature: float | None = None
    """As in 'partimento continue', like the following two."""
    min_p: float | None = None
    """Leave out whatever is less likely than this share of the likeliest."""
    top_p: float | None = None
    """Keep only the likeliest that together have this probability."""
    time_temperature: float | None = None
    """As in 'partimento continue', like the following two."""
    cut_times: bool | None = None
    """Whether min-p and top-p also cut onsets and durations."""
    candidates: int | None = None
    """Of so many the best goes on, a few seconds at a time; 1: what the model says, as it comes."""
    seed: int = 0
    """Of the continuations, and of which other piece each is compared with."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="evaluate continuation")
    if options.split is not None and options.labels is None:
        raise UserError("--split goes by labels; give a CSV that has a column split with --labels")
    from partimento.evaluate.continuation.prompts import Span
    from partimento.evaluate.continuation.report import evaluate_continuation
    from partimento.generate.decode.sampling import Sampling

    names = [field.name for field in dataclasses.fields(Sampling)]
    evaluate_continuation(
        options.data,
        options.out,
        Span(start=options.start_seconds, prompt=options.prompt_seconds, seconds=options.seconds),
        model=options.model,
        engine=options.engine,
        labels=options.labels,
        split=options.split,
        half=options.half,
        files=options.files,
        sampling={name: value for name in names if (value := getattr(options, name)) is not None},
        candidates=options.candidates,
        seed=options.seed,
        say=partial(print, flush=True),
    )
    print(f"table in {options.out / 'continuation.md'}")
    return 0
