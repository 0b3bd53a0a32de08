"""A map as a picture that stands still, for pages and papers.

Knows how points, colours and a few names are put on paper. Refuses to know where they come from.

    write_figure("atlas.png", atlas, files, kind="composer", named={7: "a waltz"})
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from partimento.errors import UserError
from partimento.files import replacing
from partimento.library.atlas.map import Atlas
from partimento.library.atlas.page import GREY, LIGHT, MapFiles, classes_of

SUFFIXES: Final = (".png", ".svg", ".pdf")


def write_figure(
    path: str | os.PathLike[str],
    atlas: Atlas,
    files: MapFiles,
    *,
    kind: str | None = None,
    title: str = "",
    named: Mapping[int, str] | None = None,
) -> None:
    """Draw the map, coloured by one of the files' kinds (the first, unless told); `named` are points with a name.

    Files whose label is not known lie below the others. Raises `UserError` for a suffix that is no picture's.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    path = check_suffix(Path(path))
    kind = kind or next(iter(files.kinds), None)
    groups = _groups(files.kinds[kind]) if kind else [("", GREY[0], np.arange(len(atlas)))]
    size = float(np.clip(60_000 / len(atlas), 1.5, 36))
    figure = Figure(figsize=(9, 7), layout="constrained")
    axes = figure.add_subplot()
    # What has no colour of its own first, the rare last, so that they are not hidden.
    for _, colour, points in sorted(groups, key=lambda group: group[1] != GREY[0]):
        x, y = atlas.xy[points].T
        axes.scatter(x, y, s=size, c=colour, linewidths=0, alpha=0.85)
    for point, words in (named or {}).items():
        x, y = atlas.xy[point]
        axes.scatter(x, y, s=130, marker="*", c="#111111", edgecolors="white", linewidths=0.8, zorder=3)
        axes.annotate(
            words,
            (x, y),
            xytext=(9, 9),
            textcoords="offset points",
            fontsize=9,
            zorder=4,
            bbox={"boxstyle": "round,pad=0.25", "facecolor": "white", "edgecolor": "#999999", "alpha": 0.9},
        )
    axes.set_aspect("equal", "datalim")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, loc="left")
    axes.set_xlabel(atlas.about, fontsize=7, loc="left", color="#666666")
    if kind:
        handles = [
            Line2D([], [], linestyle="", marker="o", color=colour, label=f"{name} ({len(points):,})")
            for name, colour, points in groups
        ]
        axes.legend(handles=handles, title=kind, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    with replacing(path) as part:
        figure.savefig(part, format=path.suffix[1:].lower(), dpi=150, metadata=_undated(path))


def check_suffix(path: Path) -> Path:
    """The same path; raises `UserError` if no figure can be called so."""
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(f"{path}: a figure is called {', '.join(SUFFIXES)}; choose one of these endings")
    return path


def _groups(values: Sequence[str]) -> list[tuple[str, str, NDArray[np.intp]]]:
    """Name, colour and points of each class that has a colour, of all others, and of what is not known."""
    classes, of = classes_of(values)
    of_n, named = np.array(of), len(classes) - ("" in classes)
    groups = [(classes[at], LIGHT[at], np.flatnonzero(of_n == at)) for at in range(min(named, len(LIGHT)))]
    groups.append(("others", GREY[0], np.flatnonzero((of_n >= len(LIGHT)) & (of_n < named))))
    groups.append(("not known", GREY[0], np.flatnonzero(of_n == named)))
    return [group for group in groups if len(group[2])]


def _undated(path: Path) -> dict[str, None]:
    """Metadata without the time, so that the same map gives the same bytes."""
    return {".png": {}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}[path.suffix.lower()]
