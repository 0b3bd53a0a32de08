"""Continuations beside the pianists' own, for people: a table, the same as CSV, and a figure.

Knows: how the findings of one or several models on the same prompts are laid out. Refuses to know how they came about
(`scores.py`).

    write([judged("plain", prompts, continued, span, seed=0)], Path("out"), about="40 prompts of ...")
    evaluate_continuation(Path("midi"), Path("out"), Span())        # all of it, from a folder to continuation.md
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from partimento.corpus.survey.labels import Labels
from partimento.errors import UserError
from partimento.evaluate import tables
from partimento.evaluate.continuation.prompts import Half, Prompt, Span, choose
from partimento.evaluate.continuation.run import Continued, OurModel, Run
from partimento.evaluate.continuation.scores import (
    MODEL,
    NOTES,
    PIANISTS,
    PITCH_CLASSES,
    PROMPT,
    UNRELATED,
    Descriptor,
    Finding,
    findings,
    measured,
    nats_a_note,
)
from partimento.evaluate.metrics import Estimate
from partimento.evaluate.systems import System, read_systems
from partimento.evaluate.tables import bounded, table
from partimento.generate.engine import Engine
from partimento.generate.settings import Settings
from partimento.midi.performance import Performance

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME: Final = "continuation"
_HOW: Final = """\
Windows as long as a prompt are compared with their prompts, whoever goes on: the model, the pianist, or unrelated music
(how other pieces go on at that time). Score 1: the model stays as near to its prompts as the pianists do; 0: it is as
far off as unrelated music; –: unrelated music is not surely further off than the pianists' own. In brackets 95 %
intervals (prompts resampled). docs/evaluation.md has the formula.

