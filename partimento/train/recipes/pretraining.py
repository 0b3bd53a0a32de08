"""Complete configurations of training runs: a function per recipe, nothing left to defaults elsewhere.

Knows: every number that a run depends on beside its data, why it was chosen and what the run costs. Refuses to know:
paths.

    recipe = pretraining_recipe("bundled")
    dataclasses.replace(recipe, seed=2)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from partimento.errors import UserError
from partimento.model.config import ModelConfig
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.settings import LoopSettings, Machine, RunRecipe, choose


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainingRecipe(RunRecipe):
    """A pretraining run; `length` is also the model's context."""

    vocabulary: Literal["piano", "aria"]
    """piano: 2,675 tokens with pedal; aria: the published 17,727 of all instruments."""
    size: str
    """Named size of the model."""
    initialisation: Literal["musical", "random"]
    """musical: neighbouring times, pitches and velocities begin alike."""
    pedal: bool = False
    """Spell the pedal out as tokens of its own; otherwise it is folded into durations, as in the paper."""
    infilling_share: float = 0.0
    """Share of the windows rearranged around a gap, so that the model also fills gaps (vocabularies with <X>)."""
    streams: int = 1
    """Streams of files that each row of a batch takes its windows from in turn; several, where rows are few."""

    def check(self) -> None:
        """Raises `UserError` for values that cannot be meant."""
        self.make_config()
        if not 0 <= self.infilling_share <= 1:
            raise UserError(f"recipe: infilling_share is {self.infilling_share}; give a share within 0..1")
        if self.streams < 1:
            raise UserError(f"recipe: streams is {self.streams}; give at least 1")

    def make_vocabulary(self) -> Vocabulary:
        """The declared vocabulary."""
        return Vocabulary.piano() if self.vocabulary == "piano" else Vocabulary.aria()

    def make_config(self) -> ModelConfig:
        """The model's shape; its context is what it is trained on, not more."""
        return ModelConfig.named(self.size, vocab_size=len(self.make_vocabulary()), context=self.length)


def paper() -> PretrainingRecipe:
    """The published model's pretraining (paper, section 4.1): 650 M parameters, 8 GPUs with 16 sequences each.

    The paper's corpus is 60,473 hours, about 4.9 billion tokens; 75 epochs of it are 350,000 steps of a million tokens.
    """
    return PretrainingRecipe(
        name="paper",
        cost="9 days on 8 H100 (the paper's own figure, about 30 % of their rated speed); 5.4 days at 50 %",
        vocabulary="aria",
        size="medium",
        initialisation="musical",
        length=8192,
        batch=128,
        seed=1,
        epochs=75,
        loop=LoopSettings(steps=350_000, peak_lr=3e-4, warmup_steps=1000),
        machine=Machine(micro_batch_size=4, compile=True),
    )


def single_gpu() -> PretrainingRecipe:
    """Overnight on one large GPU: a model between the bundled one and the paper's, on a corpus of any size."""
    return PretrainingRecipe(
        name="single-gpu",
        cost="estimated: 11 hours on one H100 (10 billion tokens, 207 M parameters) at 40 % of its speed; 30 GB",
        vocabulary="piano",
        size="large",
        initialisation="musical",
        infilling_share=0.5,
        length=4096,
        batch=64,
        seed=1,
        loop=LoopSettings(steps=40_000, peak_lr=6e-4, warmup_steps=1000),
        machine=Machine(micro_batch_size=8, compile=True),
    )


def laptop() -> PretrainingRecipe:
    """An evening on a laptop: small enough to learn something by itself, large enough to start a fine-tuning from."""
    return PretrainingRecipe(
        name="laptop",
        cost="estimated: 2 to 4 hours on a laptop's processor (61 million tokens, 5.6 M parameters); 2 GB of memory",
        vocabulary="piano",
        size="small",
        initialisation="musical",
        infilling_share=0.5,
        length=1024,
        batch=4,
        streams=16,
        seed=1,
        loop=LoopSettings(steps=15_000, peak_lr=1.5e-3, warmup_steps=300, eval_every=500, checkpoint_every=500),
    )


def bundled() -> PretrainingRecipe:
    """The model inside the package, as it was trained: four minutes of one large GPU.

    It is no recipe for a processor: there so many tokens would take days (docs/training.md); `two-cores` and `laptop`
    are.
    """
    return PretrainingRecipe(
        name="bundled",
        cost="measured: 5 minutes on one H200, start and compilation included (231 million tokens, 27.9 M parameters)",
        vocabulary="piano",
        size="compact",
        initialisation="musical",
        infilling_share=0.5,
        length=4096,
        batch=16,
        streams=4,
        seed=1,
        loop=LoopSettings(
            steps=3526,
            peak_lr=3e-3,
            warmup_steps=150,
            optimiser="muon",
            precision="bfloat16",
            eval_every=1000,
            eval_batches=16,
            checkpoint_every=1000,
            keep_checkpoints=1,
        ),
        machine=Machine(compile=True),
    )


def two_cores() -> PretrainingRecipe:
    """What two processor cores learn in one to two hours.

    Time is the limit, not data: so many small steps (2,048 tokens) and a short warm-up. With three minutes each AdamW
    is ahead of Muon, with six they are level, and Muon at 3e-3 leads (benchmarks/train/trials.md); it stays at 1.5e-3,
    at which the package's second model was trained.

    Half of the windows are arranged around a gap, which plain continuation does not pay for: after 1,000 steps of AdamW
    4.33 nats per validation id with them, 4.41 without (one seed each).
    """
    return PretrainingRecipe(
        name="two-cores",
        cost="estimated: 2 hours on 2 processor cores (31 million tokens, 5.6 M parameters); 1.5 GB of memory",
        vocabulary="piano",
        size="small",
        initialisation="musical",
        infilling_share=0.5,
        length=1024,
        batch=2,
        streams=16,
        seed=1,
        loop=LoopSettings(
            steps=15_000,
            peak_lr=1.5e-3,
            warmup_steps=300,
            optimiser="muon",
            eval_every=1000,
            eval_batches=64,
            checkpoint_every=500,
        ),
    )


def debug() -> PretrainingRecipe:
    """Seconds long: shows that a store, a loop and a model fit together."""
    return PretrainingRecipe(
        name="debug",
        cost="seconds on anything",
        vocabulary="piano",
        size="debug",
        initialisation="musical",
        length=128,
        batch=4,
        seed=1,
        loop=LoopSettings(steps=20, peak_lr=3e-3, warmup_steps=5, eval_every=10, eval_batches=2, checkpoint_every=10),
    )


RECIPES: dict[str, Callable[[], PretrainingRecipe]] = {
    "paper": paper,
    "single-gpu": single_gpu,
    "laptop": laptop,
    "bundled": bundled,
    "two-cores": two_cores,
    "debug": debug,
}


def pretraining_recipe(name: str) -> PretrainingRecipe:
    """The recipe of that name; a `UserError` that lists the names if there is none."""
    return choose(RECIPES, name)
