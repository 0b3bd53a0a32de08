"""The same notes in several schemes of tokens, as a picture (after figure 2 of the paper).

Knows how notes and boxes of text stand on a page. Refuses to know how any scheme writes notes (`display.py`).
Matplotlib is imported when a picture is drawn, and its process-wide state is left alone.

    draw_comparison(notes, display.comparison(notes), "tokens.png")
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from partimento.files import replacing
from partimento.tokens.display import BEATS_IN_BAR, REMI_TEMPO, pitch_name
from partimento.tokens.notes import Notes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_CHARACTERS: Final = 185
"""Of a line of tokens."""
_INCHES: Final = (16.0, 0.3)
"""Width of the page, height of a line."""
_ROLL_LINES: Final = 10
_COLOURS: Final = {"time": "#ffd9a8", "end": "#f3c1d6", "loudness": "#cfe8c6", "note": "#bcdcf5"}
_INK: Final = "#333333"
_GRID: Final = "#d5d5d5"
_TIME: Final = ("onset", "TIME_SHIFT", "WAIT", "Bar", "Position", "<T>")
_END: Final = ("duration", "Duration", "NOTE_OFF")
_LOUDNESS: Final = ("SET_VELOCITY", "Velocity")

Line = list[tuple[int, str]]
"""Tokens of a line, each with the character that it begins at."""


def draw_comparison(notes: Notes, schemes: Mapping[str, Sequence[str]], path: str | os.PathLike[str]) -> None:
    """Write a PNG: the notes as a piano roll with bars at 120 beats a minute, and below it each scheme's tokens.

    Equal input gives equal bytes (with one version of matplotlib). The file appears whole or not at all; raises
    `UserError` where it cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    flows = {f"{name}: {len(tokens)} tokens": flowed(tokens, _CHARACTERS) for name, tokens in schemes.items()}
    heights = [_ROLL_LINES, *(1.5 + len(lines) for lines in flows.values())]
    width, line = _INCHES
    figure = Figure(figsize=(width, line * (sum(heights) + 3)), dpi=100, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights, hspace=0.12, left=0.03, right=0.985)
    _draw_roll(figure.add_subplot(grid[0]), notes)
    for row, (title, lines) in enumerate(flows.items(), start=1):
        _draw_tokens(figure.add_subplot(grid[row]), title, lines)
    png = io.BytesIO()
    # Without its own name matplotlib writes nothing that changes from run to run.
    canvas.print_figure(png, format="png", metadata={"Software": None}, bbox_inches="tight", pad_inches=0.15)
    with replacing(path) as part:
        part.write_bytes(png.getvalue())


def flowed(tokens: Sequence[str], characters: int) -> list[Line]:
    """Tokens in lines of at most so many characters, with two between them; a longer one has a line to itself."""
    lines: list[Line] = [[]]
    at = 0
    for token in tokens:
        if lines[-1] and at + len(token) > characters:
            lines.append([])
            at = 0
        lines[-1].append((at, token))
        at += len(token) + 2
    return lines


def _draw_roll(axes: Axes, notes: Notes) -> None:
    onsets, ends = notes.onset_ms / 1000, (notes.onset_ms + notes.duration_ms) / 1000
    until = max([1.0, *ends.tolist()])
    axes.set_xlim(0, until)
    low, high = (min(notes.pitch.tolist(), default=60), max(notes.pitch.tolist(), default=60))
    axes.set_ylim(low - 2, high + 2)
    for onset, end, pitch, velocity in zip(onsets, ends, notes.pitch, notes.velocity, strict=True):
        opacity = 0.3 + 0.7 * int(velocity) / 127
        axes.broken_barh([(onset, end - onset)], (int(pitch) - 0.4, 0.8), facecolor="#0072b2", alpha=opacity)
        axes.text(onset, int(pitch) + 0.5, pitch_name(pitch), fontsize=8, color=_INK)
    bar, at = 60 / REMI_TEMPO * BEATS_IN_BAR, 0.0
    while at <= until:
        axes.axvline(at, color=_INK, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        at += bar
    axes.set_yticks([])
    axes.set_xlabel("seconds; dashed: bars at 120 beats a minute", fontsize=10, color=_INK)
    axes.tick_params(length=0, labelsize=10, labelcolor=_INK)
    for spine in axes.spines.values():
        spine.set_color(_GRID)


def _draw_tokens(axes: Axes, title: str, lines: Sequence[Line]) -> None:
    axes.set_xlim(0, _CHARACTERS)
    axes.set_ylim(len(lines) + 0.5, -1)
    axes.set_axis_off()
    axes.text(0, -0.6, title, fontsize=11, fontweight="bold", color=_INK, va="center")
    for row, line in enumerate(lines):
        for at, token in line:
            box = {"boxstyle": "round,pad=0.25", "facecolor": _COLOURS[_kind(token)], "linewidth": 0}
            axes.text(at + 0.5, row + 0.3, token, fontsize=9, family="monospace", color=_INK, va="center", bbox=box)


def _kind(token: str) -> str:
    if token.startswith(_TIME):
        return "time"
    if token.startswith(_END) or ":v0:" in token:
        return "end"
    return "loudness" if token.startswith(_LOUDNESS) else "note"
