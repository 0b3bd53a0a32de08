"""Prompts and models with random weights for the tests of generation."""

import torch

from partimento.generate.engine import Engine
from partimento.midi.performance import Performance
from partimento.model.config import ModelConfig
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary

torch.set_num_threads(1)

VOCABULARIES = {"piano": Vocabulary.piano(), "aria": Vocabulary.aria()}


def random_engine(vocabulary: str = "piano", *, context: int = 1024, seed: int = 0) -> Engine:
    torch.manual_seed(seed)
    v = VOCABULARIES[vocabulary]
    return Engine(Transformer(ModelConfig.named("debug", vocab_size=len(v), context=context)), v)


def prompt(notes: int = 12, *, start: float = 0.5) -> Performance:
    return Performance.from_notes(
        pitch=[60 + 5 * i % 24 for i in range(notes)],
        velocity=[50 + i % 40 for i in range(notes)],
        onset=[start + 0.37 * i for i in range(notes)],
        duration=0.4,
    )
