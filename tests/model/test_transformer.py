"""The network agrees with an independent implementation, and with itself whichever way ids are fed to it."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import StableLmConfig, StableLmForCausalLM

from partimento.model.config import ModelConfig
from partimento.model.heads import ConditionedTransformer
from partimento.model.transformer import KVCache, Rotary, Transformer

TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}


def stable_lm(model: Transformer) -> StableLmForCausalLM:
    """The same weights in the implementation of `transformers`."""
    c = model.config
    settings = StableLmConfig(
        vocab_size=c.vocab_size,
        hidden_size=c.d_model,
        intermediate_size=c.d_ff,
        num_hidden_layers=c.n_layers,
        num_attention_heads=c.n_heads,
        num_key_value_heads=c.n_heads,
        max_position_embeddings=c.context,
        layer_norm_eps=c.norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": c.rope_base, "partial_rotary_factor": 1.0},
        use_qkv_bias=False,
        use_parallel_residual=False,
        qk_layernorm=False,
        tie_word_embeddings=False,
        hidden_dropout=0.0,
        attention_dropout=0.0,
    )
    ours = model.state_dict()
    theirs = {
        "model.embed_tokens.weight": ours["model.tok_embeddings.weight"],
        "model.norm.weight": ours["model.out_layer_norm.weight"],
        "model.norm.bias": ours["model.out_layer_norm.bias"],
        "lm_head.weight": ours["lm_head.weight"],
    }
    for i in range(c.n_layers):
        our, their = f"model.encode_layers.{i}.", f"model.layers.{i}."
        for part, tensor in zip("qkv", ours[our + "mixed_qkv.weight"].chunk(3), strict=True):
            theirs[f"{their}self_attn.{part}_proj.weight"] = tensor
        theirs[their + "self_attn.o_proj.weight"] = ours[our + "att_proj_linear.weight"]
        for part in ("gate", "up", "down"):
            theirs[f"{their}mlp.{part}_proj.weight"] = ours[f"{our}ff_{part}_proj.weight"]
        for parameter in ("weight", "bias"):
            theirs[f"{their}input_layernorm.{parameter}"] = ours[f"{our}norm1.{parameter}"]
            theirs[f"{their}post_attention_layernorm.{parameter}"] = ours[f"{our}norm2.{parameter}"]
    oracle = StableLmForCausalLM(settings)
    oracle.load_state_dict(theirs, strict=True)
    return oracle.eval()


@torch.inference_mode()
def test_logits_equal_those_of_stable_lm(model, ids_BT):
    ours_BTV = model(ids_BT)
    assert ours_BTV.std() > 0.1
    torch.testing.assert_close(ours_BTV, stable_lm(model)(ids_BT).logits, **TOLERANCE)


@torch.inference_mode()
def test_a_later_id_changes_nothing_before_it(model, ids_BT):
    changed_BT = ids_BT.clone()
    changed_BT[:, 40] = (changed_BT[:, 40] + 1) % model.config.vocab_size
    before_BTV, after_BTV = model(ids_BT), model(changed_BT)
    torch.testing.assert_close(before_BTV[:, :40], after_BTV[:, :40], **TOLERANCE)
    assert (before_BTV[:, 40:] - after_BTV[:, 40:]).abs().amax(dim=2).min() > 1e-3


@settings(max_examples=25)
@given(cuts=st.sets(st.integers(1, 59), max_size=8), seed=st.integers(0, 2**32))
@torch.inference_mode()
def test_chunks_of_any_size_give_the_same_logits(cuts, seed):
    torch.manual_seed(seed)
    model = Transformer(ModelConfig(vocab_size=50, d_model=32, n_heads=2, n_layers=2, d_ff=64, context=60))
    ids_BT = torch.randint(0, 50, (2, 60))
    cache = KVCache(model.config, batch=2, capacity=60)
    bounds = [0, *sorted(cuts), 60]
    chunks = [model(ids_BT[:, a:b], cache) for a, b in pairwise(bounds)]
    assert cache.length == 60
    torch.testing.assert_close(torch.cat(chunks, dim=1), model(ids_BT), **TOLERANCE)


@torch.inference_mode()
def test_decoding_after_rollback(model, ids_BT):
    cache = KVCache(model.config, batch=3, capacity=80)
    model(ids_BT.flip(1), cache)
    cache.rollback(0)
    model(ids_BT[:, :30], cache)
    model(ids_BT[:, 7:23], cache)
    cache.rollback(30)
    one_by_one = [model(ids_BT[:, t : t + 1], cache) for t in range(30, 60)]
    torch.testing.assert_close(torch.cat(one_by_one, dim=1), model(ids_BT)[:, 30:], **TOLERANCE)


@torch.inference_mode()
def test_copied_rows_go_their_own_ways(model, ids_BT):
    prompt = KVCache(model.config, batch=1, capacity=90)
    model(ids_BT[:1, :20], prompt)
    rows = prompt.take([0, 0, 0])
    shared_BT = torch.cat((ids_BT[:1, :20].expand(3, -1), ids_BT[:, 20:]), dim=1)
    torch.testing.assert_close(model(ids_BT[:, 20:], rows), model(shared_BT)[:, 20:], **TOLERANCE)
    assert (prompt.length, rows.length, rows.batch, rows.capacity) == (20, 60, 3, 90)
    torch.testing.assert_close(model(ids_BT[:1, 20:], prompt), model(shared_BT)[:1, 20:], **TOLERANCE)


@torch.inference_mode()
def test_a_cache_can_grow_and_lose_rows(model, ids_BT):
    cache = KVCache(model.config, batch=3, capacity=30)
    model(ids_BT[:, :30], cache)
    other = cache.take([2, 0], capacity=60)
    assert (other.length, other.batch, other.capacity) == (30, 2, 60)
    torch.testing.assert_close(model(ids_BT[[2, 0], 30:], other), model(ids_BT[[2, 0]])[:, 30:], **TOLERANCE)


@settings(max_examples=15)
@given(prompt=st.integers(1, 40), back=st.integers(0, 20), room=st.integers(0, 30), seed=st.integers(0, 2**32))
@torch.inference_mode()
def test_steps_of_fixed_shapes_give_the_same_logits(prompt, back, room, seed):
    """With the very same tensors each time, as a recorded pass has them, over what a rollback left behind."""
    torch.manual_seed(seed)
    model = Transformer(ModelConfig(vocab_size=50, d_model=32, n_heads=2, n_layers=2, d_ff=64, context=60))
    ids_BT = torch.randint(0, 50, (3, prompt + 20))
    cache = KVCache(model.config, batch=3, capacity=min(60, prompt + 20 + room))
    model(torch.randint(0, 50, (3, cache.capacity)), cache)
    cache.rollback(0)
    model(ids_BT[:, :prompt], cache)
    ids_B1, at_1, unseen_B = (
        torch.zeros(3, 1, dtype=torch.long),
        torch.zeros(1, dtype=torch.long),
        torch.zeros(3).bool(),
    )
    logits = []
    for t in [*range(prompt, prompt + back), *range(prompt, prompt + 20)]:
        ids_B1.copy_(ids_BT[:, t : t + 1])
        logits.append(model.step(ids_B1, cache, at_1.fill_(t), unseen_B))
    assert cache.length == prompt
    cache.advance(20)
    torch.testing.assert_close(torch.cat(logits[back:], dim=1), model(ids_BT)[:, prompt:], **TOLERANCE)
    held = [torch.stack(layer) for layer in cache.layers()]
    plain = KVCache(model.config, batch=3, capacity=60)
    model(ids_BT, plain)
    torch.testing.assert_close(held, [torch.stack(layer) for layer in plain.layers()], **TOLERANCE)


@torch.inference_mode()
def test_a_step_hides_the_vector_from_the_rows_that_do_not_see_it(model, ids_BT):
    conditioned = ConditionedTransformer(model.config, size=5)
    vector_BE, unseen_B = torch.randn(3, 5), torch.tensor([True, False, True])
    plain, fixed = (KVCache(model.config, batch=3, capacity=40) for _ in range(2))
    for cache in (plain, fixed):
        conditioned.after(vector_BE, ids_BT[:, :10], cache, unseen_B=unseen_B)
    for t in range(10, 20):
        expected = conditioned(ids_BT[:, t : t + 1], plain)
        found = conditioned.step(ids_BT[:, t : t + 1], fixed, torch.tensor([fixed.length]), unseen_B)
        fixed.advance(1)
        torch.testing.assert_close(found, expected, **TOLERANCE)
    seen = conditioned.step(ids_BT[:, 20:21], fixed, torch.tensor([fixed.length]), torch.zeros(3).bool())
    assert (seen - conditioned(ids_BT[:, 20:21], plain)).abs().amax(dim=(1, 2))[unseen_B].min() > 1e-3


@torch.inference_mode()
def test_bfloat16_keeps_exact_positions(model, ids_BT):
    exact_PR = model.model.rotary.cos_PR.clone()
    half = model.to(torch.bfloat16)
    assert torch.equal(half.model.rotary.cos_PR, exact_PR)
    cache = KVCache(model.config, batch=3, capacity=60, dtype=torch.bfloat16)
    assert half(ids_BT, cache).dtype == torch.bfloat16


def test_turning_is_a_complex_product_and_its_gradient_the_product_with_the_conjugate():
    config = ModelConfig(vocab_size=10, d_model=16, n_heads=2, n_layers=1, d_ff=16, context=50)
    x_BTNK = torch.randn(2, 7, 4, 8, generator=torch.Generator().manual_seed(1)).requires_grad_()
    grad_BTNK = torch.randn(2, 7, 4, 8, generator=torch.Generator().manual_seed(2))
    turned_BTNK = Rotary(config)(x_BTNK, slice(40, 47))
    turned_BTNK.backward(grad_BTNK)
    angle_T1R = torch.arange(40, 47)[:, None, None] * config.rope_base ** -(torch.arange(4, dtype=torch.float64) / 4)
    turn_T1R = torch.polar(torch.ones_like(angle_T1R), angle_T1R)

    def product(halves_BTNK, factor_T1R):
        found = torch.complex(*halves_BTNK.detach().double().chunk(2, dim=-1)) * factor_T1R
        return torch.cat((found.real, found.imag), dim=-1).float()

    torch.testing.assert_close(turned_BTNK, product(x_BTNK, turn_T1R))
    torch.testing.assert_close(x_BTNK.grad, product(grad_BTNK, turn_T1R.conj()))


def test_tables_survive_materialising_from_meta(model):
    with torch.device("meta"):
        bare = Transformer(model.config)
    bare.to_empty(device="cpu")
    assert torch.equal(bare.model.rotary.sin_PR, model.model.rotary.sin_PR)


@torch.inference_mode()
def test_positions_beyond_the_context_are_refused(model):
    ids_BT = torch.zeros(1, 97, dtype=torch.long)
    with pytest.raises(ValueError, match="position 96 is beyond the context of 96"):
        model(ids_BT)
    cache = KVCache(model.config, batch=1, capacity=96)
    model(ids_BT[:, :96], cache)
    with pytest.raises(ValueError, match="beyond the context"):
        model(ids_BT[:, :1], cache)
    assert cache.length == 96


@torch.inference_mode()
def test_misuse_of_a_cache_is_refused_and_leaves_it_unchanged(model, ids_BT):
    cache = KVCache(model.config, batch=3, capacity=10)
    filled = KVCache(model.config, batch=3, capacity=10)
    model(ids_BT[:, :5], filled)
    with pytest.raises(ValueError, match="holds 0 of 10"):
        model(ids_BT[:, :11], cache)
    with pytest.raises(ValueError, match="1 rows but the cache has 3"):
        model(ids_BT[:1, :4], cache)
    with pytest.raises(ValueError, match="roll back to 1"):
        cache.rollback(1)
    with pytest.raises(ValueError, match="4 positions cannot take in the 5"):
        filled.take([0], capacity=4)
    assert cache.length == 0
    for capacity in (0, 97):
        with pytest.raises(ValueError, match="capacity"):
            KVCache(model.config, batch=1, capacity=capacity)
    with pytest.raises(ValueError, match="batch is 0"):
        KVCache(model.config, batch=0, capacity=5)
