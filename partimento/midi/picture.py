"""Performance -> piano roll as a PNG.

Knows how notes, velocities and the pedal look on paper. Refuses to know how a continuation came about: it is told at
which second it begins. Matplotlib is imported when a picture is drawn, and its process-wide state is left alone.

    draw_piano_roll(performance, "nocturne-1.png", split_seconds=15.0, title="nocturne, continued")
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from partimento.files import from_disk, replacing
from partimento.midi.columns import NS_PER_S, NoteColumns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg

# Blue and vermilion of Okabe and Ito's palette, which people with any colour vision tell apart.
_PROMPT: Final = (0.000, 0.447, 0.698)
_CONTINUATION: Final = (0.835, 0.369, 0.000)
_INK, _GRID, _BLACK_KEYS = "#333333", "#d5d5d5", "#f6f6f6"
_SOFTEST, _FULL_VELOCITY = 0.2, 112  # opacity of the softest note; the velocity from which notes are opaque
_TAIL_OPACITY = 0.2
_WIDTH, _HEIGHT, _DPI = 1600, 640, 100
LEFT, RIGHT = 0.045, 0.985
"""Where the time axis begins and ends, in widths of the picture."""
_NAMES, _NAMES_OF_FILLED = ("prompt", "continuation"), ("as it was", "filled")
_LONG_SECONDS = 90.0  # from here on the time axis counts minutes

_Floats = NDArray[np.float64]
Whole_co = TypeVar("Whole_co", bound=NoteColumns, covariant=True)


class Parted(Protocol[Whole_co]):
    """What brings its own moments at which new notes begin and end: a `Continuation`."""

    @property
    def performance(self) -> Whole_co:
        """All of it."""
        ...

    @property
    def edges(self) -> tuple[float | None, float | None]:
        """`split_seconds` and `until_seconds` of `draw_piano_roll`."""
        ...


def draw_piano_roll(
    performance: NoteColumns | Parted[NoteColumns],
    path: str | os.PathLike[str],
    *,
    split_seconds: float | None = None,
    until_seconds: float | None = None,
    title: str | None = None,
) -> None:
    """Write a picture of 1600 x 640 pixels: keys over time, a pedal lane below.

    A note is as opaque as it is loud, and trails off in a pale line for as long as the pedal holds it. With
    `split_seconds`, notes that start before it are the prompt and the others the continuation, each in its colour; with
    `until_seconds` too, notes that start between the two fill a gap, and the others are what was there. Equal input
    gives equal bytes (with one version of matplotlib). The file appears whole or not at all; raises `UserError` where
    it cannot be written. A `Continuation` says itself where it is split, unless it is said here.
    """
    if not isinstance(performance, NoteColumns):
        if split_seconds is None:
            split_seconds, until_seconds = performance.edges
        performance = performance.performance
    edges = (split_seconds, until_seconds)
    _write(path, piano_roll_png(performance, edges=edges, title=title))


def piano_roll_png(
    performance: NoteColumns, *, edges: tuple[float | None, float | None] = (None, None), title: str | None = None
) -> bytes:
    """The bytes of that picture; `edges` are `split_seconds` and `until_seconds`."""
    split_seconds, until_seconds = edges
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH / _DPI, _HEIGHT / _DPI), dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 1, height_ratios=(24, 1), hspace=0.03, left=LEFT, right=RIGHT, top=0.92, bottom=0.09)
    keys, pedal = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    end = seconds_shown(performance)
    for axes in (keys, pedal):
        _prepare(axes, 0, end)
    _draw_keyboard(keys, *_pitch_range(performance))
    _draw_notes(keys, performance, _is_new(performance, split_seconds, until_seconds), end)
    _draw_pedal(pedal, performance)
    _draw_time(keys, pedal, end, [edge for edge in (split_seconds, until_seconds) if edge is not None])
    if title is not None:
        keys.set_title(from_disk(title), loc="left", fontsize=14, color=_INK, pad=10)
    names = ("notes",) if split_seconds is None else _NAMES if until_seconds is None else _NAMES_OF_FILLED
    _draw_legend(keys, performance, names)
    return _png(canvas)


def draw_two_rolls(
    upper: NoteColumns,
    lower: NoteColumns,
    path: str | os.PathLike[str],
    *,
    marked: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    titles: tuple[str, str],
    span: tuple[float, float],
    names: tuple[str, str],
) -> None:
    """Write a picture of 1600 x 900 pixels: two performances over each other on one clock, from span[0] to span[1] s.

    `marked` says of each note of either whether it has the second colour; `names` say what the two colours mean.
    Otherwise as `draw_piano_roll`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH / _DPI, 9), dpi=_DPI, facecolor="white")
    canvas = FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 1, hspace=0.14, left=0.045, right=0.985, top=0.94, bottom=0.07)
    panels = figure.add_subplot(grid[0]), figure.add_subplot(grid[1])
    lows, highs = zip(*(_pitch_range(each) for each in (upper, lower) if len(each)), strict=True)
    for axes, performance, new, title in zip(panels, (upper, lower), marked, titles, strict=True):
        _prepare(axes, *span)
        _draw_keyboard(axes, min(lows), max(highs))
        _draw_notes(axes, performance, new, span[1] - span[0])
        axes.set_title(from_disk(title), loc="left", fontsize=14, color=_INK, pad=10)
    _draw_time(*panels, span[1], [], begin=span[0])
    panels[1].grid(axis="x", color=_GRID, linewidth=0.6, zorder=1)
    panels[1].set_axisbelow(True)
    _draw_legend(panels[0], upper, names)
    _write(path, _png(canvas))


