"""The paper's Table 2 with the models at hand.

Knows: the table's rows, what each needs, the paper's figures beside ours, and the claims that the table was made for,
judged with intervals. Every cell is kept as soon as it is known, so that a run can be killed and goes on. Refuses to
know: how a cell comes about (`outcomes.py`), how models were trained.

    cells = fill_table([located(task(name), files) for name in TASKS], {"base": "bundled"}, Path("table2"))
    write(cells, Path("table2"))

Models by name: `base` a pretrained language model; `emb`, `emb-scratch`, `emb-e1`, `emb-t0.05`, `emb-t0.5` embedding
models; `ft` a folder with runs of classifiers, `<task>` and `<task>-<n>`; `mert`, `m3`, `clamp3` encoders of others as
module:function.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from partimento.errors import UserError
from partimento.evaluate.encoders import EXACT, STATISTICS, EncoderSettings, VectorKind, file_encoder
from partimento.evaluate.finetuned import METRICS
from partimento.evaluate.handcrafted import boosted, forest
from partimento.evaluate.outcomes import Outcome, by_probe, by_run, by_trees, origin, training
from partimento.evaluate.tasks import TASKS, Task
from partimento.model.checkpoint import load_any

FT: Final = "ft"
OTHERS: Final = ("mert", "m3", "clamp3")
"""Rows whose encoders are somebody else's."""

_KINDS: Final[dict[str, VectorKind]] = {"untrained": "untrained", "pooled": "pooled"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """A row: its name, which of the given models it needs ("" for none), and the paper's figures.

    `paper` has accuracy and macro-F1 in percent of the tasks for which the paper gives them.
    """

    name: str
    title: str
    needs: str
    paper: Mapping[str, tuple[float, float]]


def _rows() -> Iterator[Row]:
    with Path(__file__).with_name("rows.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            words = {task: row[task].split() for task in TASKS if row[task]}
            paper = {task: (float(accuracy), float(f1)) for task, (accuracy, f1) in words.items()}
            yield Row(name=row["name"], title=row["title"], needs=row["needs"], paper=paper)


ROWS: Final = tuple(_rows())
NAMES: Final = tuple(dict.fromkeys(row.needs for row in ROWS if row.needs))
"""What models may be given as."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A row's outcome on a task, or why there is none."""

    row: Row
    task: str
    outcome: Outcome | None = None
    reason: str = ""


def fill_table(
    tasks: Sequence[Task],
    models: Mapping[str, str],
    folder: Path,
    *,
    settings: EncoderSettings = EXACT,
    say: Callable[[str], None] = lambda _: None,
) -> list[Cell]:
    """Every cell that the models allow; what `folder` already holds of the same models and data is not done again.

    `say` hears of each cell in a line. Raises `UserError` for a model under a name that no row needs.
    """
    unknown = [name for name in models if name not in NAMES]
    if unknown:
        raise UserError(f"no row of the table needs a model called {unknown[0]!r}; the names are {', '.join(NAMES)}")
    cells = []
    for row in ROWS:
        for task in tasks:
            cell = _cell(row, task, models.get(row.needs, ""), folder, settings)
            said = f"accuracy {cell.outcome.score().accuracy:.3f}" if cell.outcome else cell.reason
            say(f"{row.name}, {task.name}: {said}")
            cells.append(cell)
    return cells


def _cell(row: Row, task: Task, model: str, folder: Path, settings: EncoderSettings) -> Cell:
    """The kept outcome if it is of this model and these files, else a new one, else the reason."""
    if row.needs and not model:
        return Cell(row=row, task=task.name, reason=f"no model {row.needs} given")
    try:
        told = row.needs == FT
        outcome = _told(row, task, Path(model), settings) if told else _fitted(row, task, model, folder, settings)
        return Cell(row=row, task=task.name, outcome=outcome)
    except UserError as error:
        return Cell(row=row, task=task.name, reason=str(error))


def _told(row: Row, task: Task, runs: Path, settings: EncoderSettings) -> Outcome:
    """By a fine-tuned classifier; what it says is kept in its run's folder."""
    _, _, labels = row.name.partition("-")
    run = runs / "-".join((task.name, labels) if labels else (task.name,))
    if not (run / METRICS).is_file():
        raise UserError(f"no finished run in {run}")
    return by_run(task, run, slicing=settings.slicing, device=settings.device)


def _fitted(row: Row, task: Task, model: str, folder: Path, settings: EncoderSettings) -> Outcome:
    """By a probe or by trees; kept among the table's cells."""
    kind = _KINDS.get(row.name, "head")
    vectors = file_encoder(model or STATISTICS, folder / "vectors", kind=kind, settings=settings)
    about = origin(task, f"{row.name} {vectors.made_of}")
    path = folder / "cells" / f"{row.name}.{task.name}.json"
    outcome = Outcome.read(path)
    if outcome is None or not about.items() <= outcome.about.items():
        if row.needs:
            by_our_training = row.needs not in OTHERS and kind != "untrained"
            trained = training(load_any(model).metadata) if by_our_training else ""
            outcome = by_probe(task, vectors.encode, **about, trained=trained)
        else:
            trees = forest if row.name == "statistics-forest" else boosted
            outcome = by_trees(task, vectors.encode, trees=trees, **about)
        outcome.write(path)
    return outcome
