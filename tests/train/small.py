"""One small training run, as tests and the programs they start all use it."""

from pathlib import Path
from typing import Any

import torch

from partimento.model.config import ModelConfig
from partimento.model.initialisation import random_initialisation
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.checkpoints import Checkpoints
from partimento.train.distributed import ALONE, World
from partimento.train.driver import run_stage
from partimento.train.log import read_log
from partimento.train.loop import CHECKPOINTS, train
from partimento.train.objectives.pretraining import Pretraining
from partimento.train.recipes.pretraining import PretrainingRecipe
from partimento.train.settings import LoopSettings
from partimento.train.stages.pretraining import pretraining
from tests.train.cycling import CyclingLoader

SETTINGS = LoopSettings(
    steps=24, peak_lr=1e-2, warmup_steps=4, eval_every=6, eval_batches=2, checkpoint_every=5, precision="float32"
)
CYCLE = list(range(60, 76))
PAD = Vocabulary.piano().pad


def loader(world: World = ALONE, batch: int = 8) -> CyclingLoader:
    return CyclingLoader(CYCLE, length=16, batch=batch, pad=PAD, rank=world.rank, world=world.size)


def objective() -> Pretraining:
    return Pretraining(Vocabulary.piano())


def make_model(seed: int = 5) -> Transformer:
    config = ModelConfig(vocab_size=len(Vocabulary.piano()), d_model=32, n_heads=2, n_layers=2, d_ff=64, context=32)
    model = Transformer(config)
    random_initialisation(model, seed=seed)
    torch.manual_seed(6)  # the state of torch's own generator is part of what is compared
    return model


def newest(folder: Path) -> Path | None:
    return Checkpoints(folder / CHECKPOINTS, keep=1, world=ALONE).newest()


def train_in(
    folder: Path, model: Transformer, settings: LoopSettings = SETTINGS, world: World = ALONE, **more: Any
) -> dict[str, float]:
    """Trains in a folder, from its newest checkpoint if it has one and nothing else is said."""
    return train(
        model,
        objective(),
        loader=loader(world),
        validation=loader(world, batch=4),
        settings=settings,
        folder=folder,
        world=world,
        **{"resume": newest(folder)} | more,
    )


def pretrain_on(
    recipe: PretrainingRecipe,
    training: CyclingLoader,
    validation: CyclingLoader,
    folder: Path,
    *,
    data: dict[str, Any] | None = None,
    init: Path | None = None,
    **more: Any,
) -> Path:
    """A whole pretraining, on batches that are there."""
    return run_stage(pretraining(recipe, training, validation, data=data, init=init), folder, world=ALONE, **more)


def records(folder: Path) -> list[dict[str, Any]]:
    """The log without its times, which no two runs share."""
    return [{key: value for key, value in line.items() if "seconds" not in key} for line in read_log(folder)]
