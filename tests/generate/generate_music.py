"""Prompts and models with random weights for the tests of generation."""

import torch

from partimento.generate.abilities import Abilities
from partimento.generate.backend import TorchBackend
from partimento.generate.engine import Engine
from partimento.midi.performance import Performance
from partimento.model.config import ModelConfig
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary

torch.set_num_threads(1)

VOCABULARIES = {"piano": Vocabulary.piano(), "aria": Vocabulary.aria()}


def random_engine(
    vocabulary: str = "piano", *, context: int = 1024, seed: int = 0, abilities: Abilities | None = None
) -> Engine:
    torch.manual_seed(seed)
    v = VOCABULARIES[vocabulary]
    model = Transformer(ModelConfig.named("debug", vocab_size=len(v), context=context))
    return Engine(TorchBackend(model), v, abilities)


def measured_engine(vocabulary: str = "piano", *, context: int = 1024, seed: int = 0) -> Engine:
    """Random weights that are fond of <T>: some ten notes in five seconds, not thousands."""
    engine = random_engine(vocabulary, context=context, seed=seed)
    bias = torch.zeros(len(engine.vocabulary))
    bias[engine.vocabulary.segment] = 5.0
    engine.backend.model.lm_head.register_forward_hook(lambda _module, _input, output: output + bias)
    return engine


def prompt(notes: int = 12, *, start: float = 0.5) -> Performance:
    return Performance.from_notes(
        pitch=[60 + 5 * i % 24 for i in range(notes)],
        velocity=[50 + i % 40 for i in range(notes)],
        onset=[start + 0.37 * i for i in range(notes)],
        duration=0.4,
    )


def pedalling_engine(*, context: int = 1024, abilities: Abilities) -> Engine:
    """Random weights that are fond of the pedal."""
    engine = random_engine(context=context, abilities=abilities)
    v = VOCABULARIES["piano"]
    bias = torch.zeros(len(v))
    bias[[v.pedal_on, v.pedal_off, v.segment]] = 6.0  # a new segment, or they would pile up at the end of the first
    engine.backend.model.lm_head.register_forward_hook(lambda _module, _input, output: output + bias)
    return engine
