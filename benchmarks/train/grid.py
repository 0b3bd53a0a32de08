"""Many pretraining runs one after the other, each measured on the same held-out music.

Knows: that a folder of runs may be left at any moment and gone on with, and which windows of the held-out files the
measurements are of. Refuses to know: what the runs differ in, and what is made of their losses.

    heldout = HeldOut(store, recipe, files=32)
    for recipe in grid:
        losses = carried_out(recipe, store, folder / name, heldout)["all"]
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import write
from partimento.corpus.loaders.packed import StoreTokenizer
from partimento.corpus.store.note_store import NoteStore
from partimento.errors import UserError
from partimento.model.checkpoint import load
from partimento.model.precision import native_bfloat16
from partimento.train.distributed import ALONE
from partimento.train.driver import RECIPE_FILE
from partimento.train.objectives.pretraining import Pretraining
from partimento.train.opening import settled
from partimento.train.recipes.pretraining import PretrainingRecipe
from partimento.train.stages.pretraining import pretrain

COLLECTIONS = {"asap": "ASAP", "pijama": "PiJAMA", "pop909": "POP909"}
ALL = "all"
HELDOUT_FILE = "heldout.json"
# Collections have some dozens of held-out files; the whole, of which the table's first figures are, has more.
_ALL_TIMES = 3
_AT_ONCE = 4
_CHECKPOINT_EVERY = 50

Losses = dict[str, dict[str, float]]
"""What `Pretraining.report` says of each collection and of all together."""


class HeldOut:
    """One window of each of some files of the validation split, drawn once, in whichever run they are measured.

    `files` are taken of each collection, three times as many of all, spread evenly over the store.
    """

    def __init__(self, store: NoteStore, recipe: PretrainingRecipe, *, files: int, collections: bool = True) -> None:
        self._vocabulary, self._length = recipe.make_vocabulary(), recipe.length
        encoder, rng = StoreTokenizer(store, self._vocabulary, pedal=recipe.pedal), np.random.default_rng(0)
        validation = store.split("validation")
        chosen = {ALL: _spread(validation, _ALL_TIMES * files)}
        if collections:
            collection = np.array(store.label("collection"), dtype=object)
            for name in COLLECTIONS:
                chosen[name] = _spread(validation[collection[validation] == name], files)
        self._windows = {
            name: np.stack([self._window(encoder.sequence(encoder.body(i, None), dim=True), rng) for i in of])
            for name, of in chosen.items()
        }

    def measured(self, model_file: Path) -> Losses:
        """The losses of a model."""
        model, objective = load(model_file).model.eval(), Pretraining(self._vocabulary)
        losses, half = {}, native_bfloat16(torch.device("cpu"))
        for name, windows in self._windows.items():
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
                sums = sum(objective.measure(model, rows) for rows in torch.from_numpy(windows).split(_AT_ONCE))
            assert isinstance(sums, torch.Tensor)
            losses[name] = objective.report(sums)
        return losses

    def _window(self, sequence: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """`length` + 1 tokens from anywhere in a file, padded where it is shorter."""
        first = int(rng.integers(0, max(1, len(sequence) - self._length)))
        part = sequence[first : first + self._length + 1]
        return np.pad(part, (0, self._length + 1 - len(part)), constant_values=self._vocabulary.pad)


def scheduled(recipe: PretrainingRecipe, steps: int) -> PretrainingRecipe:
    """The recipe in so many steps, a fifth of them warm-up, with nothing measured in between."""
    every = min(steps, _CHECKPOINT_EVERY)
    loop = replace(settled(recipe.loop, ALONE), steps=steps, warmup_steps=steps // 5, eval_every=steps, eval_batches=1)
    return replace(recipe, epochs=None, loop=replace(loop, checkpoint_every=every, keep_checkpoints=1))


def carried_out(recipe: PretrainingRecipe, store: NoteStore, folder: Path, heldout: HeldOut) -> Losses:
    """Trains and measures, or goes on where it was left; a run that has been measured is not run again."""
    if found := finished(recipe, folder):
        return found
    losses = heldout.measured(pretrain(recipe, store.path, folder))
    write(folder / HELDOUT_FILE, json.dumps(losses, indent=1) + "\n")
    return losses


def finished(recipe: PretrainingRecipe, folder: Path) -> Losses | None:
    """The losses of a run that has been measured; refuses a folder that holds one of another recipe."""
    if not (folder / HELDOUT_FILE).exists():
        return None
    if type(recipe).from_json((folder / RECIPE_FILE).read_text(encoding="utf-8")) != recipe:
        raise UserError(f"{folder} holds a run of another recipe (see {RECIPE_FILE} there); give another folder")
    return json.loads((folder / HELDOUT_FILE).read_text(encoding="utf-8"))


def _spread(files: np.ndarray, count: int) -> np.ndarray:
    return files[np.linspace(0, len(files) - 1, min(count, len(files))).astype(int)]
