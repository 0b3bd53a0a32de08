"""Loss against model size and data: five sizes, each trained on a few amounts of data, and the power law through them.

    python -m benchmarks.train.scaling STORE -o FOLDER [--tokens 500000 1000000 2000000] [--recipe two-cores]

Every point is a run with a schedule of its own, cheapest first, on tokens that it sees once, as long as the corpus has
so many. `FOLDER` holds the runs, and `scaling.md` and `scaling.png`, both made anew after each run out of what is
finished. Interrupted, the same command goes on; further amounts may be added to a folder.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LinearRegression

from benchmarks.common import Program, page, table, write
from benchmarks.train.grid import ALL, HeldOut, carried_out, finished, scheduled
from benchmarks.train.trials import variant
from partimento.corpus.store.note_store import NoteStore
from partimento.files import replacing
from partimento.model.config import ModelConfig
from partimento.train.recipes import pretraining as recipes
from partimento.train.recipes.pretraining import PretrainingRecipe

SIZES = ("64x2", "96x3", "128x4", "192x4", "256x4")
HELDOUT_FILES = 32
EXPONENTS = np.arange(0.02, 1.5, 0.02)
# The law has five constants.
POINTS_OF_A_FIT = 9

Point = tuple[int, int, float]
"""Parameters, tokens trained on, held-out nats a token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnySize(PretrainingRecipe):
    """A recipe whose `size` is "WIDTHxLAYERS"; heads of 64 channels as in the named sizes, two at least."""

    def make_config(self) -> ModelConfig:
        width, layers = map(int, self.size.split("x"))
        return ModelConfig(
            vocab_size=len(self.make_vocabulary()),
            d_model=width,
            n_heads=max(2, width // 64),
            n_layers=layers,
            d_ff=4 * width,
            context=self.length,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerLaw:
    """loss = floor + of_size / (millions of parameters)^alpha + of_data / (millions of tokens)^beta.

    The form of J. Hoffmann et al., "Training compute-optimal large language models" (2022), section 3.3.
    """

    floor: float
    of_size: float
    alpha: float
    of_data: float
    beta: float
    residual: float
    """Root of the mean squared difference, in nats."""

    @classmethod
    def fitted(cls, points: Sequence[Point]) -> PowerLaw:
        """Least squares with no negative constant: exponents from a grid, the rest in closed form for each pair."""
        size, data, loss = np.array(points, dtype=float).T
        laws = []
        for alpha, beta in product(EXPONENTS, EXPONENTS):
            terms = np.stack([np.ones_like(loss), (size / 1e6) ** -alpha, (data / 1e6) ** -beta], axis=1)
            fit = LinearRegression(positive=True, fit_intercept=False).fit(terms, loss)
            floor, of_size, of_data = fit.coef_
            residual = float(np.sqrt(np.mean((fit.predict(terms) - loss) ** 2)))
            laws.append(cls(floor=floor, of_size=of_size, alpha=alpha, of_data=of_data, beta=beta, residual=residual))
        return min(laws, key=lambda law: law.residual)

    def __call__(self, parameters: np.ndarray | float, tokens: np.ndarray | float) -> np.ndarray | float:
        """Nats a token."""
        by_size = self.of_size * (parameters / 1e6) ** -self.alpha
        return self.floor + by_size + self.of_data * (tokens / 1e6) ** -self.beta

    def __str__(self) -> str:
        return (
            f"L = {self.floor:.2f} + {self.of_size:.2f} / N^{self.alpha:.2f} + {self.of_data:.2f} / D^{self.beta:.2f}, "
            "N and D in millions"
        )


def grid_of(recipe: PretrainingRecipe, of: Iterable[tuple[str, int]]) -> dict[tuple[str, int], AnySize]:
    """The runs by size and amount of data, in the order in which they are named."""
    plain = replace(variant(recipe, {}), infilling_share=0.0)
    of_any_size = AnySize(**{field.name: getattr(plain, field.name) for field in fields(plain)} | {"size": SIZES[0]})
    return {
        (size, amount): scheduled(replace(of_any_size, size=size), max(2, round(amount / (plain.batch * plain.length))))
        for size, amount in of
    }


def cost_of(recipe: AnySize) -> int:
    """What runs are sorted by: parameters times steps."""
    return recipe.make_config().parameters * recipe.loop.steps


def tokens_of(recipe: PretrainingRecipe) -> int:
    """Ids that a run trains on."""
    return recipe.loop.steps * recipe.batch * recipe.length


def draw(points: Sequence[Point], law: PowerLaw | None, out: Path) -> None:
    """Two panels: loss against size, a line for each amount of data; against data, a line for each size."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(10, 4.5), sharey=True, layout="constrained")
    for along, (axes, what) in enumerate(zip(panels, ("parameters", "tokens trained on"), strict=True)):
        across, of = 1 - along, ("tokens", "parameters")[along]
        for number, value in enumerate(sorted({point[across] for point in points})):
            at, loss = np.array(sorted((point[along], point[2]) for point in points if point[across] == value)).T
            style = {"color": f"C{number}", "linewidth": 1}
            axes.plot(at, loss, "o" if law else "o-", markersize=5, label=f"{in_millions(value)} {of}", **style)
            if law:
                axes.plot(at, law(at, value) if along == 0 else law(value, at), **style)
        ticks = sorted({point[along] for point in points})
        axes.set(xscale="log", xlabel=what)
        axes.set_xticks(ticks, [in_millions(tick) for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    panels[0].set_ylabel("held-out nats a token" + (" (lines: the fit)" if law else ""))
    with replacing(out) as part:
        figure.savefig(part, format="png", dpi=130)
    plt.close(figure)


def in_millions(count: float) -> str:
    """0.125 M, 5.57 M."""
    return f"{count / 1e6:.3g} M"


def report(arguments: argparse.Namespace, runs: Mapping[tuple[str, int], AnySize]) -> str:
    """Table and figure of what is finished; writes the figure, returns Markdown."""
    found = {key: finished(recipe, folder_of(arguments.out, key)) for key, recipe in runs.items()}
    done = {key: losses[ALL] for key, losses in found.items() if losses is not None}
    points = [
        (runs[key].make_config().parameters, tokens_of(runs[key]), losses["nats_per_token"])
        for key, losses in done.items()
    ]
    law = PowerLaw.fitted(points) if len(points) >= POINTS_OF_A_FIT else None
    if points:
        draw(points, law, arguments.out / "scaling.png")
    amounts = sorted(set(arguments.tokens))
    rows = []
    for size in SIZES:
        config = runs[size, amounts[0]].make_config()
        cells = [f"{config.d_model} x {config.n_layers}", f"{config.parameters:,}"]
        cells += [in_short(done.get((size, amount))) for amount in amounts]
        rows.append(cells)
    recipe = next(iter(runs.values()))
    missing = (
        "" if len(done) == len(runs) else f"**{len(done)} of {len(runs)} runs finished; the same command goes on.** "
    )
    heads = [f"{tokens_of(runs[SIZES[0], amount]):,} tokens" for amount in amounts]
    return page(
        arguments,
        "Loss against model size and data",
        f"The first line of [trials.md](trials.md) without gaps ({recipe.loop.optimiser}, peak rate "
        f"{recipe.loop.peak_lr:g}, {recipe.batch} x {recipe.length} tokens a step, {recipe.streams} streams, a fifth "
        "warm-up) in five sizes.",
        f"{missing}Held-out nats a token (a note), over one window of at most {recipe.length + 1} tokens of each of "
        f"{3 * HELDOUT_FILES} files of the validation split, the same for all. Each cell is a run of its own with a "
        "whole schedule and tokens that it sees once. One seed each, one untuned rate for all sizes.",
        table(["width x layers", "parameters", *heads], rows),
        in_words(law, len(points)),
        "![Loss against size and data](../../docs/images/scaling-loss.png)",
    )


def in_words(law: PowerLaw | None, points: int) -> str:
    """The sentence below the table."""
    if law is None:
        return f"Too few points for a fit ({points}, at least {POINTS_OF_A_FIT})."
    return (
        f"In the form of Hoffmann et al. (2022), by least squares over {points} points: {law}; root mean square "
        f"residual {law.residual:.3f} nats. Its constants hold between the points, not beyond them."
    )


def in_short(losses: Mapping[str, float] | None) -> str:
    """Nats a token and a note as a cell, empty for a run that is not finished."""
    return f"{losses['nats_per_token']:.3f} ({losses['nats_per_note']:.2f})" if losses else ""


def folder_of(folder: Path, key: tuple[str, int]) -> Path:
    """Where a run lies."""
    return folder / f"{key[0]}-{key[1]}"


def main(words: Sequence[str] | None = None) -> None:
    """Train and measure what is missing; write table and figure after each run."""
    parser = Program(__file__, __doc__, quick="{store} -o {work} --tokens 2048")
    parser.add_argument("store", type=Path)
    parser.add_argument("--tokens", type=int, nargs="+", default=[500_000, 1_000_000, 2_000_000], help="to train on")
    parser.add_argument("--recipe", default="two-cores")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(words)
    torch.set_num_threads(arguments.threads)
    if arguments.out is None:
        parser.error("give a folder for the runs with --out")
    arguments.out.mkdir(parents=True, exist_ok=True)
    store, recipe = NoteStore(arguments.store), recipes.pretraining_recipe(arguments.recipe)
    runs = grid_of(recipe, product(SIZES, arguments.tokens))
    runs = dict(sorted(runs.items(), key=lambda run: cost_of(run[1])))
    heldout = HeldOut(store, next(iter(runs.values())), files=HELDOUT_FILES, collections=False)
    for key in (None, *runs):
        if key is not None:
            print(*key, flush=True)
            carried_out(runs[key], store, folder_of(arguments.out, key), heldout)
        text = report(arguments, runs)
        write(arguments.out / "scaling.md", text)
    print(text)


if __name__ == "__main__":
    main()
