"""A tiny model that embeds, as tests and the programs they start all use it."""

from pathlib import Path

import torch

from partimento.embed.encoder import Encoder
from partimento.model.checkpoint import save
from partimento.model.config import ModelConfig
from partimento.model.heads import Embedder
from partimento.tokens.vocabulary import Vocabulary

V = Vocabulary.piano()
CONFIG = ModelConfig(vocab_size=len(V), d_model=32, n_heads=2, n_layers=2, d_ff=64, context=2048)


def make_model(seed: int = 3) -> Embedder:
    """Weights large enough that every id shows in the vector."""
    model, generator = Embedder(CONFIG, size=12), torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, 1.0 if "norm" in name and "weight" in name else 0.0, 0.3, generator)
    return model.eval()


def make_encoder() -> Encoder:
    return Encoder(make_model(), V)


def model_file(folder: Path) -> Path:
    save(folder / "tiny.safetensors", make_model(), V)
    return folder / "tiny.safetensors"