def _prepare(axes: Axes, begin: float, end: float) -> None:
    axes.set_xlim(begin, end)
    axes.tick_params(length=0, labelsize=11, labelcolor=_INK)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _png(canvas: FigureCanvasAgg) -> bytes:
    png = io.BytesIO()
    # Without its own name matplotlib writes nothing that changes from run to run.
    canvas.print_figure(png, format="png", metadata={"Software": None})
    return png.getvalue()


def _write(path: str | os.PathLike[str], png: bytes) -> None:
    with replacing(path) as part:
        part.write_bytes(png)


def seconds_shown(performance: NoteColumns) -> float:
    """Seconds at the right end of a picture's time axis, which begins at 0."""
    ends = (performance.onset + performance.sounding_duration(), performance.pedal_up)
    last = max([1.0, *(float(column.max()) / NS_PER_S for column in ends if len(column))])
    return last * (1 + 4 / _WIDTH)  # room for the least width of a note that starts at the very end


def _pitch_range(performance: NoteColumns) -> tuple[int, int]:
    """Lowest and highest row: all notes, a little air, and never less than three octaves."""
    if not len(performance):
        return 42, 78
    low, high = int(performance.pitch.min()) - 2, int(performance.pitch.max()) + 2
    air = max(0, 36 - (high - low))
    low, high = low - air // 2, high + (air + 1) // 2
    return max(0, low), min(127, high)


def _draw_keyboard(axes: Axes, low: int, high: int) -> None:
    """Rows shaded as black keys, a line below each C."""
    axes.set_ylim(low - 0.5, high + 0.5)
    for pitch in range(low, high + 1):
        if pitch % 12 in (1, 3, 6, 8, 10):
            axes.axhspan(pitch - 0.5, pitch + 0.5, color=_BLACK_KEYS, linewidth=0, zorder=0)
    octaves = [pitch for pitch in range(low, high + 1) if pitch % 12 == 0]
    for pitch in octaves:
        axes.axhline(pitch - 0.5, color=_GRID, linewidth=0.9, zorder=1)
    axes.set_yticks(octaves, [f"C{pitch // 12 - 1}" for pitch in octaves])


