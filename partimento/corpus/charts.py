"""Small pictures for a web page, as text: histograms with thresholds, bars in tables.

Knows SVG and HTML, and writes pages that need no other file; refuses to know what the numbers mean.

    >>> histogram(seconds, [Mark(value=30.0, colour=0)], logarithmic=True)  # doctest: +SKIP
    '<svg ...'
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import numpy as np
import numpy.typing as npt

_WIDTH, _HEIGHT, _TOP, _BASE = 320, 150, 34, 126
_BINS: Final = 48
_TAIL: Final = 0.2
"""Percent of the values at either end that may lie outside a picture."""

STYLE: Final = """
:root { --paper: #fbfaf7; --ink: #22201c; --faint: #8b867c; --line: #dedad1; --bar: #b9b3a6; --card: #fff;
  --c0: #2f6db3; --c1: #c8641b; --c2: #3d8b5a; --c3: #8f4fa8; --c4: #a8364a; --c5: #6b6b2a; }
@media (prefers-color-scheme: dark) { :root { --paper: #1b1a18; --ink: #ece8e0; --faint: #9a958a; --line: #3b3934;
  --bar: #67635a; --card: #24221f; --c0: #6ea6e6; --c1: #ee9a58; --c2: #72c391; --c3: #c58bdc; --c4: #e2798b;
  --c5: #bdbd6a; } }
body { margin: 0 auto; max-width: 1120px; padding: 32px 24px 80px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 30px; margin: 0 0 4px; } h2 { font-size: 21px; margin: 48px 0 6px; } h3 { font-size: 15px; margin: 0; }
p { max-width: 72ch; margin: 6px 0 14px; } .faint, small { color: var(--faint); } code { font-size: 13px; }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 20px 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 18px; }
.tile b { display: block; font-size: 24px; font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: left; font-weight: 600; border-bottom: 2px solid var(--line); padding: 6px 10px 6px 0; }
td { border-bottom: 1px solid var(--line); padding: 5px 10px 5px 0; vertical-align: top; overflow-wrap: anywhere; }
td.n, th.n { text-align: right; white-space: nowrap; }
tr.sum td { font-weight: 600; border-top: 2px solid var(--line); }
.bar { height: 7px; border-radius: 2px; margin: 3px 0; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr)); gap: 14px; margin-top: 14px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; }
.card { display: flex; flex-direction: column; }
.card svg { width: 100%; height: auto; margin-top: auto; }
.card p { font-size: 13px; margin: 2px 0 4px; }
.columns { columns: 430px 2; column-gap: 40px; }
.columns > div { break-inside: avoid; margin-bottom: 24px; } .columns td:last-child { width: 60%; }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 5px; margin: 0 5px 0 0; }
svg text { font: 10.5px system-ui, sans-serif; fill: var(--faint); }
details { margin: 6px 0; } summary { cursor: pointer; }
"""
"""The look of a page; colours 0 to 5 are `var(--c0)` and so on, readable on light and dark."""

COLOURS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A threshold in a histogram, in one of the numbered colours."""

    value: float
    colour: int


