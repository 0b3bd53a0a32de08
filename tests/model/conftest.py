"""A model small enough for every test, with weights large enough that a wrong attention shows in its logits."""

import pytest
import torch

from partimento.model.config import ModelConfig
from partimento.model.transformer import Transformer

torch.set_num_threads(1)  # tiny models gain nothing from more, and waiting for a busy core costs them much


@pytest.fixture
def model() -> Transformer:
    torch.manual_seed(7)
    config = ModelConfig(vocab_size=211, d_model=48, n_heads=3, n_layers=3, d_ff=80, context=96)
    model = Transformer(config).eval()
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, mean=1.0 if "norm" in name and "weight" in name else 0.0, std=0.2)
    return model


@pytest.fixture
def ids_BT() -> torch.Tensor:
    return torch.randint(0, 211, (3, 60), generator=torch.Generator().manual_seed(8))
