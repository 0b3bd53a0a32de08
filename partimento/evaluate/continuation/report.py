"""Continuations beside the pianists' own, for people: a table, the same as CSV, and a figure.

Knows: how the findings of one or several models on the same prompts are laid out. Refuses to know how they came about
(`scores.py`).

    write([judged("plain", prompts, continued, span, seed=0)], Path("out"), about="40 prompts of ...")
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from partimento.evaluate.continuation.prompts import Prompt, Span
from partimento.evaluate.continuation.run import Continued
from partimento.evaluate.continuation.scores import (
    MODEL,
    NOTES,
    PIANISTS,
    PITCH_CLASSES,
    PROMPT,
    UNRELATED,
    Descriptor,
    Estimate,
    Finding,
    findings,
    measured,
    nats_a_note,
)
from partimento.files import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME: Final = "continuation"
_HOW: Final = """\
Windows as long as a prompt are compared with their prompts, whoever goes on: the model, the pianist, or unrelated music
(how other pieces go on at that time). Score 1: the model stays as near to its prompts as the pianists do; 0: it is as
far off as unrelated music; –: unrelated music is not surely further off than the pianists' own. In brackets 95 %
intervals (prompts resampled). docs/evaluation.md has the formula."""

# Okabe and Ito's palette, which people with any colour vision tell apart.
_PIANISTS_COLOUR, _UNRELATED_COLOUR = "#0072b2", "#888888"
_STYLES: Final = tuple(zip(("#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"), "osD^vP", strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """All that is found of a model: descriptors, curves over time, nats a note behind own and unrelated prompts."""

    name: str
    findings: list[Finding]
    curves: list[Finding]
    nats: Estimate
    nats_unrelated: Estimate


def judged(name: str, prompts: Sequence[Prompt], continued: Sequence[Continued], span: Span, *, seed: int) -> Judged:
    """A model's continuations of the prompts judged; `seed` is that of the run."""
    return Judged(
        name=name,
        findings=[found for one in measured(prompts, continued, span, seed=seed) for found in findings(one)],
        curves=[
            found
            for one in measured(prompts, continued, span, seed=seed, curves=True)
            for found in findings(one)
            if not found.whole
        ],
        nats=nats_a_note(continued),
        nats_unrelated=nats_a_note(continued, unrelated=True),
    )


def described(prompts: Sequence[Prompt], span: Span) -> str:
    """Which prompts these are, in a sentence."""
    collections = [prompt.collection for prompt in prompts]
    of = ", ".join(f"{collections.count(name)} of {name}" for name in sorted(set(collections)))
    return f"{len(prompts)} prompts of {span.prompt:g} s and {span.seconds:g} s after each: {of}."


def write(models: Sequence[Judged], folder: Path, *, about: str, name: str = NAME) -> None:
    """NAME.md, NAME.csv and NAME.png in `folder`; `about` heads the table."""
    for suffix, text in (("md", markdown(models, about)), ("csv", as_csv(models))):
        with replacing(folder / f"{name}.{suffix}") as part:
            part.write_text(text, encoding="utf-8")
    with replacing(folder / f"{name}.png") as part:
        _draw(models, part)


def markdown(models: Sequence[Judged], about: str) -> str:
    """Scores, medians and distances from the prompt over the whole continuation; medians by window; nats a note."""
    names = [model.name for model in models]
    together = list(zip(*(model.findings for model in models), strict=True))
    whole, parts = ([same for same in together if same[0].whole is which] for which in (True, False))
    lines = ["# Continuations beside the pianists' own", "", about, "", _HOW]
    lines += ["", *_table("score", [*names, PROMPT], whole, _scores)]
    lines += ["", *_table("median", [*names, PIANISTS], whole, _medians)]
    lines += ["", *_table("mean difference from the same prompt's pianist", names, whole, _differences)]
    lines += ["", *_table("mean distance from the prompt", [*names, PIANISTS, UNRELATED], whole, _distances)]
    lines += ["", *_table("median by window", [*names, PIANISTS], parts, _medians)]
    lines += ["", *_header("nats a note of what the pianists played, told", names)]
    for given, of in (("the prompt", [m.nats for m in models]), ("another prompt", [m.nats_unrelated for m in models])):
        lines.append(_row(given, [_shown(ratio, 2) for ratio in of]))
    return "\n".join(lines) + "\n"