def histogram(values: npt.NDArray[np.float64], marks: Sequence[Mark], *, logarithmic: bool = False) -> str:
    """An SVG of how often which value occurs, with a line for each mark; NaN are left out, with `logarithmic` 0 too.

    Heights are square roots of counts, so that rare values stay visible. The axis spans all but the outermost 0.2 % at
    either end, and every mark; values beyond it are counted at its ends.
    """
    known = values[np.isfinite(values) & ((values > 0) if logarithmic else True)]
    if not len(known):
        return '<p class="faint">not measured in any file</p>'
    shown = [*np.percentile(known, [_TAIL, 100 - _TAIL]), *(mark.value for mark in marks)]
    edges = _edges(known, min(shown), max(shown), logarithmic=logarithmic)
    low, high = edges[0], edges[-1]

    def across(x: float) -> float:
        left, here, right = np.log([low, x, high]) if logarithmic else (low, x, high)
        return float(10 + (here - left) / (right - left) * (_WIDTH - 20))

    counts, _ = np.histogram(np.clip(known, low, high), edges)
    heights = (_BASE - _TOP) * np.sqrt(counts / counts.max())
    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">']
    for left, right, height in zip(edges[:-1], edges[1:], heights, strict=True):
        if height:
            x, width = across(left), across(right) - across(left)
            parts.append(
                f'<rect x="{x:.1f}" y="{_BASE - height:.1f}" width="{max(width - 0.8, 0.5):.1f}" '
                f'height="{height:.1f}" fill="var(--bar)"/>'
            )
    parts.append(f'<line x1="10" y1="{_BASE}" x2="{_WIDTH - 10}" y2="{_BASE}" stroke="var(--faint)"/>')
    parts += [_text(10, _BASE + 14, number(min(shown)), "start")]
    parts += [_text(_WIDTH - 10, _BASE + 14, number(max(shown)), "end")]
    for level, mark in enumerate(sorted(marks, key=lambda mark: mark.value)):
        x, top = across(mark.value), 10 + 11 * (level % 2)
        colour = f"var(--c{mark.colour % COLOURS})"
        anchor, gap = ("start", 4) if x < _WIDTH / 2 else ("end", -4)
        parts.append(
            f'<line x1="{x:.1f}" y1="{top - 6}" x2="{x:.1f}" y2="{_BASE}" stroke="{colour}" stroke-width="1.5" '
            'stroke-dasharray="4 3"/>'
        )
        parts.append(_text(x + gap, top + 2, number(mark.value), anchor, colour))
    return "".join([*parts, "</svg>"])


def _edges(known: npt.NDArray[np.float64], low: float, high: float, *, logarithmic: bool) -> npt.NDArray[np.float64]:
    """At most `_BINS` bins from low to high, of equal width on the axis; of whole numbers each has equally many."""
    if high <= low:
        low, high = (low / 2, low * 2) if logarithmic else (low - 0.5, low + 0.5)
    if logarithmic:
        return np.geomspace(low, high, _BINS + 1)
    if high - low > 2 and (known == np.round(known)).all():
        step = max(1, math.ceil((high - low + 1) / _BINS))
        return np.arange(math.floor(low) - 0.5, high + 0.5 + step, step)
    return np.linspace(low, high, _BINS + 1)


def bar(share: float, colour: int | None = None) -> str:
    """A bar of that share, 0 to 1, of its cell's width."""
    paint = "var(--bar)" if colour is None else f"var(--c{colour % COLOURS})"
    return f'<div class="bar" style="width:{100 * share:.2f}%;background:{paint}"></div>'


def dot(colour: int) -> str:
    """A spot of a numbered colour, for a legend."""
    return f'<span class="dot" style="background:var(--c{colour % COLOURS})"></span>'


def rows(header: Sequence[str], body: Sequence[Sequence[str]], *, numeric: Sequence[int] = ()) -> str:
    """A table of cells that are HTML already; columns `numeric` stand to the right."""

    def line(tag: str, cells: Sequence[str]) -> str:
        kinds = [f'{tag} class="n"' if i in numeric else tag for i in range(len(cells))]
        return "<tr>" + "".join(f"<{kind}>{cell}</{tag}>" for kind, cell in zip(kinds, cells, strict=True)) + "</tr>"

    return "<table>" + line("th", header) + "".join(line("td", cells) for cells in body) + "</table>"


def page(title: str, body: Sequence[str]) -> str:
    """A whole HTML document that refers to nothing outside itself."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>\n<body>\n'
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def number(value: float) -> str:
    """A number for the eye: three figures, thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _text(x: float, y: float, text: str, anchor: str, colour: str = "var(--faint)") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="fill:{colour}">{escape(text)}</text>'
