"""Table 2 for people: Markdown, CSV and a figure, and what became of the paper's claims.

Knows: how cells are laid out and which differences are the claims. Refuses to know: how a cell came about
(`rows.py`).

    write(cells, Path("table2"))      # table2.md, table2.csv, table2.png
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from partimento.errors import UserError
from partimento.evaluate import tables
from partimento.evaluate.encoders import EXACT, EncoderSettings
from partimento.evaluate.metrics import Interval, accuracy_differences
from partimento.evaluate.outcomes import Outcome
from partimento.evaluate.table2.rows import Cell, Row, fill_table
from partimento.evaluate.tables import bounded, table
from partimento.evaluate.tasks import find_all

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLAIMS: Final = (
    ("contrastive after pretraining beats contrastive from scratch", "emb", "emb-scratch"),
    ("one epoch after pretraining beats all epochs from scratch", "emb-e1", "emb-scratch"),
    ("fine-tuning beats probing", "ft", "emb"),
    ("probing beats boosted trees on statistics", "emb", "statistics"),
    ("fine-tuning beats boosted trees on statistics", "ft", "statistics"),
    ("probing beats randomised trees on statistics", "emb", "statistics-forest"),
    ("fine-tuning beats randomised trees on statistics", "ft", "statistics-forest"),
)
"""What is claimed, and the two rows that it compares."""

_HOW: Final = """\
Accuracy and macro-F1 on the test files, %; in brackets the 95 % interval of the accuracy (pieces resampled);
in italics the paper's own figures, of larger models, data and other test files."""
_COLUMNS: Final = (
    "row", "task", "examples", "accuracy", "accuracy_low", "accuracy_high", "macro_f1", "macro_f1_low",
    "macro_f1_high", "paper_accuracy", "paper_macro_f1", "reason",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A claim and the mean difference of accuracy over the tasks that both rows have, with its 95 % interval."""

    claim: str
    tasks: tuple[str, ...]
    difference: float = 0.0
    interval: Interval = (0.0, 0.0)

    @property
    def word(self) -> str:
        """What became of it: holds or fails where the interval excludes 0."""
        if not self.tasks:
            return "not tested: a row is missing"
        low, high = self.interval
        return "holds" if low > 0 else "fails" if high < 0 else "undecided"


def verdicts(cells: Sequence[Cell]) -> list[Verdict]:
    """Every claim judged on what there is; tasks weigh alike, and both rows are compared file by file."""
    outcomes = {(cell.row.name, cell.task): cell.outcome for cell in cells if cell.outcome is not None}
    found = []
    for claim, better, worse in CLAIMS:
        pairs = {
            task: (outcome, other)
            for (row, task), outcome in outcomes.items()
            if row == better and (other := outcomes.get((worse, task))) is not None and other.files == outcome.files
        }
        if not pairs:
            found.append(Verdict(claim=claim, tasks=()))
            continue
        differences = np.mean([_differences(*pair, seed=n) for n, pair in enumerate(pairs.values())], axis=0)
        low, high = np.percentile(differences[1:], (2.5, 97.5))
        interval = (float(low), float(high))
        found.append(Verdict(claim=claim, tasks=tuple(pairs), difference=float(differences[0]), interval=interval))
    return found


def evaluate_table2(
    data: Path,
    out: Path,
    models: Mapping[str, str],
    *,
    tasks: Sequence[str] = (),
    settings: EncoderSettings = EXACT,
    say: Callable[[str], None] = lambda _: None,
) -> list[Cell]:
    """Fills the table of all tasks, or of some, as far as the models allow, and writes it into `out`.

    Files are found in `data` (`tasks.find_all`). Raises `UserError` for a task that is not there, or a strange model.
    """
    found = [task for task in find_all(data) if not tasks or task.name in tasks]
    absent = set(tasks) - {task.name for task in found}
    if absent:
        raise UserError(f"--tasks: {data} has no task {min(absent)!r}")
    cells = fill_table(found, models, out, settings=settings, say=say)
    write(cells, out)
    return cells


def write(cells: Sequence[Cell], folder: Path) -> None:
    """table2.md, table2.csv and table2.png in `folder`."""
    tables.write(folder, "table2", markdown=markdown(cells), rows=[*map(csv_row, cells)], draw=partial(_draw, cells))


def markdown(cells: Sequence[Cell]) -> str:
    """The table in percent, the paper's under each of ours, the claims, and the reasons of empty rows."""
    rows, tasks = list(dict.fromkeys(cell.row for cell in cells)), list(dict.fromkeys(cell.task for cell in cells))
    by_place = {(cell.row.name, cell.task): cell for cell in cells}
    lines = []
    for row in rows:
        if any(by_place[row.name, task].outcome for task in tasks):
            lines.append([row.title, *(_ours(by_place[row.name, task]) for task in tasks)])
            lines += [["", *(_papers(row, task) for task in tasks)]] if row.paper else []
    parts = [
        _HOW,
        table(["", *tasks], lines),
        table(["claim", "tasks", "difference of accuracy", ""], map(_judged, verdicts(cells))),
    ]
    for title, word in (
        ("How they were trained (the paper: 25 epochs of views of 100 to 650 notes; classifiers 10):", _trained),
        ("Not run:", _reason),
    ):
        items = [f"- {row.title}: {words}" for row in rows if (words := _by_task(row, cells, word))]
        parts += [title, "\n".join(items)] if items else []
    return "\n\n".join(parts) + "\n"


def csv_row(cell: Cell) -> dict[str, Any]:
    """A cell as a line of the CSV, accuracies and F1 as shares; the paper's in percent."""
    row: dict[str, Any] = dict.fromkeys(_COLUMNS, "") | {"row": cell.row.name, "task": cell.task}
    if cell.outcome is not None:
        score = cell.outcome.score()
        row |= {"examples": score.examples} | bounded("accuracy", score.accuracy, score.accuracy_interval)
        row |= bounded("macro_f1", score.macro_f1, score.macro_f1_interval)
    if published := cell.row.paper.get(cell.task):
        row["paper_accuracy"], row["paper_macro_f1"] = published
    return row | {"reason": cell.reason}


def _judged(verdict: Verdict) -> tuple[str, str, str, str]:
    low, high = (f"{100 * edge:+.1f}" for edge in verdict.interval)
    shown = f"{100 * verdict.difference:+.1f} ({low} to {high})" if verdict.tasks else ""
    return verdict.claim, ", ".join(verdict.tasks), shown, verdict.word


def _differences(a: Outcome, b: Outcome, *, seed: int) -> np.ndarray:
    return accuracy_differences(
        np.array(a.truth), np.array(a.predicted), np.array(b.predicted), pieces=np.array(a.pieces), seed=seed
    )


def _ours(cell: Cell) -> str:
    if cell.outcome is None:
        return "–"
    score = cell.outcome.score()
    low, high = score.accuracy_interval
    return f"{100 * score.accuracy:.1f} [{100 * low:.0f}–{100 * high:.0f}] / {100 * score.macro_f1:.1f}"


def _papers(row: Row, task: str) -> str:
    published = row.paper.get(task)
    return f"*{published[0]:.1f} / {published[1]:.1f}*" if published else "–"


def _trained(cell: Cell) -> str:
    return cell.outcome.about.get("trained", "") if cell.outcome is not None else ""


def _reason(cell: Cell) -> str:
    return cell.reason


def _by_task(row: Row, cells: Sequence[Cell], word: Callable[[Cell], str]) -> str:
    """What is to be said of a row's cells, those of which the same is said together."""
    tasks_of: dict[str, list[str]] = {}
    for cell in cells:
        if cell.row == row and (said := word(cell)):
            tasks_of.setdefault(said, []).append(cell.task)
    return "; ".join(f"{said} ({', '.join(tasks)})" for said, tasks in tasks_of.items())


def _draw(cells: Sequence[Cell], figure: Figure) -> None:
    done = [cell for cell in cells if cell.outcome is not None]
    rows, tasks = list(dict.fromkeys(cell.row for cell in done)), list(dict.fromkeys(cell.task for cell in done))
    figure.set_size_inches(2.6 + 1.9 * max(1, len(tasks)), 1.2 + 0.3 * len(rows))
    panels = np.atleast_1d(figure.subplots(1, max(1, len(tasks)), sharey=True))
    for axes, task in zip(panels[: len(tasks)], tasks, strict=True):
        for cell in done:
            if cell.task != task or cell.outcome is None:
                continue
            at, score = rows.index(cell.row), cell.outcome.score()
            axes.plot(score.accuracy_interval, (at, at), color="tab:blue", linewidth=2, alpha=0.5)
            axes.plot(score.accuracy, at, "o", color="tab:blue", markersize=5)
            if published := cell.row.paper.get(task):
                axes.plot(published[0] / 100, at, "|", color="tab:gray", markersize=9)
        axes.set(title=task, xlim=(0, 1), xlabel="accuracy")
        axes.set_yticks(range(len(rows)), [row.title for row in rows])
        axes.grid(axis="x", alpha=0.3)
    panels[0].invert_yaxis()
    figure.suptitle("● ours, with the 95 % interval    | the paper's", fontsize="small")
