"""Published files: told apart by their heads, read exactly, refused by name; and what is said where none can be had."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from partimento.errors import UserError
from partimento.model.checkpoint import load, load_any
from partimento.model.config import ModelConfig
from partimento.model.heads import Classifier, ConditionedTransformer, Embedder
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary
from tests.model.hub_server import serve
from tests.model.published import D_FF, LAYERS, head, tensors, write

IDS_BT = torch.arange(100, 140)[None]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("language model", Transformer),
        ("embedding model", Embedder),
        ("classifier", Classifier),
        ("embedding-conditioned language model", ConditionedTransformer),
    ],
)
@pytest.mark.parametrize("vocabulary", [Vocabulary.aria(), Vocabulary.piano(), Vocabulary.aria_with_pedal()], ids=len)
def test_head_shape_and_vocabulary_are_told(tmp_path, kind, expected, vocabulary):
    path = write(tmp_path / "model.safetensors", kind, len(vocabulary))
    loaded = load(path, expected)
    assert type(loaded.model) is expected
    assert loaded.kind == kind
    assert loaded.vocabulary == vocabulary
    assert loaded.metadata == ({"pedal_tokens": True} if len(vocabulary) != 17_727 else {})
    assert loaded.config == ModelConfig(
        vocab_size=len(vocabulary), d_model=128, n_heads=2, n_layers=LAYERS, d_ff=D_FF, context=8192
    )
    state = loaded.model.state_dict()
    stored = tensors(len(vocabulary)) | head(kind, len(vocabulary))
    assert set(state) == set(stored)
    assert all(torch.equal(state[name], tensor) for name, tensor in stored.items())


@pytest.mark.parametrize("prefix", ["", "_orig_mod."])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_compiled_names_and_either_dtype_give_the_same_model(tmp_path, prefix, dtype):
    plain = load(write(tmp_path / "plain.safetensors"))
    other = load(write(tmp_path / "other.safetensors", dtype=dtype, prefix=prefix))
    assert other.dtype == dtype
    assert other.model.lm_head.weight.dtype == torch.float32
    close = {"atol": 0.05, "rtol": 0.05} if dtype == torch.bfloat16 else {"atol": 0.0, "rtol": 0.0}
    torch.testing.assert_close(other.model(IDS_BT), plain.model(IDS_BT), **close)
    assert load(other.path, dtype=None).model.lm_head.weight.dtype == dtype


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("model.encode_layers.1.norm2.bias"), "model.encode_layers.1.norm2.bias is missing"),
        (lambda t: t.pop("lm_head.weight"), "lm_head.weight is missing, and so is every other head"),
        (lambda t: t.pop("model.tok_embeddings.weight"), "tok_embeddings.weight is missing"),
        (lambda t: t.update({"model.encode_layers.0.attn.bias": torch.zeros(2)}), "layers.0.attn.bias is foreign"),
        (lambda t: t.update({"emb_head.weight": torch.zeros(512, 128)}), "lm_head.weight is foreign"),
        (lambda t: t.update({"lm_head.weight": torch.zeros(2675, 64)}), r"lm_head.weight has shape \[2675, 64\]"),
        (
            lambda t: t.update({"model.tok_embeddings.weight": torch.zeros(99, 128)}),
            r"has 99 tokens, .* 17,727, 2,675, 17,729;",
        ),
        (lambda t: t.update({"model.tok_embeddings.weight": torch.zeros(2675, 100)}), "heads of 64"),
    ],
)
def test_what_is_not_a_published_model_is_named(tmp_path, change, message):
    parts = tensors(2675) | head("language model", 2675)
    change(parts)
    save_file(parts, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=message) as refusal:
        load(tmp_path / "model.safetensors")
    assert "\n" not in str(refusal.value)


def test_another_kind_than_needed_is_refused(tmp_path):
    path = write(tmp_path / "model.safetensors", "embedding model")
    with pytest.raises(UserError, match="is of the kind 'embedding model'; what is needed here is a 'language model'"):
        load(path)
    assert load_any(path).kind == "embedding model"
    conditioned = write(tmp_path / "conditioned.safetensors", "embedding-conditioned language model")
    assert load(conditioned).kind == "embedding-conditioned language model"  # it is a language model as well


def test_a_folder_is_a_model_if_the_weights_are_in_it(tmp_path):
    with pytest.raises(UserError, match=r"holds no model.safetensors"):
        load(tmp_path)
    write(tmp_path / "model.safetensors")
    assert load(tmp_path).path == tmp_path / "model.safetensors"


@pytest.mark.parametrize("name", ["runs/debug", "here/model", "someone/model.safetensors", "./a/b", "a/b/c", "/a/b"])
def test_what_says_a_path_is_never_asked_of_the_hub(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    with serve(monkeypatch, tmp_path / "cache") as hub:
        hub.files["runs/debug"] = hub.files["here/model"] = {"model.safetensors": b""}
        with pytest.raises(UserError, match=r"no model '.*': there is no such file or folder: give"):
            load(name)
        assert not hub.asked


def test_a_hub_that_cannot_be_reached_is_asked_once(tmp_path, monkeypatch):
    with serve(monkeypatch, tmp_path / "cache") as hub:
        hub.status = 503
        with pytest.raises(UserError, match=r"cannot be read \(HTTP status 503\)"):
            load("someone/model")
        assert len(hub.asked) == 1


def test_the_hub_is_asked_once(tmp_path, monkeypatch):
    content = write(tmp_path / "m.safetensors", "embedding model", 17_727).read_bytes()
    with serve(monkeypatch, tmp_path / "cache") as hub:
        hub.files["someone/embedder"] = {"model.safetensors": content}
        assert load("someone/embedder", Embedder).vocabulary == Vocabulary.aria()
    # The server is gone; what was downloaded is still there.
    assert load("someone/embedder", Embedder).path.read_bytes() == content
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # spares the library's patient retries
    advice = r"cannot be reached; .*download model.safetensors from http.*/loubb/aria-medium"
    with pytest.raises(UserError, match=advice):
        load("loubb/aria-medium-base")


def test_what_the_hub_does_not_have_is_said(tmp_path, monkeypatch):
    with serve(monkeypatch, tmp_path / "cache") as hub:
        hub.files["someone/empty"] = {}
        with pytest.raises(UserError, match=r"/someone/empty has no model.safetensors"):
            load("someone/empty")
        with pytest.raises(UserError, match=r"/no/such cannot be read \(HTTP status 404\)"):
            load("no/such")
    for name in ("someone/two--dashes", "someone/two..dots"):
        with pytest.raises(UserError, match="is no name for the hub"):
            load(name)


@pytest.mark.linux
def test_loading_maps_the_file_instead_of_copying_it(tmp_path):
    path = write(tmp_path / "model.safetensors")
    model = load(path).model
    lines = [line.split() for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()]
    spans = [[int(edge, 16) for edge in words[0].split("-")] for words in lines if words[-1] == str(path)]
    for name, tensor in model.state_dict().items():
        assert any(low <= tensor.data_ptr() < high for low, high in spans), name
