"""Complete configurations of training runs: a function per recipe, nothing left to defaults elsewhere.

Knows: every number that a run depends on beside its data, and why it was chosen. Refuses to know: paths, devices.

    recipe = named("bundled")
    dataclasses.replace(recipe, seed=2)
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from partimento.errors import UserError
from partimento.model.config import ModelConfig
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.loop import LoopSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A pretraining run: `batch` rows of `length` predicted ids, a model of a named size with that context.

    `seed` decides initial weights and the order and augmentation of the data.
    """

    name: str
    vocabulary: Literal["piano", "aria"]
    size: str
    length: int
    batch: int
    seed: int
    loop: LoopSettings

    def make_vocabulary(self) -> Vocabulary:
        """The declared vocabulary."""
        return Vocabulary.piano() if self.vocabulary == "piano" else Vocabulary.aria()

    def make_config(self) -> ModelConfig:
        """The model's shape; its context is what it is trained on, not more."""
        return ModelConfig.named(self.size, vocab_size=len(self.make_vocabulary()), context=self.length)

    def to_json(self) -> str:
        """Readable JSON of every field."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        """Reads what `to_json` wrote."""
        values: dict[str, Any] = json.loads(text)
        loop = values.pop("loop")
        return cls(**values, loop=LoopSettings(**loop | {"betas": tuple(loop["betas"])}))


def bundled() -> Recipe:
    """The model inside the package: what two processor cores learn in about two hours.

    Time is the limit, not data: so many small steps (2,048 ids) and a short warm-up. The rate is the best of three
    after 250 steps: 4.29 nats per held-out id, against 4.32 at 1e-3 and 4.41 at 3e-3.
    """
    return Recipe(
        name="bundled",
        vocabulary="piano",
        size="small",
        length=1024,
        batch=2,
        seed=1,
        loop=LoopSettings(
            steps=20_000,
            peak_lr=1.5e-3,
            warmup_steps=300,
            eval_every=1000,
            eval_batches=32,
            checkpoint_every=500,
        ),
    )


def debug() -> Recipe:
    """Seconds long: shows that a store, a loop and a model fit together."""
    return Recipe(
        name="debug",
        vocabulary="piano",
        size="debug",
        length=128,
        batch=2,
        seed=1,
        loop=LoopSettings(steps=20, peak_lr=3e-3, warmup_steps=5, eval_every=10, eval_batches=2, checkpoint_every=10),
    )


RECIPES: dict[str, Callable[[], Recipe]] = {"bundled": bundled, "debug": debug}


def named(name: str) -> Recipe:
    """The recipe of that name; a `UserError` that lists the names if there is none."""
    if name not in RECIPES:
        raise UserError(f"no recipe is called {name!r}; choose one of {', '.join(RECIPES)}")
    return RECIPES[name]()
