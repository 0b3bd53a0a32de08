"""The engine is the fastest that can run the model, unless it is said which; and it is told aloud."""

import subprocess
import sys

import pytest
import torch

from partimento.errors import UserError
from partimento.export.onnx_folder import prepare
from partimento.generate.backends.backend import TorchBackend
from partimento.generate.backends.engines import open_model
from partimento.generate.backends.onnx_backend import OnnxBackend
from partimento.model import checkpoint
from partimento.model.config import ModelConfig
from partimento.model.heads import ConditionedTransformer, Embedder
from partimento.model.transformer import Transformer
from tests.generate.generate_music import VOCABULARIES

VOCABULARY = VOCABULARIES["piano"]
CONFIG = ModelConfig(vocab_size=2675, d_model=64, n_heads=2, n_layers=1, d_ff=64, context=128)


@pytest.fixture(autouse=True)
def on_a_processor(tmp_path, monkeypatch):
    monkeypatch.setenv("PARTIMENTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("partimento.generate.backends.engines._device", lambda: "cpu")


def saved(tmp_path, kind=Transformer):
    torch.manual_seed(0)
    path = tmp_path / f"{kind.__name__}.safetensors"
    checkpoint.save(path, kind(CONFIG), VOCABULARY, pedal_tokens=True)
    return path


@pytest.mark.parametrize(
    ("engine", "expected", "said"),
    [
        ("auto", OnnxBackend, "engine: ONNX Runtime, onnx-int8 on cpu, 1 thread"),
        ("onnx", OnnxBackend, "engine: ONNX Runtime, onnx on cpu, 1 thread"),
        ("torch", TorchBackend, "engine: torch, float32 on cpu"),
    ],
)
def test_an_engine_is_chosen_or_forced_and_said_aloud(tmp_path, engine, expected, said):
    heard: list[str] = []
    opened = open_model(saved(tmp_path), engine, say=heard.append)
    assert isinstance(opened.backend, expected)
    assert heard[-1] == said
    assert (expected is OnnxBackend) == heard[0].startswith("preparing ")
    assert opened.vocabulary == VOCABULARY
    assert opened.metadata == {"pedal_tokens": True}
    assert opened.backend.read([[1, 2, 3]], opened.backend.cache(batch=1, capacity=9)).shape == (1, 1, 2675)


def test_what_only_torch_can_run_runs_there(tmp_path):
    path = saved(tmp_path, ConditionedTransformer)
    assert isinstance(open_model(path).backend, TorchBackend)
    with pytest.raises(UserError, match="conditioned on embeddings"):
        open_model(path, "onnx-int8")


def test_an_exported_folder_is_a_model_too(tmp_path):
    folder = prepare(saved(tmp_path), "onnx-int4")
    assert open_model(folder).backend.description == "ONNX Runtime, onnx-int4 on cpu, 1 thread"
    with pytest.raises(UserError, match="torch needs the model it was made from"):
        open_model(folder, "torch")


def test_impossible_wishes_are_refused(tmp_path):
    with pytest.raises(UserError, match="choose one of auto, torch, onnx"):
        open_model(saved(tmp_path), "steam")
    with pytest.raises(UserError, match="what is needed here is a 'language model'"):
        open_model(saved(tmp_path, Embedder))


def test_a_prepared_model_opens_without_torch(tmp_path):
    path = saved(tmp_path)
    prepare(path)
    script = (
        "import sys; from partimento.generate.backends import engines; engines._device = lambda: 'cpu';"
        "engines.open_model(sys.argv[1]); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, str(path)], check=True)
