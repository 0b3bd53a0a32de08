"""Shapes: the published parameter counts, and which configurations are refused."""

import dataclasses

import pytest
import torch

from partimento.errors import UserError
from partimento.model.config import SIZES, ModelConfig
from partimento.model.transformer import Transformer


def test_medium_is_the_published_network():
    with torch.device("meta"):
        model = Transformer(ModelConfig.named("medium", vocab_size=17_727))
    tensors = model.state_dict()
    assert len(tensors) == 148
    assert sum(tensor.numel() for tensor in tensors.values()) == 658_538_496
    assert tensors["model.tok_embeddings.weight"].shape == (17_727, 1536)
    assert tensors["model.encode_layers.15.mixed_qkv.weight"].shape == (4608, 1536)
    assert tensors["model.encode_layers.0.att_proj_linear.weight"].shape == (1536, 1536)
    assert tensors["model.encode_layers.0.ff_gate_proj.weight"].shape == (6144, 1536)
    assert tensors["model.encode_layers.0.ff_up_proj.weight"].shape == (6144, 1536)
    assert tensors["model.encode_layers.0.ff_down_proj.weight"].shape == (1536, 6144)
    assert tensors["model.encode_layers.0.norm2.bias"].shape == (1536,)
    assert tensors["model.out_layer_norm.bias"].shape == (1536,)
    assert tensors["lm_head.weight"].shape == (17_727, 1536)


@pytest.mark.parametrize("name", SIZES)
def test_parameters_are_counted_right(name):
    config = ModelConfig.named(name, vocab_size=2675)
    with torch.device("meta"):
        model = Transformer(config)
    assert config.parameters == sum(parameter.numel() for parameter in model.parameters())


def test_three_of_compact_fit_the_wheel():
    # 90 MB are what the package may carry; 8 bits and a 32nd of a half-precision scale are 17/16 bytes.
    assert 3 * 17 / 16 * ModelConfig.named("compact", vocab_size=2675).parameters < 90_000_000


def test_json_round_trip():
    config = ModelConfig.named("tiny", vocab_size=2675, context=1024)
    assert ModelConfig.of(dataclasses.asdict(config)) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_heads": 0}, "n_heads"),
        ({"d_ff": -1}, "d_ff"),
        ({"n_layers": 1.5}, "n_layers"),
        ({"context": True}, "context"),
        ({"norm_eps": float("nan")}, "norm_eps"),
        ({"n_heads": 3}, "3 heads"),
        ({"n_heads": 64}, "even width"),
    ],
)
def test_impossible_shapes_are_refused(change, message):
    config = ModelConfig.named("debug", vocab_size=100)
    with pytest.raises(UserError, match=message):
        dataclasses.replace(config, **change)


@pytest.mark.parametrize("values", [[], {"vocab_size": 5}, {"colour": 1}])
def test_foreign_fields_are_refused(values):
    with pytest.raises(UserError, match="model configuration"):
        ModelConfig.of(values)


def test_unknown_size_lists_the_known_ones():
    with pytest.raises(UserError, match=r"enormous.*debug, tiny, small"):
        ModelConfig.named("enormous", vocab_size=10)
