"""`partimento evaluate retrieval --data DIR --models emb=RUN ... -o DIR`: is another performance among the nearest?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.flags import named_models, parse
from partimento.commands.precision import told_dtype
from partimento.embed.slicing import SUITING, Slicing
from partimento.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Look for another performance of the same piece among the nearest of all performances of ASAP.

    Writes retrieval.md and retrieval.csv: recall at 1 and 10 of every model, beside statistics of the notes and chance,
    of pieces that were held out from training and, apart from them, of pieces that were not. Vectors are kept; with the
    folder of 'partimento evaluate table2' as --out they are shared with it.
    """

    data: Path
    """Folder of MIDI files, in which the performances are found by content."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the result."""
    models: tuple[str, ...] = ("emb=bundled-embedding",)
    """NAME=MODEL for each embedding model, or NAME=module:function for an encoder of your own."""
    pooled: tuple[str, ...] = ()
    """NAME=MODEL for models of which the mean of the hidden states is taken instead."""
    slicing: Slicing = SUITING
    """Which notes of a file models read; fewer than all of them where time is short."""
    half: bool = False
    """Compute vectors in bfloat16 where the device multiplies it itself, which is faster; elsewhere in float32."""
    device: str = "cpu"
    """Where models run: cpu, cuda, mps."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="evaluate retrieval")
    models, pooled = named_models(options.models, flag="--models"), named_models(options.pooled, flag="--pooled")
    from partimento.evaluate import retrieval
    from partimento.evaluate.encoders import STATISTICS, Reading, source
    from partimento.evaluate.tasks import contents, located

    task = located(retrieval.performances(), contents(options.data))
    if not task.found:
        raise UserError(f"{options.data}: none of the performances of ASAP is in it")
    if task.missing:
        print(f"{len(task.missing)} of {len(task.examples)} performances are not in {options.data}", flush=True)
    twice = ({STATISTICS} & {*models, *pooled}) | (models.keys() & pooled.keys())
    if twice:
        raise UserError(f"--models, --pooled: {min(twice)!r} would name two encoders; choose another name")
    dtype = told_dtype(options.device, half=options.half)
    reading = Reading(slicing=options.slicing, dtype=dtype, device=options.device)
    vectors = options.out / "vectors"
    sources = {
        STATISTICS: source(STATISTICS, vectors),
        **{name: source(model, vectors, reading=reading) for name, model in models.items()},
        **{name: source(model, vectors, kind="pooled", reading=reading) for name, model in pooled.items()},
    }
    paths = [example.path for example in task.found if example.path is not None]
    findings = retrieval.by_chance(task.found)
    for name, encoder in sources.items():
        findings += retrieval.judged(name, encoder.encode(paths), task.found)
        print(f"{name}: judged", flush=True)
    retrieval.write(findings, options.out)
    print(f"table in {options.out / 'retrieval.md'}")
    return 0
