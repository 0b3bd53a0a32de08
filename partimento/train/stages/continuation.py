"""Generative fine-tuning: a model and a note store, or a folder of MIDI files, to a folder with a better model.

Knows: how a folder becomes a store inside the run's folder, with a part held out, how a recipe's steps are counted,
what a fine-tuned model keeps of the one it comes from, and from when on a model counts as overfitting. Refuses to
know: how to take a step (`loop.py`), what a run's folder holds (`driver.py`), the network's adapters (`model/lora.py`).

    outcome = finetune_continuation(recipes.continuation.folder(), "my-folder", "runs/mine", base="bundled")
    outcome.before["nats_per_token"], outcome.best["nats_per_token"]

With an `embedder` the model also learns to go by a vector of the file that a sequence is of (`conditions.py`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from partimento.corpus.loaders.sequences import PassageLoader, StretchLoader, WholeFileLoader
from partimento.corpus.store.holdout import store_by_piece
from partimento.corpus.store.note_store import NoteStore
from partimento.errors import UserError
from partimento.model.checkpoint import Checkpoint, load
from partimento.model.transformer import Transformer
from partimento.tokens.infill import Infilling
from partimento.train.distributed import World, joined
from partimento.train.driver import (
    Stage,
    data_source,
    latest_checkpoint,
    model_source,
    require_same_sources,
    run_stage,
)
from partimento.train.log import TrackerName, read_log
from partimento.train.loop import Objective
from partimento.train.objectives.conditioned import ConditionedContinuation
from partimento.train.objectives.continuation import BothSides, Continuation, overfitting
from partimento.train.recipes.continuation import ContinuationRecipe, is_store
from partimento.train.stages.conditions import ConditionedLoader, Conditions, conditioned

STORE: Final = "store"
"""Where the notes of a folder of MIDI files are kept in the run's folder."""
VECTORS: Final = "vectors"
"""Where the vectors of its files are kept, if there are any."""
OVERFITTING: Final = 0.1
"""From so many nats a token on a model counts as overfitting (docs/finetune.md says how this was chosen)."""

Say = Callable[[str], None]
Examples = PassageLoader | ConditionedLoader
_KEPT: Final = ("infilling", "pedal_tokens", "sampling", "candidates")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The run's folder, and the measurements before the first step, at the best step so far, and at the last.

    `best` is `before` if nothing was gained.
    """

    folder: Path
    before: dict[str, float]
    best: dict[str, float]
    last: dict[str, float]
    best_step: int
    last_step: int


def finetune_continuation(
    recipe: ContinuationRecipe,
    corpus: str | Path,
    folder: str | Path,
    *,
    base: str | Path = "bundled",
    embedder: str | Path | None = None,
    resume: str = "auto",
    track: Sequence[TrackerName] = (),
    quiet: bool = False,
    say: Say = lambda _: None,
) -> Outcome:
    """Trains the model `base` further on a store or a folder of MIDI files; shows progress on standard error.

    Under torchrun all processes train one model. `say` is told what a person wants to know, in lines: what is trained
    on, and when a model begins to overfit. With `embedder`, an embedding model, the model becomes a conditioned one; it
    then fills no gaps, and adapters are refused. The others are as for `driver.run_stage`.
    """
    if embedder is not None and recipe.lora_rank is not None:
        raise UserError("adapters leave no room for a vector; leave out --lora-rank or --conditioned")
    folder, corpus = Path(folder), Path(corpus)
    with joined() as world:
        tell = say if world.main else lambda _: None
        checkpoint = _language_model(base)
        sources = {"init": model_source(base)} | ({} if embedder is None else {"embedder": model_source(embedder)})
        started = latest_checkpoint(folder, resume=resume)
        store = NoteStore(corpus) if is_store(corpus) else _own_store(corpus, folder, world, tell)
        sources = {"data": data_source(store)} | sources
        if started is not None:
            require_same_sources(started, sources)
        model, vocabulary = checkpoint.model, checkpoint.vocabulary
        objective: Objective = Continuation(vocabulary)
        conditions = None
        if embedder is not None:
            of_these = folder / VECTORS / "-".join(sources[key]["sha256"][:16] for key in ("data", "embedder"))
            conditions = Conditions.of(store, embedder, of_these, world)
            model = conditioned(model, conditions, seed=recipe.seed)
            objective = ConditionedContinuation(vocabulary)
        recipe, training, validation = _loaders(recipe, store, checkpoint, world, conditions)
        warned: list[int] = []

        def watch(step: int, measured: dict[str, float]) -> None:
            gap = overfitting(measured, read_log(folder)[0]["validation"])
            if gap > OVERFITTING and not warned:
                warned.append(step)
                tell(_warning(step, gap))

        kept: dict[str, Any] = {name: checkpoint.metadata[name] for name in _KEPT if name in checkpoint.metadata}
        if "infilling" in kept:
            kept["infilling"] = recipe.infilling_share > 0
        stage = Stage(
            recipe=recipe,
            model=model,
            vocabulary=vocabulary,
            objective=objective,
            training=training,
            validation=validation,
            sources=sources,
            metadata=kept,
            lora_rank=recipe.lora_rank,
            on_measured=watch,
        )
        run_stage(stage, folder, world=world, resume=resume, track=track, quiet=quiet)
    return outcome(folder)


def outcome(folder: Path) -> Outcome:
    """What the log in a run's folder says."""
    measured = [(line["step"], line["validation"]) for line in read_log(folder) if "validation" in line]
    best_step, best = min(measured, key=lambda pair: pair[1][Continuation.criterion])
    last_step, last = measured[-1]
    return Outcome(folder=folder, before=measured[0][1], best=best, last=last, best_step=best_step, last_step=last_step)


