"""Models as files: what goes in comes out, and a file that is not exactly a model is refused by name."""

import json
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from partimento.errors import UserError
from partimento.model import checkpoint
from partimento.model.checkpoint import load, read_tensors, save, write_tensors
from partimento.model.config import ModelConfig
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary.piano()


@pytest.fixture
def small(vocabulary) -> Transformer:
    torch.manual_seed(3)
    config = ModelConfig(vocab_size=len(vocabulary), d_model=16, n_heads=2, n_layers=1, d_ff=32, context=64)
    return Transformer(config)


@pytest.fixture
def saved(tmp_path, small, vocabulary):
    path = tmp_path / "model.safetensors"
    save(path, small, vocabulary, steps=5, data=["a", "b"])
    return path


def rewrite(path, change):
    """The same file after `change` of its dictionary of tensors."""
    tensors, header = read_tensors(path)
    tensors = {name: tensor.clone() for name, tensor in tensors.items()}  # Windows replaces no file that is mapped
    change(tensors)
    write_tensors(path, tensors, header)


def test_round_trip(saved, small, vocabulary):
    loaded = load(saved)
    assert loaded.config == small.config
    assert loaded.vocabulary == vocabulary
    assert loaded.metadata == {"steps": 5, "data": ["a", "b"]}
    ids_BT = torch.arange(40)[None]
    assert torch.equal(loaded.model(ids_BT), small(ids_BT))


def test_round_trip_in_bfloat16(tmp_path, saved, small, vocabulary):
    half_path = tmp_path / "half.safetensors"
    save(half_path, small, vocabulary, dtype=torch.bfloat16)
    assert half_path.stat().st_size < 0.6 * saved.stat().st_size
    assert small.lm_head.weight.dtype == torch.float32
    half = load(half_path, dtype=torch.bfloat16).model.state_dict()
    for name, tensor in small.state_dict().items():
        assert torch.equal(half[name], tensor.bfloat16())
    assert load(half_path).model.lm_head.weight.dtype == torch.float32


def test_round_trip_in_8_bits(tmp_path, saved, small, vocabulary):
    path = tmp_path / "8-bits.safetensors"
    save(path, small, vocabulary, dtype=torch.int8, steps=5)
    assert path.stat().st_size < 0.4 * saved.stat().st_size  # much of either is the vocabulary
    loaded = load(path)
    assert (loaded.dtype, loaded.metadata) == (torch.int8, {"steps": 5})
    with safe_open(path, framework="np") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    weights, half = loaded.model.state_dict(), load(path, dtype=torch.bfloat16).model.state_dict()
    for name, exact in small.state_dict().items():
        assert weights[name].dtype == torch.float32
        assert torch.equal(half[name], weights[name].bfloat16())
        if exact.ndim == 1:
            assert torch.equal(weights[name], exact)
            continue
        number_NK, scale_NJ = stored[name], stored[name + "_scale"].astype(np.float32)
        assert (number_NK.dtype, stored[name + "_scale"].dtype) == (np.int8, np.float16)
        scale_NK = scale_NJ.repeat(32, axis=1)[:, : number_NK.shape[1]]
        np.testing.assert_array_equal(weights[name].numpy(), number_NK * scale_NK)
        assert (np.abs(weights[name].numpy() - exact.numpy()) <= 0.51 * scale_NK).all()
    assert torch.equal(load(path, dtype=None).model.lm_head.weight, loaded.model.lm_head.weight)


def test_loading_does_not_wait_for_torchs_compiler(saved):
    script = (
        "import sys; from partimento.model.checkpoint import load;"
        "load(sys.argv[1]).model; assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, str(saved)], check=True)


def test_8_bits_written_again_are_the_same_bytes(tmp_path, small, vocabulary):
    once, again = tmp_path / "once.safetensors", tmp_path / "again.safetensors"
    save(once, small, vocabulary, dtype=torch.int8)
    save(again, load(once).model, vocabulary, dtype=torch.int8)
    assert again.read_bytes() == once.read_bytes()
    checkpoint.annotate(again, infilling=True)
    assert read_tensors(again)[0].keys() == read_tensors(once)[0].keys()
    assert torch.equal(load(again).model.lm_head.weight, load(once).model.lm_head.weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("lm_head.weight_scale"), "lm_head.weight_scale is missing"),
        (lambda t: t.update({"x_scale": torch.zeros(1, 1).half()}), "x_scale is foreign"),
        (lambda t: t.update({"lm_head.weight_scale": torch.zeros(2, 3).half()}), r"weight_scale has shape \[2, 3\]"),
        (lambda t: t.update({"lm_head.weight": t["lm_head.weight"].float()}), "is of torch.float32, expected int8"),
        (lambda t: t["lm_head.weight_scale"][5].fill_(float("nan")), "scales that are not finite"),
        (lambda t: t.update({"model.out_layer_norm.bias": torch.zeros(16).int()}), "torch.int32, expected floats"),
    ],
)
def test_8_bits_that_are_not_the_models_are_named(tmp_path, small, vocabulary, change, message):
    path = tmp_path / "8-bits.safetensors"
    save(path, small, vocabulary, dtype=torch.int8)
    rewrite(path, change)
    with pytest.raises(UserError, match=message) as refusal:
        load(path)
    assert "\n" not in str(refusal.value)