Cells = Callable[[Sequence[Finding]], list[str]]


def _scores(same: Sequence[Finding]) -> list[str]:
    return [_shown(found.scores[MODEL], 2) for found in same] + [_shown(same[0].scores[PROMPT], 2)]


def _medians(same: Sequence[Finding]) -> list[str]:
    digits = same[0].descriptor.digits
    return [_shown(found.medians[MODEL], digits) for found in same] + [_shown(same[0].medians[PIANISTS], digits)]


def _differences(same: Sequence[Finding]) -> list[str]:
    return [_apart(found.difference, found.descriptor, "+") for found in same]


def _distances(same: Sequence[Finding]) -> list[str]:
    of = [found.distances[MODEL] for found in same] + [same[0].distances[source] for source in (PIANISTS, UNRELATED)]
    return [_apart(one, same[0].descriptor) for one in of]


def _apart(estimate: Estimate, descriptor: Descriptor, sign: str = "") -> str:
    """A difference; one of logarithms as the factor that it is."""
    if descriptor.softened is None:
        return _shown(estimate, max(2, descriptor.digits), sign)
    return f"× {_shown(_exp(estimate), 2)}"


def _table(title: str, names: Sequence[str], rows: Sequence[Sequence[Finding]], cells: Cells) -> Iterator[str]:
    yield from _header(title, names)
    for same in rows:
        start, end = same[0].window
        when = "" if same[0].whole else f", {start:g}–{end:g} s"
        yield _row(same[0].descriptor.name + when, cells(same))


def _header(first: str, names: Sequence[str]) -> list[str]:
    return [_row(first, names), f"|---|{'---|' * len(names)}"]


def _row(first: str, cells: Sequence[str]) -> str:
    return f"| {first} | {' | '.join(cells)} |"


def _shown(estimate: Estimate, digits: int, sign: str = "") -> str:
    value, (low, high) = estimate
    form = f"{sign}.{digits}f"
    return "–" if np.isnan(value) else f"{value:{form}} [{low:{form}}, {high:{form}}]"


def as_csv(models: Sequence[Judged]) -> str:
    """A line for each model, descriptor and window, those of the curves too; logarithms stay as they are.

    Nats stand as the medians of a descriptor of their own, behind unrelated prompts as those of unrelated music.
    """
    rows = [
        {"model": model.name, "descriptor": found.descriptor.name, "from": found.window[0], "to": found.window[1]}
        | _numbers("median", {source: found.medians[source] for source in (MODEL, PIANISTS)})
        | _numbers("distance", {source: found.distances[source] for source in (MODEL, PIANISTS, UNRELATED)})
        | _numbers("score", found.scores)
        | _numbers("move", {source: found.moves[source] for source in (MODEL, PIANISTS, UNRELATED)})
        | _numbers("difference", {MODEL: found.difference})
        for model in models
        for found in (*model.findings, *model.curves)
    ]
    of_nats = [
        {"model": model.name, "descriptor": f"nats a note, {given}"} | _numbers("median", {MODEL: nats})
        for model in models
        for given, nats in (("told the prompt", model.nats), ("told another prompt", model.nats_unrelated))
    ]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in (*rows, *of_nats):
        writer.writerow({name: f"{value:.4f}" if isinstance(value, float) else value for name, value in row.items()})
    return text.getvalue()