def _language_model(base: str | Path) -> Checkpoint[Transformer]:
    checkpoint = load(base)
    if type(checkpoint.model) is not Transformer:
        raise UserError(f"{base} is of the kind {checkpoint.kind!r}; continuation is learned by a 'language model'")
    return checkpoint


def _own_store(corpus: Path, folder: Path, world: World, say: Say) -> NoteStore:
    """The notes of a folder of MIDI files as a store inside the run's folder, made once."""
    path = folder / STORE
    if world.main and not path.exists():
        for _, why in store_by_piece(corpus, path):
            say(f"passed over: {why}")
    world.barrier()
    store = NoteStore(path)
    for split, name in (("train", "learned from"), ("validation", "held out")):
        files = store.split(split)
        hours = sum(store.notes(file).onset_ms.max() / 3_600_000 for file in files)
        pieces = len(np.unique(store.pieces[files]))
        say(f"{name}: {len(files)} files of {pieces} pieces, {store.counts[files].sum():,} notes, {hours:.2f} hours")
    return store


def _loaders(
    recipe: ContinuationRecipe,
    store: NoteStore,
    base: Checkpoint[Transformer],
    world: World,
    conditions: Conditions | None,
) -> tuple[ContinuationRecipe, Examples, BothSides]:
    """The recipe with its steps counted, training batches, and both sides for measuring."""
    pedal = bool(base.metadata.get("pedal_tokens", False))
    fills = bool(base.metadata.get("infilling", False)) and recipe.infilling_share > 0
    fills = fills and conditions is None
    recipe = dataclasses.replace(
        recipe,
        length=min(recipe.length, base.config.context - (conditions is not None)),  # a vector takes a position
        infilling_share=recipe.infilling_share if fills else 0.0,
    )
    kind: type[PassageLoader] = StretchLoader
    chosen: dict[str, Any] = {}
    if recipe.passages == "first":
        kind, chosen = WholeFileLoader, {"ending_share": recipe.ending_share}

    def loader(split: str, *, batch: int, training: bool = False) -> Examples:
        files = kind(
            store,
            base.vocabulary,
            split,
            length=recipe.length,
            batch=batch,
            seed=recipe.seed,
            augment=training,
            rank=world.rank,
            world=world.size,
            pedal=pedal,
            transform=Infilling(base.vocabulary, share=recipe.infilling_share) if training and fills else None,
            disturbed_share=recipe.disturbed_share if training else 0.0,
            **chosen,
        )
        if conditions is None:
            return files
        share = recipe.unconditioned_share if training else 0.0
        return ConditionedLoader(files, conditions, seed=recipe.seed, unconditioned_share=share)

    training = loader("train", batch=recipe.batch, training=True)
    held_out = loader("validation", batch=world.size).examples_per_epoch
    rows, batches = _measuring(held_out, recipe, world)
    recipe = recipe.counted(training.examples_per_epoch).with_loop(eval_batches=batches)
    if recipe.measurements is not None:
        every = math.ceil(recipe.loop.steps / recipe.measurements)
        recipe = recipe.with_loop(eval_every=every, checkpoint_every=every)
    both = BothSides(held_out=loader("validation", batch=rows), seen=loader("train", batch=rows))
    return recipe, training, both


def _measuring(examples: int, recipe: ContinuationRecipe, world: World) -> tuple[int, int]:
    """Rows of a batch and batches of one measurement: each held-out example once, where they are not too many."""
    if examples > recipe.batch * recipe.loop.eval_batches:
        return recipe.batch, recipe.loop.eval_batches
    rows = [n for n in range(world.size, recipe.batch + 1, world.size) if examples % n == 0]
    largest = max(rows, default=recipe.batch)
    return largest, math.ceil(examples / largest)


def _warning(step: int, gap: float) -> str:
    return (
        f"warning: overfitting since step {step}: the gap between training and validation grew by {gap:.2f} nats a "
        f"token (limit {OVERFITTING}); more files, fewer epochs, a lower rate or --lora-rank help"
    )
