"""Adapters: without effect at first, the only thing that learns, and a plain model again once merged."""

import pytest
import torch
from torch.nn import functional as F

from partimento.errors import UserError
from partimento.model.checkpoint import save
from partimento.model.config import ModelConfig
from partimento.model.initialisation import random_initialisation
from partimento.model.lora import SCALE, adapt, load_adapters, merged, save_adapters
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary

V = Vocabulary.piano()
CONFIG = ModelConfig(vocab_size=len(V), d_model=32, n_heads=2, n_layers=3, d_ff=64, context=32)
RANK = 4
IDS_BT = torch.randint(0, len(V), (2, 20), generator=torch.Generator().manual_seed(1))


def plain() -> Transformer:
    model = Transformer(CONFIG)
    random_initialisation(model, seed=1)
    return model


def adapted(*, used: bool) -> Transformer:
    """An adapted model; if `used`, with adapters as large as the matrices they stand beside."""
    model = plain()
    adapt(model, rank=RANK, seed=2)
    if used:
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if "lora" in name:
                    weight.normal_(0, 0.1, generator=generator)
    return model


def test_an_adapted_model_computes_what_it_did_until_it_learns():
    assert torch.equal(adapted(used=False)(IDS_BT), plain()(IDS_BT))
    assert not torch.allclose(adapted(used=True)(IDS_BT), plain()(IDS_BT), atol=0.1)


def test_a_merged_model_computes_what_the_adapted_one_does():
    model, whole = adapted(used=True).double(), plain().double()
    whole.load_state_dict(merged(model.state_dict()))
    torch.testing.assert_close(whole(IDS_BT), model(IDS_BT), rtol=1e-12, atol=1e-12)


def test_merging_adds_the_product_to_the_matrix():
    weights = adapted(used=True).state_dict()
    name = "model.encode_layers.1.ff_down_proj."
    product = torch.einsum("or,ri->oi", weights[name + "lora_up"], weights[name + "lora_down"])
    torch.testing.assert_close(merged(weights)[name + "weight"], weights[name + "weight"] + SCALE * product)
    assert merged(weights).keys() == plain().state_dict().keys()


def test_only_adapters_learn():
    model, before = adapted(used=True), plain().state_dict()
    F.cross_entropy(model(IDS_BT[:, :-1]).flatten(0, 1), IDS_BT[:, 1:].flatten()).backward()
    with_gradient = {name: p for name, p in model.named_parameters() if p.grad is not None}
    assert all("lora" in name and bool(p.grad.any()) for name, p in with_gradient.items())
    d, f = CONFIG.d_model, CONFIG.d_ff
    a_block = (d + 3 * d) + (d + d) + 2 * (d + f) + (f + d)  # attention in and out; gate and up; down
    assert sum(p.numel() for p in with_gradient.values()) == CONFIG.n_layers * RANK * a_block
    for name, weight in before.items():
        assert torch.equal(model.state_dict()[name], weight), name


def test_adapters_are_a_small_file_of_their_own(tmp_path):
    model, path = adapted(used=True), tmp_path / "adapters.safetensors"
    save_adapters(path, model.state_dict(), rank=RANK)
    again = merged(plain().state_dict() | load_adapters(path))
    assert all(torch.equal(again[name], weight) for name, weight in merged(model.state_dict()).items())
    save(tmp_path / "whole.safetensors", plain(), V)
    assert path.stat().st_size < (tmp_path / "whole.safetensors").stat().st_size / 10
    with pytest.raises(UserError, match="is a whole model, not adapters"):
        load_adapters(tmp_path / "whole.safetensors")


def test_seeds_decide_adapters():
    one, other = plain(), plain()
    adapt(one, rank=RANK, seed=2)
    adapt(other, rank=RANK, seed=3)
    name = "model.encode_layers.0.mixed_qkv.lora_down"
    assert torch.equal(one.state_dict()[name], adapted(used=False).state_dict()[name])
    assert not torch.equal(one.state_dict()[name], other.state_dict()[name])


@pytest.mark.parametrize("rank", [0, 33])
def test_a_rank_that_does_not_fit_is_refused(rank):
    with pytest.raises(UserError, match=rf"rank {rank} does not fit this model; give 1 to 32"):
        adapt(plain(), rank=rank, seed=1)
