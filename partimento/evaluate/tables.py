"""Results as files for people and for programs: NAME.md, NAME.csv and, where there is something to see, NAME.png.

table(["model", "accuracy"], [("ours", "0.93")])                        # Markdown
write(Path("out"), "retrieval", markdown=text, rows=[{"model": "ours"} | bounded("at_1", 0.5, (0.4, 0.6))])
#                                                                         CSV columns model,at_1,at_1_low,at_1_high
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from partimento.evaluate.metrics import Interval
from partimento.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def table(header: Sequence[object], rows: Iterable[Iterable[object]]) -> str:
    """Cells as a Markdown table."""
    first, *others = (f"| {' | '.join(map(str, cells))} |" for cells in (header, *rows))
    return "\n".join([first, f"|{'---|' * len(header)}", *others])


def bounded(name: str, value: float, interval: Interval) -> dict[str, float]:
    """A value and the ends of its interval as columns of a CSV."""
    return {name: value, f"{name}_low": interval[0], f"{name}_high": interval[1]}


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as CSV, with the columns of all of them; numbers that are not whole have four digits."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(dict.fromkeys(name for row in rows for name in row)), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: f"{value:.4f}" if isinstance(value, float) else value for name, value in row.items()})
    return text.getvalue()


def write(
    folder: Path,
    name: str,
    *,
    markdown: str,
    rows: Sequence[Mapping[str, Any]],
    draw: Callable[[Figure], None] | None = None,
) -> None:
    """The files of a result, each of them whole; `draw` fills a figure, the same bytes for the same numbers."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix, text in (("md", markdown), ("csv", as_csv(rows))):
        with replacing(folder / f"{name}.{suffix}") as part:
            part.write_text(text, encoding="utf-8")
    if draw is not None:
        from matplotlib.figure import Figure

        figure = Figure(layout="constrained", dpi=120)
        draw(figure)
        with replacing(folder / f"{name}.png") as part:
            figure.savefig(part, format="png", metadata={"Software": None})