def test_8_bits_without_their_header_or_with_another_are_refused(tmp_path, saved, small, vocabulary):
    rewrite(saved, lambda t: t.update({"lm_head.weight": t["lm_head.weight"].to(torch.int8)}))
    with pytest.raises(UserError, match=r"lm_head.weight is of torch.int8, expected floats"):
        load(saved)
    path = tmp_path / "8-bits.safetensors"
    save(path, small, vocabulary, dtype=torch.int8)
    tensors, header = read_tensors(path)
    write_tensors(path, tensors, header | {"weights": {"bits": 4, "block": 32}})
    with pytest.raises(UserError, match="this version of partimento reads"):
        load(path)
    with torch.no_grad():
        small.lm_head.weight[3, 3] = 1e7
    with pytest.raises(UserError, match=r"lm_head\.weight has weights that are not finite, or too large for 8 bits"):
        save(path, small, vocabulary, dtype=torch.int8)


def test_any_reader_of_safetensors_finds_the_published_names(saved):
    with safe_open(saved, framework="np") as file:
        names = set(file.keys())
    assert {"lm_head.weight", "model.encode_layers.0.norm1.bias"} <= names
    assert len(names) == 9 + 4


def test_equal_models_are_equal_bytes(tmp_path, saved, small, vocabulary):
    again = tmp_path / "again.safetensors"
    save(again, small, vocabulary, steps=5, data=["a", "b"])
    assert again.read_bytes() == saved.read_bytes()


def test_a_failed_write_leaves_the_old_file(tmp_path, saved, small, vocabulary, monkeypatch):
    before = saved.read_bytes()

    def fail(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint, "save_file", fail)
    with pytest.raises(UserError, match="disk full"):
        save(saved, small, vocabulary)
    assert saved.read_bytes() == before
    assert list(tmp_path.iterdir()) == [saved]


def test_names_of_compiled_models_are_accepted(saved, small):
    plain = small.state_dict()

    def compile_names(tensors):
        for name in plain:
            tensors[f"_orig_mod.{name}"] = tensors.pop(name)

    rewrite(saved, compile_names)
    assert torch.equal(load(saved).model.lm_head.weight, small.lm_head.weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("model.out_layer_norm.bias"), "model.out_layer_norm.bias is missing"),
        (lambda t: t.update(wheel=torch.zeros(1)), "wheel is foreign"),
        (lambda t: t.update({"lm_head.weight": torch.zeros(2, 3)}), r"lm_head.weight has shape \[2, 3\], expected \["),
    ],
)
def test_tensors_that_are_not_the_models_are_named(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(UserError, match=message):
        load(saved)


def test_other_files_are_refused(tmp_path, saved, vocabulary):
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(UserError, match="not a whole safetensors file"):
        load(cut)
    foreign = tmp_path / "foreign.safetensors"
    save_file({"x": torch.zeros(1)}, foreign)
    with pytest.raises(UserError, match="neither partimento's nor a published one"):
        load(foreign)
    with pytest.raises(UserError, match="not written by partimento"):
        read_tensors(foreign)
    write_tensors(foreign, {"x": torch.zeros(1)}, {"config": {}})
    with pytest.raises(UserError, match="model configuration"):
        load(foreign)
    write_tensors(foreign, {"x": torch.zeros(1)}, {"step": 1})
    with pytest.raises(UserError, match="its header has no 'config'"):
        load(foreign)
    config = asdict(ModelConfig.named("debug", vocab_size=12))
    header = {"config": config, "vocabulary": json.loads(vocabulary.to_json()), "metadata": {}}
    write_tensors(foreign, {"x": torch.zeros(1)}, header)
    with pytest.raises(UserError, match="2675 tokens but a model of 12"):
        load(foreign)


@pytest.mark.parametrize("name", ["no-such-model", "/", "folder/model.safetensors"])
def test_unknown_models_are_refused_in_one_line(name):
    with pytest.raises(UserError, match=r"no model .*'bundled'") as refusal:
        load(name)
    assert "\n" not in str(refusal.value)


def test_a_vocabulary_of_another_size_is_not_saved(tmp_path, small):
    with pytest.raises(ValueError, match="17727 tokens given with a model of 2675"):
        save(tmp_path / "model.safetensors", small, Vocabulary.aria())


def test_metadata_can_be_added_afterwards_and_no_tensor_changes(tmp_path, small, vocabulary):
    path, direct = tmp_path / "later.safetensors", tmp_path / "direct.safetensors"
    save(path, small, vocabulary, dtype=torch.bfloat16, steps=5, sampling={"min_p": 0.5})
    checkpoint.annotate(path, sampling={"min_p": 0.01}, infilling=True)
    save(direct, small, vocabulary, dtype=torch.bfloat16, steps=5, sampling={"min_p": 0.01}, infilling=True)
    assert path.read_bytes() == direct.read_bytes()
    with pytest.raises(UserError):
        checkpoint.annotate(tmp_path / "none.safetensors", steps=1)
