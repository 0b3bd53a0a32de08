"""`partimento evaluate retrieval --data DIR --models emb=RUN ... -o DIR`: is another performance among the nearest?"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.flags import named_models, parse
from partimento.commands.precision import EncoderOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(EncoderOptions):
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


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="evaluate retrieval")
    models, pooled = named_models(options.models, flag="--models"), named_models(options.pooled, flag="--pooled")
    from partimento.evaluate.retrieval import evaluate_retrieval

    say = partial(print, flush=True)
    evaluate_retrieval(options.data, options.out, models, pooled=pooled, settings=options.settings(), say=say)
    print(f"table in {options.out / 'retrieval.md'}")
    return 0