Agreement of these numbers with listeners: unknown. Votes of a listening test say it (partimento listen report)."""

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


def evaluate_continuation(
    data: Path,
    out: Path,
    span: Span,
    *,
    model: str = "bundled",
    engine: str = "auto",
    systems: Path | None = None,
    labels: Path | None = None,
    split: str | None = None,
    half: Half = "all",
    files: int = 40,
    sampling: Mapping[str, Any] | None = None,
    candidates: int | None = None,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> list[Judged]:
    """Chooses prompts in the folder `data`, continues them, judges that, and writes table, CSV and figure into `out`.

    `sampling` changes fields of the model's own `Sampling`. With `systems`, a TOML file (`evaluate/systems.py`), those
    continue instead of the model, each in a folder of its name in `out`. What `out` already holds of the same run is
    not made again. Raises `UserError` for a system that answers with sound.
    """
    prompts = choose(data, span, labels=Labels.load(csv=labels), split=split, half=half, files=files, say=say)
    about = described(prompts, span)
    say(about)
    found = []
    if systems is None:
        opened = Engine.load(model, engine=engine, say=say)
        settings = Settings(
            seed=seed,
            sampling=replace(opened.abilities.sampling, **(sampling or {})),
            candidates=opened.candidates(Settings(candidates=candidates)),
        )
        ours = OurModel.of(opened, settings, model=model)
        run = Run.begin(out, prompts, span, ours, seed=seed)
        found.append(judged(Path(model).stem, prompts, run.complete(say), span, seed=seed))
        about += f" {ours.settings.sampling}, {ours.settings.candidates} candidates, seed {seed}."
    else:
        for system in read_systems(systems):
            say(f"{system.name}:")
            run = Run.begin(out / system.name, prompts, span, AskedSystem(system, prompts, seed), seed=seed)
            found.append(judged(system.name, prompts, run.complete(say), span, seed=seed))
        about += f" Seed {seed}."
    write(found, out, about=about)
    return found


@dataclass(frozen=True, slots=True)
class AskedSystem:
    """A system as a player."""

    system: System
    prompts: Sequence[Prompt]
    seed: int

    @property
    def made_of(self) -> Mapping[str, Any]:
        """Its table, and what decides each continuation beside."""
        table: Any = self.system  # a dataclass, which no protocol can say
        return {
            "system": asdict(table),
            "contents": [self.system.identity(prompt, sample=0) for prompt in self.prompts],
        }

    def music(self, prompt: Prompt, span: Span) -> Performance:
        """The first of its continuations."""
        played = self.system.continuation(prompt, span, sample=0, seed=self.seed)
        if not isinstance(played, Performance):
            raise UserError(
                f"systems.{self.system.name} answers with sound, of which no notes can be measured; "
                "'partimento listen make' lets it be heard"
            )
        return played

    def nats(self, given: Performance, prompt: Prompt, span: Span) -> None:
        """Nothing is asked of a system but music."""


def described(prompts: Sequence[Prompt], span: Span) -> str:
    """Which prompts these are, in a sentence."""
    collections = [prompt.collection for prompt in prompts]
    of = ", ".join(f"{collections.count(name)} of {name}" for name in sorted(set(collections)))
    return f"{len(prompts)} prompts of {span.prompt:g} s and {span.seconds:g} s after each: {of}."


def write(models: Sequence[Judged], folder: Path, *, about: str, name: str = NAME) -> None:
    """NAME.md, NAME.csv and NAME.png in `folder`; `about` heads the table."""
    text, rows = markdown(models, about), [*csv_rows(models)]
    tables.write(folder, name, markdown=text, rows=rows, draw=partial(_draw, models))


def markdown(models: Sequence[Judged], about: str) -> str:
    """Scores, medians and distances from the prompt over the whole continuation; medians by window; nats a note."""
    names = [model.name for model in models]
    together = list(zip(*(model.findings for model in models), strict=True))
    whole, parts = ([same for same in together if same[0].whole is which] for which in (True, False))
    layout = [
        ("score", [*names, PROMPT], whole, _scores),
        ("median", [*names, PIANISTS], whole, _medians),
        ("mean difference from the same prompt's pianist", names, whole, _differences),
        ("mean distance from the prompt", [*names, PIANISTS, UNRELATED], whole, _distances),
        ("median by window", [*names, PIANISTS], parts, _medians),
    ]
    nats = [
        ("the prompt", *(_shown(model.nats, 2) for model in models)),
        ("another prompt", *(_shown(model.nats_unrelated, 2) for model in models)),
    ]
    blocks = [
        "# Continuations beside the pianists' own",
        about,
        _HOW,
        *(
            table([title, *columns], ((_named(same[0]), *cells(same)) for same in rows))
            for title, columns, rows, cells in layout
        ),
        table(["nats a note of what the pianists played, told", *names], nats),
    ]
    return "\n\n".join(blocks) + "\n"


def _named(found: Finding) -> str:
    start, end = found.window
    return found.descriptor.name + ("" if found.whole else f", {start:g}–{end:g} s")


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


def _shown(estimate: Estimate, digits: int, sign: str = "") -> str:
    value, (low, high) = estimate
    form = f"{sign}.{digits}f"
    return "–" if np.isnan(value) else f"{value:{form}} [{low:{form}}, {high:{form}}]"


def csv_rows(models: Sequence[Judged]) -> Iterator[dict[str, Any]]:
    """A line for each model, descriptor and window, those of the curves too; logarithms stay as they are.

    Nats stand as the medians of a descriptor of their own, behind unrelated prompts as those of unrelated music.
    """
    for model in models:
        for found in (*model.findings, *model.curves):
            row: dict[str, Any] = {"model": model.name, "descriptor": found.descriptor.name}
            row |= {"from": found.window[0], "to": found.window[1]}
            estimates = [
                *(("median", source, found.medians[source]) for source in (MODEL, PIANISTS)),
                *(("distance", source, found.distances[source]) for source in (MODEL, PIANISTS, UNRELATED)),
                *(("score", source, score) for source, score in found.scores.items()),
                *(("move", source, found.moves[source]) for source in (MODEL, PIANISTS, UNRELATED)),
                ("difference", MODEL, found.difference),
            ]
            for what, source, each in estimates:
                row |= bounded(f"{what}_{source.replace(' ', '_')}", *each)
            yield row
    for model in models:
        for given, nats in (("told the prompt", model.nats), ("told another prompt", model.nats_unrelated)):
            yield {"model": model.name, "descriptor": f"nats a note, {given}"} | bounded("median_model", *nats)


def _draw(models: Sequence[Judged], figure: Figure) -> None:
    figure.set_size_inches(11, 7)
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
