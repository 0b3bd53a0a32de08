"""Our loop beside the shortest one that could do the job: what do logging, exactness and generality cost?

    python -m benchmarks.train.speed STORE [--recipe two-cores] [--steps 100] [-o benchmarks/train/speed.md]

The plain loop is what one writes in an afternoon: crops of a long array of tokens, one forward pass, cross entropy of
all logits, AdamW. Both train the same model from the same weights with the same batch, in turns: after each step of
ours, timed from the end of the plain loop's step before to its log line, comes one step of the plain loop, so that
whatever else the machine does falls on both alike. Beside the clock's time stands the processor's, which does not count
waiting for other programs; with one thread (the default) it is the fairer figure.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.common import Program, percent, publish, table
from partimento.corpus.loaders.packed import PackedLoader
from partimento.corpus.store.note_store import NoteStore
from partimento.model.initialisation import musical_initialisation
from partimento.model.transformer import Transformer
from partimento.tokens.infill import Infilling
from partimento.train.distributed import ALONE
from partimento.train.log import read_log
from partimento.train.loop import Progress, train
from partimento.train.objectives.pretraining import Pretraining
from partimento.train.opening import settled
from partimento.train.recipes import pretraining as recipes
from partimento.train.recipes.pretraining import PretrainingRecipe

WARMING_UP = 5


class PlainLoop:
    """Nothing but the training."""

    def __init__(self, model: nn.Module, recipe: PretrainingRecipe, tokens: np.ndarray) -> None:
        self.model, self.recipe, self.tokens = model, recipe, tokens
        matrices = [p for p in model.parameters() if p.dim() >= 2]
        vectors = [p for p in model.parameters() if p.dim() < 2]
        groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=recipe.loop.peak_lr, betas=(0.9, 0.95), fused=True)
        self.random = np.random.default_rng(0)

    def step(self) -> float:
        length = self.recipe.length
        starts = self.random.integers(0, len(self.tokens) - length - 1, self.recipe.batch)
        x = torch.from_numpy(np.stack([self.tokens[i : i + length] for i in starts]).astype(np.int64))
        y = torch.from_numpy(np.stack([self.tokens[i + 1 : i + 1 + length] for i in starts]).astype(np.int64))
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.loop.precision == "bfloat16"):
            logits = self.model(x)
            loss = F.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        return loss.item()


def now() -> np.ndarray:
    """Seconds of the clock and of the processor."""
    return np.array([time.perf_counter(), time.process_time()])


def main(words: Sequence[str] | None = None) -> None:
    """Train in turns and write the table."""
    parser = Program(__file__, __doc__, quick="{store} --recipe debug --steps 6")
    parser.add_argument("store", type=Path)
    parser.add_argument("--recipe", default="two-cores")
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args(words)
    torch.set_num_threads(arguments.threads)
    recipe = recipes.pretraining_recipe(arguments.recipe).with_steps(arguments.steps + WARMING_UP)
    # The plain loop has AdamW and nothing else.
    loop = replace(recipe.loop, optimiser="adamw", eval_every=10**6, checkpoint_every=10**6, eval_batches=1)
    recipe = replace(recipe, loop=settled(loop, ALONE))
    store, vocabulary = NoteStore(arguments.store), recipe.make_vocabulary()

    def loader() -> PackedLoader:
        return PackedLoader(
            store,
            vocabulary,
            "train",
            length=recipe.length,
            batch=recipe.batch,
            seed=recipe.seed,
            streams=recipe.streams,
            transform=Infilling(vocabulary, share=recipe.infilling_share) if recipe.infilling_share else None,
        )

    model = Transformer(recipe.make_config())
    musical_initialisation(model, vocabulary, seed=recipe.seed)
    corpus = loader()
    crops = np.concatenate([next(corpus)[:, :-1].reshape(-1) for _ in range(200)])
    plain = PlainLoop(copy.deepcopy(model), recipe, crops)
    ours, plains = [], []
    turn = now()

    def take_turns(progress: Progress) -> None:
        nonlocal turn
        arrived = now()
        plain.step()
        left = now()
        if WARMING_UP < progress.step < progress.steps:  # the last step also measures and writes a checkpoint
            ours.append(arrived - turn)
            plains.append(left - arrived)
        turn = now()

    with tempfile.TemporaryDirectory() as folder:
        train(
            model,
            Pretraining(vocabulary),
            loader=loader(),
            validation=loader(),
            settings=recipe.loop,
            folder=Path(folder),
            report=take_turns,
        )
        log = [line for line in read_log(Path(folder)) if "loss" in line][WARMING_UP:]
    share = sum(line["loader_seconds"] for line in log) / sum(line["seconds"] for line in log)
    clock, processor = 1e3 * np.array([ours, plains]).transpose(2, 0, 1)  # each [loop, step], in milliseconds
    ratio = np.median(processor[0]) / np.median(processor[1])
    rows = []
    for name, cpu, wall in zip(("ours", "plain"), processor, clock, strict=True):
        rate = 1e3 * recipe.batch * recipe.length / np.median(cpu)
        milliseconds = [f"{each:.1f}" for each in (np.median(cpu), cpu.min(), np.median(wall), wall.min())]
        rows.append((name, *milliseconds[:2], f"{rate:,.0f}", *milliseconds[2:]))
    head = [
        "loop",
        "processor: median ms a step",
        "fastest",
        "tokens a processor second",
        "clock: median ms",
        "fastest",
    ]
    publish(
        arguments,
        "Our loop beside a plain one",
        f"Recipe {recipe.name} with AdamW ({recipe.make_config().parameters:,} parameters, {recipe.batch} x "
        f"{recipe.length} tokens a step, {recipe.loop.precision}), {len(ours)} steps of each in turns.",
        table(head, rows),
        f"Ours takes {ratio:.3f} times the processor time of the plain loop by the medians, "
        f"{processor[0].min() / processor[1].min():.3f} times by the fastest steps. The loader takes "
        f"{percent(share, 2)} of a step.",
    )


if __name__ == "__main__":
    main()