def _numbers(what: str, estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for source, (value, (low, high)) in estimates.items():
        name = f"{what}_{source.replace(' ', '_')}"
        columns |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return columns


def _draw(models: Sequence[Judged], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7), layout="constrained")
    grid = figure.add_gridspec(2, 3)
    panels = [figure.add_subplot(grid[0, column]) for column in range(3)]
    _draw_curves(panels[0], models, PITCH_CLASSES, lambda found, s: found.medians[s], (PIANISTS, UNRELATED))
    panels[0].set_title("Pitch classes: cosine with the prompt", fontsize="medium")
    _draw_curves(panels[1], models, NOTES, lambda found, s: _exp(found.moves[s]), (PIANISTS,))
    panels[1].set_title("Notes a second: factor of the prompt's", fontsize="medium")
    _draw_curves(panels[2], models, NOTES, lambda found, s: _exp(found.distances[s]), (PIANISTS, UNRELATED))
    panels[2].set_title("Notes a second: off by a factor, either way", fontsize="medium")
    _draw_scores(figure.add_subplot(grid[1, :]), models)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=8, frameon=False)
    figure.savefig(path, format="png", dpi=110, metadata={"Software": None})


def _exp(estimate: Estimate) -> Estimate:
    value, (low, high) = np.exp(estimate[0]), np.exp(estimate[1])
    return float(value), (float(low), float(high))


def _draw_curves(
    axes: Axes,
    models: Sequence[Judged],
    descriptor: Descriptor,
    of: Callable[[Finding, str], Estimate],
    beside: Sequence[str],
) -> None:
    """Estimates over time with their intervals: of each model, and of what stands beside."""
    colours = {PIANISTS: _PIANISTS_COLOUR, UNRELATED: _UNRELATED_COLOUR}
    lines = [(source, models[0], source, colours[source], ".") for source in beside]
    lines += [(model.name, model, MODEL, *_STYLES[number % len(_STYLES)]) for number, model in enumerate(models)]
    for name, model, source, colour, mark in lines:
        found = [one for one in model.curves if one.descriptor == descriptor]
        middle = [sum(one.window) / 2 for one in found]
        estimates = [of(one, source) for one in found]
        low, high = zip(*(ends for _, ends in estimates), strict=True)
        axes.fill_between(middle, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.plot(middle, [value for value, _ in estimates], f"{mark}-", color=colour, label=name, markersize=4)
    axes.set_xlabel("seconds since the prompt began")
    axes.grid(alpha=0.3)


def _draw_scores(axes: Axes, models: Sequence[Judged]) -> None:
    """A point for each descriptor and model; beyond ±2 the scale is logarithmic, so that nothing has to be cut off."""
    from matplotlib.ticker import FixedLocator

    whole = [[found for found in model.findings if found.whole] for model in models]
    step = min(0.2, 0.7 / len(models))
    for number, found in enumerate(whole):
        colour, mark = _STYLES[number % len(_STYLES)]
        at = np.arange(len(found)) + (number - (len(models) - 1) / 2) * step
        scores = [one.scores[MODEL] for one in found]
        low, high = zip(*(ends for _, ends in scores), strict=True)
        axes.vlines(at, low, high, color=colour, linewidth=2.5, alpha=0.4)
        axes.plot(at, [value for value, _ in scores], mark, color=colour, markersize=6)
    for height, name, colour in ((1, PIANISTS, _PIANISTS_COLOUR), (0, UNRELATED, _UNRELATED_COLOUR)):
        axes.axhline(height, color=colour, linewidth=1.2)
        axes.annotate(f" {name}", (1, height), xycoords=("axes fraction", "data"), color=colour, va="center")
    axes.set_yscale("symlog", linthresh=2, linscale=2)
    axes.yaxis.set_major_locator(FixedLocator([-100, -30, -10, -5, -2, -1, 0, 0.5, 1, 1.5, 2, 5, 10, 30]))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xticks(range(len(whole[0])), [one.descriptor.name for one in whole[0]], fontsize="small")
    axes.set_title(
        "Scores: 1 as near to the prompts as pianists stay, 0 as far off as unrelated music", fontsize="medium"
    )
    axes.grid(axis="y", alpha=0.3)
