"""What helps a small model at equal time: variants of one recipe, each given the same work of the processor.

    python -m benchmarks.train.trials STORE -o FOLDER [--minutes 10] [--recipe two-cores] [--size small]

First every kind of step is timed in short bursts, the kinds in turn, so that whatever else the machine does falls on
all alike; a kind's time is the median over its steps, in seconds that this process had the processor. A variant then
takes as many steps as fit into the minutes by that figure, with a schedule of its own, and is measured on the same
windows of held-out files as the others. `FOLDER` holds the times, a run for each variant, and `trials.md`, written anew
after each run. Interrupted, the same command goes on; give more minutes and another folder to ask again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.common import Program, page, table, write
from benchmarks.train.grid import ALL, COLLECTIONS, HeldOut, Losses, carried_out, finished, scheduled
from partimento.corpus.loaders.packed import PackedLoader
from partimento.corpus.store.note_store import NoteStore
from partimento.model.initialisation import musical_initialisation
from partimento.model.transformer import Transformer
from partimento.train.distributed import ALONE
from partimento.train.loop import Trainer
from partimento.train.objectives.pretraining import Pretraining
from partimento.train.recipes import pretraining as recipes
from partimento.train.recipes.pretraining import PretrainingRecipe

# The first round is not counted: it warms up.
ROUNDS, BURST = 9, 2
HELDOUT_FILES = 32

START: Mapping[str, Any] = {
    "initialisation": "musical",
    "optimiser": "muon",
    "peak_lr": 1.5e-3,
    "streams": 16,
    "batch": 2,
}
CHANGES: Mapping[str, Mapping[str, Any]] = {
    "start": {},
    "random": {"initialisation": "random"},
    "adamw": {"optimiser": "adamw"},
    "one-stream": {"streams": 1},
    "large-batch": {"batch": 8},
    "high-rate": {"peak_lr": 3e-3},
}
IN_WORDS = {"start": "nothing: musical initial values, muon, peak rate 1.5e-3, 16 streams, 2 sequences a step"}

EARLIER = """Trials of a prototype, before this package existed (other held-out files; 5.2 M parameters, context 512,
AdamW, about 10 minutes on 2 cores, 2.4 M tokens), nats a note:

