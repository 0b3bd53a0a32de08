"""What passes after the first are worth: one number of training tokens, out of more or fewer different files.

    python -m benchmarks.train.repeats STORE -o FOLDER [--sizes 128x4] [--tokens 2000000] [--passes 1 4 8 16]

All runs of a size have one recipe, schedule and number of tokens; a run of 8 passes finds them in an eighth of the
files that the run of 1 pass reads, each time with tempo, pitch and velocity drawn anew. `once` are the different tokens
of that run read once, with a schedule of their own: what there would be without repeating. `FOLDER` holds the runs and
`repeats.md`, made anew after each. Interrupted, the same command goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import Program, page, table, write
from benchmarks.train.grid import ALL, HELDOUT_FILE, HeldOut, Losses, finished, scheduled
from benchmarks.train.scaling import HELDOUT_FILES, AnySize, cost_of, grid_of, in_millions, in_short, tokens_of
from partimento.corpus.loaders.packed import PackedLoader
from partimento.corpus.store.note_store import NoteStore
from partimento.train.distributed import ALONE
from partimento.train.driver import run_stage
from partimento.train.recipes import pretraining as recipes
from partimento.train.stages.pretraining import pretraining

TOKENS_OF_A_NOTE = 3.02
"""With tokens of segments and ends; measured on the store of the bundled model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A run: how many training tokens there are, and how many times they are read."""

    size: str
    different: int
    passes: int

    @property
    def folder(self) -> str:
        return f"{self.size}-{self.different}x{self.passes}"


class Part(NoteStore):
    """A store of which only so many tokens of the training split, spread over its files, are there to learn from."""

    def __init__(self, path: Path, tokens: int) -> None:
        super().__init__(path)
        self._tokens = tokens

    def split(self, name: str) -> np.ndarray:
        files = super().split(name)
        if name != "train":
            return files
        order = np.random.default_rng(0).permutation(files)
        within = np.cumsum(self.counts[order] * TOKENS_OF_A_NOTE) <= self._tokens
        return np.sort(order[within])


def carried_out(recipe: AnySize, cell: Cell, store_path: Path, folder: Path, heldout: HeldOut) -> None:
    """Trains on the cell's part of the store and measures; a run that has been measured is not run again."""
    if finished(recipe, folder):
        return
    vocabulary, part = recipe.make_vocabulary(), Part(store_path, cell.different)
    streams = min(recipe.streams, len(part.split("train")) // recipe.batch)
    training, validation = (
        PackedLoader(
            part,
            vocabulary,
            split,
            length=recipe.length,
            batch=recipe.batch,
            seed=recipe.seed,
            augment=split == "train",
            streams=streams,
        )
        for split in ("train", "validation")
    )
    about = {"sha256": f"{cell.different} tokens of {store_path.name}"}
    model = run_stage(pretraining(recipe, training, validation, data=about), folder, world=ALONE)
    write(folder / HELDOUT_FILE, json.dumps(heldout.measured(model), indent=1) + "\n")


def report(arguments: argparse.Namespace, runs: Mapping[Cell, AnySize]) -> str:
    """The table of what is finished."""
    found: dict[Cell, Losses] = {}
    for cell, recipe in runs.items():
        if losses := finished(recipe, arguments.out / cell.folder):
            found[cell] = losses
    rows = []
    for size in arguments.sizes:
        for passes in arguments.passes:
            different = arguments.tokens // passes
            repeated, once = (found.get(Cell(size=size, different=different, passes=n)) for n in (passes, 1))
            parameters = next(recipe for cell, recipe in runs.items() if cell.size == size).make_config().parameters
            cells = [f"{parameters:,}", in_millions(different), str(passes)]
            rows.append([*cells, in_short(repeated and repeated[ALL]), in_short(once and once[ALL])])
    recipe = runs[Cell(size=arguments.sizes[0], different=arguments.tokens, passes=1)]
    missing = (
        f"**{len(found)} of {len(runs)} runs finished; the same command goes on.** " if len(found) < len(runs) else ""
    )
    return page(
        arguments,
        "Passes after the first",
        f"{missing}Every line's model learned from {tokens_of(recipe):,} tokens ({recipe.loop.optimiser}, peak rate "
        f"{recipe.loop.peak_lr:g}, {recipe.batch} x {recipe.length} tokens a step, a fifth of the steps warm-up): "
        "`passes` times the different ones, each time transposed and timed anew. `once`: the different tokens alone, "
        "read once.",
        f"Held-out nats a token (a note), over one window of at most {recipe.length + 1} tokens of each of "
        f"{3 * HELDOUT_FILES} validation files, the same for all. One seed each, one untuned rate.",
        table(["parameters", "different tokens", "passes", "held-out", "once"], rows),
    )


def main(words: Sequence[str] | None = None) -> None:
    """Train and measure what is missing; write the table after each run."""
    parser = Program(__file__, __doc__, quick="{store} -o {work} --sizes 64x2 --tokens 16384 --passes 1 2")
    parser.add_argument("store", type=Path)
    parser.add_argument("--sizes", nargs="+", default=["128x4"], help="WIDTHxLAYERS")
    parser.add_argument("--tokens", type=int, default=2_000_000, help="that every run trains on")
    parser.add_argument("--passes", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--recipe", default="two-cores")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(words)
    torch.set_num_threads(arguments.threads)
    if arguments.out is None:
        parser.error("give a folder for the runs with --out")
    arguments.out.mkdir(parents=True, exist_ok=True)
    recipe = recipes.pretraining_recipe(arguments.recipe)
    cells = {
        Cell(size=size, different=arguments.tokens // passes, passes=times)
        for size in arguments.sizes
        for passes in {1, *arguments.passes}
        for times in {1, passes}
    }
    of_any_size = {cell: grid_of(recipe, [(cell.size, cell.different)])[cell.size, cell.different] for cell in cells}
    runs = {cell: scheduled(once, once.loop.steps * cell.passes) for cell, once in of_any_size.items()}
    runs = dict(sorted(runs.items(), key=lambda run: (cost_of(run[1]), run[0].different)))
    heldout = HeldOut(NoteStore(arguments.store), next(iter(runs.values())), files=HELDOUT_FILES, collections=False)
    for cell, run in runs.items():
        print(cell.folder, flush=True)
        carried_out(run, cell, arguments.store, arguments.out / cell.folder, heldout)
        text = report(arguments, runs)
        write(arguments.out / "repeats.md", text)
    print(text)


if __name__ == "__main__":
    main()