def _draw_notes(axes: Axes, performance: NoteColumns, new: NDArray[np.bool_], end: float) -> None:
    from matplotlib.collections import PolyCollection

    if not len(performance):
        return
    start = performance.onset_seconds
    pixel = end / _WIDTH
    # A gap of one pixel keeps repeated notes apart; under two pixels short ones would vanish.
    held = np.maximum(performance.duration_seconds - pixel, 2 * pixel)
    sounding = performance.sounding_duration() / NS_PER_S
    pitch = performance.pitch.astype(float)
    colours = np.empty((len(performance), 4))
    colours[:, :3] = _PROMPT
    colours[new, :3] = _CONTINUATION
    loudness = np.minimum(performance.velocity / _FULL_VELOCITY, 1.0)
    colours[:, 3] = _SOFTEST + (1 - _SOFTEST) * loudness
    tails = colours.copy()
    tails[:, 3] *= _TAIL_OPACITY
    ringing = sounding > held
    axes.add_collection(
        PolyCollection(
            _boxes((start + held)[ringing], (start + sounding)[ringing], pitch[ringing], 0.5),
            facecolors=tails[ringing],
            linewidths=0,
            zorder=2,
        )
    )
    axes.add_collection(
        PolyCollection(_boxes(start, start + held, pitch, 0.86), facecolors=colours, linewidths=0, zorder=3)
    )


def _is_new(performance: NoteColumns, split: float | None, until: float | None) -> NDArray[np.bool_]:
    """Which notes get the second colour."""
    first, last = (np.iinfo(np.int64).max if s is None else round(s * NS_PER_S) for s in (split, until))
    return np.asarray((performance.onset >= first) & (performance.onset < last))


def _boxes(left: _Floats, right: _Floats, centre: _Floats, height: float) -> list[_Floats]:
    """The four corners of each of n rectangles: n arrays [4, 2]."""
    low, high = centre - height / 2, centre + height / 2
    corners = ((left, low), (left, high), (right, high), (right, low))
    return list(np.stack([np.stack(corner, axis=-1) for corner in corners], axis=1))


def _draw_pedal(axes: Axes, performance: NoteColumns) -> None:
    axes.set_ylim(0, 1)
    axes.set_facecolor(_BLACK_KEYS)
    axes.set_yticks([0.5], ["pedal"])
    down, up = performance.pedal_down / NS_PER_S, performance.pedal_up / NS_PER_S
    axes.broken_barh(list(zip(down, up - down, strict=True)), (0.15, 0.7), facecolor="#8a8a8a", linewidth=0)


def _draw_time(keys: Axes, pedal: Axes, end: float, edges: list[float], begin: float = 0.0) -> None:
    steps = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
    step = next((step for step in steps if (end - begin) / step <= 16), steps[-1])
    ticks = np.arange(np.ceil(begin / step) * step, end + 1e-9, step)
    keys.set_xticks(ticks, [])
    keys.grid(axis="x", color=_GRID, linewidth=0.6, zorder=1)
    keys.set_axisbelow(True)
    if end < _LONG_SECONDS:
        labels = [f"{tick:.0f}" for tick in ticks]
        pedal.set_xlabel("seconds", fontsize=11, color=_INK)
    else:
        labels = [f"{tick // 60:.0f}:{tick % 60:02.0f}" for tick in ticks]
        pedal.set_xlabel("minutes:seconds", fontsize=11, color=_INK)
    pedal.set_xticks(ticks, labels)
    for edge in edges:
        for axes in (keys, pedal):
            axes.axvline(edge, color=_INK, linewidth=1.2, linestyle=(0, (4, 3)), zorder=4)


def _draw_legend(axes: Axes, performance: NoteColumns, names: tuple[str, ...]) -> None:
    from matplotlib.patches import Patch

    colours = (_PROMPT, _CONTINUATION)
    entries = [Patch(facecolor=colour, label=name) for colour, name in zip(colours[: len(names)], names, strict=True)]
    if len(performance.pedal_down):
        entries.append(Patch(facecolor=_INK, alpha=_TAIL_OPACITY, label="held by the pedal"))
    entries.append(Patch(facecolor=_INK, alpha=2 * _SOFTEST, label="soft"))
    entries.append(Patch(facecolor=_INK, label="loud"))
    axes.legend(
        handles=entries,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=len(entries),
        frameon=False,
        fontsize=11,
        labelcolor=_INK,
        handlelength=1.2,
        handleheight=0.8,
        columnspacing=1.4,
        borderaxespad=0.2,
    )
