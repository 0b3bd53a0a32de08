"""`partimento evaluate retrieval --data DIR --models emb=RUN ... -o DIR`: is another performance among the nearest?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.common.flags import named_models, parse
from partimento.commands.common.options import Data, Models
from partimento.commands.common.outputs import folder_to_write, rows_of
from partimento.commands.common.precision import EncoderOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(EncoderOptions):
    """Look for another performance of the same piece among the nearest of all performances of ASAP.

    Writes retrieval.md and retrieval.csv: recall at 1 and 10 of every model, beside statistics of the notes and chance,
    of pieces that were held out from training and, apart from them, of pieces that were not. Vectors are kept; with the
    folder of 'partimento evaluate table2' as --out they are shared with it.
    """

    data: Data
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the result."""
    models: Models = ("emb=bundled-embedding",)
    pooled_models: tuple[str, ...] = ()
    """NAME=MODEL for models of which the mean of the hidden states is taken instead."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="evaluate retrieval")
    folder_to_write(options.out)
    models, pooled = (
        named_models(options.models, flag="--models"),
        named_models(options.pooled_models, flag="--pooled-models"),
    )
    from partimento.evaluate.retrieval import evaluate_retrieval

    evaluate_retrieval(options.data, options.out, models, pooled=pooled, settings=options.settings(), say=options.say)
    table = options.out / "retrieval.md"
    options.report({"table": table, "rows": rows_of(table.with_suffix(".csv"))}, f"table in {table}")
    return 0
