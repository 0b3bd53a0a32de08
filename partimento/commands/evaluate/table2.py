"""`partimento evaluate table2 --data DIR --models base=bundled ... -o DIR`: the paper's Table 2, as far as it goes."""

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
    """Fill the paper's Table 2: table2.md, table2.csv and table2.png, and every cell and vector on the way there.

    Called again, it does what is missing or was made of another model or other files. A row that cannot be run says
    why. Models: base (a pretrained language model), emb, emb-scratch, emb-e1, emb-t0.05, emb-t0.5 (embedding models),
    ft (a folder of runs of 'partimento finetune classifier', <task> and <task>-<n>), and mert, m3, clamp3 (encoders
    of others: m3:FOLDER, clamp3:FOLDER, mert:FOLDER with their published weights).
    """

    data: Data
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder of the table."""
    models: Models = ("base=bundled", "emb=bundled-embedding")
    tasks: tuple[str, ...] = ()
    """Only these tasks."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="evaluate table2")
    folder_to_write(options.out)
    models = named_models(options.models, flag="--models")
    from partimento.evaluate.table2.report import evaluate_table2

    evaluate_table2(
        options.data, options.out, models, tasks=options.tasks, settings=options.settings(), say=options.say
    )
    table = options.out / "table2.md"
    options.report({"table": table, "rows": rows_of(table.with_suffix(".csv"))}, f"table in {table}")
    return 0