| initial values | ASAP | PiJAMA | POP909 |
|---|---|---|---|
| random | 12.1 | 12.9 | 14.0 |
| musical | 11.8 | 12.5 | 13.5 |
"""


def variant(recipe: PretrainingRecipe, change: Mapping[str, Any]) -> PretrainingRecipe:
    """The recipe with all of `START`, whatever it says itself, and one change."""
    values = {**START, **change}
    loop = replace(recipe.loop, **{name: values.pop(name) for name in ("optimiser", "peak_lr")})
    return replace(recipe, loop=loop, **values)


def kind_of_step(recipe: PretrainingRecipe) -> str:
    """Variants of one kind do the same arithmetic."""
    return f"{recipe.loop.optimiser}, {recipe.batch} x {recipe.length}"


def seconds_a_step(variants: Mapping[str, PretrainingRecipe], store: NoteStore) -> dict[str, float]:
    """Of every kind of step, measured in turns."""
    kinds = {kind_of_step(recipe): recipe for recipe in variants.values()}
    trainers, loaders, times = {}, {}, {kind: list[float]() for kind in kinds}
    for kind, recipe in kinds.items():
        vocabulary, model = recipe.make_vocabulary(), Transformer(recipe.make_config())
        musical_initialisation(model, vocabulary, seed=recipe.seed)
        trainers[kind] = Trainer(model, Pretraining(vocabulary), recipe.loop, recipe.machine, ALONE)
        loaders[kind] = PackedLoader(store, vocabulary, "train", recipe.length, recipe.batch, recipe.seed)
    for number in range(ROUNDS):
        for kind, trainer in trainers.items():
            for _ in range(BURST):
                begun = time.process_time()
                trainer.step(next(loaders[kind]), rate=1e-5)
                if number:
                    times[kind].append(time.process_time() - begun)
    return {kind: statistics.median(of_kind) for kind, of_kind in times.items()}


def calibrated(file: Path, variants: Mapping[str, PretrainingRecipe], store: NoteStore) -> dict[str, float]:
    """The times in the file, measured if it is not there: steps must stay as they were when a run goes on."""
    if not file.exists():
        write(file, json.dumps(seconds_a_step(variants, store), indent=1) + "\n")
    return json.loads(file.read_text(encoding="utf-8"))


def report(arguments: argparse.Namespace, grid: Mapping[str, PretrainingRecipe], seconds: Mapping[str, float]) -> str:
    """What is finished so far, as Markdown."""
    found = {name: finished(recipe, arguments.out / name) for name, recipe in grid.items()}
    done = sum(losses is not None for losses in found.values())
    start = grid["start"]
    heads = ["all: nats a token", "a note"]
    heads += [head for name in COLLECTIONS.values() for head in (f"{name}: a token", "a note")]
    rows = [row(name, recipe, seconds[kind_of_step(recipe)], found[name]) for name, recipe in grid.items()]
    missing = "" if done == len(grid) else f"**{done} of {len(grid)} runs finished; the same command goes on.** "
    return page(
        arguments,
        "What helps at equal time",
        f"Recipe {start.name} ({start.make_config().parameters:,} parameters, sequences of {start.length} tokens, "
        f"share of windows with a gap {start.infilling_share:g}).",
        f"{missing}Each variant differs from the first line in one thing and had {arguments.minutes:g} minutes of the "
        "processor: as many steps as fit by the seconds a step, which are medians over "
        f"{(ROUNDS - 1) * BURST} steps in short bursts, the kinds of step in turn, in seconds that the process had the "
        "processor. The clock of the runs themselves says nothing where other work disturbs them. A fifth of each run "
        "is warm-up. One seed each, so that small differences are no verdict.",
        f"Held out: one window of at most {start.length + 1} tokens, without gap, of each of {3 * HELDOUT_FILES} files "
        f"of the validation split (all) and of {HELDOUT_FILES} of each collection, the same in every line.",
        table(["changed", "seconds a step", "steps", "tokens", *heads], rows),
        EARLIER,
    )


def row(name: str, recipe: PretrainingRecipe, seconds: float, losses: Losses | None) -> list[str]:
    """A line of the table."""
    changed = IN_WORDS.get(name) or ", ".join(f"{field} {value}" for field, value in CHANGES[name].items())
    cells = [changed, f"{seconds:.3f}", str(recipe.loop.steps), f"{recipe.loop.steps * recipe.batch * recipe.length:,}"]
    for of in (ALL, *COLLECTIONS):
        cells += [f"{losses[of]['nats_per_token']:.3f}", f"{losses[of]['nats_per_note']:.2f}"] if losses else ["", ""]
    return cells


def main(words: Sequence[str] | None = None) -> None:
    """Time, train, measure; write the table after each run."""
    parser = Program(__file__, __doc__, quick="{store} -o {work} --minutes 0.001 --size debug")
    parser.add_argument("store", type=Path)
    parser.add_argument("--minutes", type=float, default=10, help="of the processor, for each variant")
    parser.add_argument("--recipe", default="two-cores")
    parser.add_argument("--size", help="of the model, if not the recipe's")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(words)
    if arguments.out is None:
        parser.error("give a folder for the runs with --out")
    torch.set_num_threads(arguments.threads)
    store, recipe = NoteStore(arguments.store), recipes.pretraining_recipe(arguments.recipe)
    recipe = replace(recipe, size=arguments.size or recipe.size)
    variants = {name: variant(recipe, change) for name, change in CHANGES.items()}
    seconds = calibrated(arguments.out / "seconds.json", variants, store)
    grid = {
        name: scheduled(recipe, max(2, round(60 * arguments.minutes / seconds[kind_of_step(recipe)])))
        for name, recipe in variants.items()
    }
    heldout = HeldOut(store, recipe, files=HELDOUT_FILES)
    for name in (None, *grid):
        if name is not None:
            print(name, flush=True)
            carried_out(grid[name], store, arguments.out / name, heldout)
        text = report(arguments, grid, seconds)
        write(arguments.out / "trials.md", text)
    print(text)


if __name__ == "__main__":
    main()
