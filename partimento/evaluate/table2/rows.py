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

from collections.abc import Callable, Mapping, Sequence
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

Paper = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row: its name, which of the given models it needs ("" for none), and the paper's accuracies and macro-F1 (%).

    `paper` holds pairs in the order of `tasks.TASKS`; it may be empty, or end after the fourth task.
    """

    name: str
    title: str
    needs: str = ""
    paper: Paper = ()

    def published(self, task: str) -> tuple[float, float] | None:
        """The paper's accuracy and macro-F1 in percent, if it has them."""
        at = 2 * _ORDER.index(task) if task in _ORDER else len(self.paper)
        return (self.paper[at], self.paper[at + 1]) if at < len(self.paper) else None


_ORDER: Final = tuple(TASKS)
_KINDS: Final[dict[str, VectorKind]] = {"untrained": "untrained", "pooled": "pooled"}

ROWS: Final = (
    Row(name="statistics", title="Statistics of the notes, boosted trees"),
    Row(name="statistics-forest", title="Statistics of the notes, randomised trees"),
    Row(name="untrained", title="Untrained encoder", needs="base"),
    Row(name="pooled", title="Pretrained, mean of hidden states", needs="base"),
    Row(name="mert", title="MERT", needs="mert",
        paper=(83.0, 83.0, 63.89, 63.9, 69.5, 68.94, 69.6, 69.3, 65.06, 65.18, 45.45, 40.37)),
    Row(name="m3", title="M3", needs="m3",
        paper=(85.1, 85.1, 69.88, 70.12, 71.2, 70.81, 71.9, 71.72, 81.93, 81.48, 54.55, 46.13)),
    Row(name="clamp3", title="CLaMP 3", needs="clamp3",
        paper=(89.1, 89.1, 77.79, 77.97, 80.6, 80.2, 84.5, 84.46, 80.72, 79.76, 45.45, 36.53)),
    Row(name="emb", title="Contrastive after pretraining", needs="emb",
        paper=(92.4, 92.4, 82.45, 82.57, 84.7, 84.69, 90.5, 90.49, 91.57, 92.38, 63.64, 63.96)),
    Row(name="ft", title="Fine-tuned classifier", needs=FT,
        paper=(93.2, 93.2, 87.53, 87.59, 86.5, 86.53, 96.3, 96.32, 91.56, 92.03, 68.18, 69.55)),
    Row(name="emb-scratch", title="Contrastive from scratch (†)", needs="emb-scratch",
        paper=(82.3, 82.3, 66.94, 66.96, 69.0, 68.5, 65.5, 65.41, 84.34, 84.56, 59.09, 54.29)),
    Row(name="emb-e1", title="Contrastive, one epoch", needs="emb-e1",
        paper=(92.9, 92.9, 80.53, 80.69, 83.8, 83.71, 87.6, 87.62, 92.77, 93.71, 59.09, 57.8)),
    Row(name="emb-t0.05", title="Contrastive, temperature 0.05", needs="emb-t0.05",
        paper=(92.4, 92.4, 81.34, 81.48, 84.0, 83.85, 89.9, 89.9, 95.18, 95.71, 59.09, 54.32)),
    Row(name="emb-t0.5", title="Contrastive, temperature 0.5", needs="emb-t0.5",
        paper=(92.3, 92.3, 73.43, 73.63, 80.7, 80.56, 70.2, 70.05, 91.57, 92.7, 54.55, 45.0)),
    Row(name="ft-100", title="Fine-tuned, 100 labels", needs=FT,
        paper=(89.5, 89.5, 68.26, 68.2, 70.2, 70.64, 65.3, 64.1)),
    Row(name="ft-200", title="Fine-tuned, 200 labels", needs=FT,
        paper=(91.1, 91.1, 75.25, 75.54, 75.1, 75.68, 78.1, 78.08)),
    Row(name="ft-500", title="Fine-tuned, 500 labels", needs=FT,
        paper=(90.8, 90.8, 79.31, 79.49, 80.9, 80.91, 85.2, 85.18)),
    Row(name="ft-1000", title="Fine-tuned, 1000 labels", needs=FT,
        paper=(91.4, 91.4, 80.63, 80.68, 82.9, 83.01, 90.1, 90.12)),
)  # fmt: skip

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
