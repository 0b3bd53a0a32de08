"""The ONNX graph gives the transformer's logits, whichever way ids are fed to it; folders are made once and whole."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch

from partimento.cli import main
from partimento.errors import UserError
from partimento.export.calibration import cache_scales
from partimento.export.onnx_folder import prepare
from partimento.generate.backends.backend import TorchBackend
from partimento.generate.backends.onnx_backend import OnnxBackend
from partimento.midi.performance import Performance
from partimento.model import checkpoint
from partimento.model.config import ModelConfig
from partimento.model.heads import ConditionedTransformer
from partimento.model.transformer import KVCache, Transformer
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary

torch.set_num_threads(1)  # tiny models gain nothing from more, and waiting for a busy core costs them much

VOCABULARY = Vocabulary.piano()
CONFIG = ModelConfig(vocab_size=2675, d_model=96, n_heads=2, n_layers=3, d_ff=80, context=128)
IDS_BT = torch.randint(0, 2675, (3, 60), generator=torch.Generator().manual_seed(8))
EXACT = {"atol": 1e-3, "rtol": 1e-4}


def lively(kind: type[Transformer]) -> Transformer:
    """Weights large enough that a wrong attention shows in the logits."""
    generator = torch.Generator().manual_seed(7)
    model = kind(CONFIG).eval()
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, 1.0 if "norm" in name and "weight" in name else 0.0, 0.2, generator)
    return model


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    checkpoint.save(path, lively(Transformer), VOCABULARY)
    return path


@pytest.fixture(scope="module")
def torch_backend(path):
    return TorchBackend(checkpoint.load(path).model)


@pytest.fixture(scope="module")
def exact(path):
    return OnnxBackend(prepare(path, "onnx"), threads=1)


@pytest.fixture(scope="module")
def int8(path):
    return OnnxBackend(prepare(path, "onnx-int8"), threads=1)


@pytest.fixture(scope="module")
def logits_BTV(torch_backend):
    with torch.inference_mode():
        logits_BTV = torch_backend.model(IDS_BT).numpy()
    assert logits_BTV.std() > 0.5
    return logits_BTV


def rows(ids_BT: torch.Tensor) -> list[list[int]]:
    return ids_BT.tolist()


@pytest.mark.parametrize("name", ["exact", "torch_backend"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("bounds", [(0, 60), (0, 1, 2, 30, 31, 60), (0, 25, 26, 27, 60)])
def test_logits_are_the_transformers_however_ids_are_fed(request, logits_BTV, name, batch, bounds):
    backend = request.getfixturevalue(name)
    cache = backend.cache(batch=batch, capacity=60)
    parts = [backend.read(rows(IDS_BT[:batch, a:b]), cache, last=b - a) for a, b in pairwise(bounds)]
    assert (cache.length, cache.batch, cache.capacity) == (60, batch, 60)
    np.testing.assert_allclose(np.concatenate(parts, axis=1), logits_BTV[:batch], **EXACT)


def test_only_the_positions_asked_for_are_told(exact, logits_BTV):
    cache = exact.cache(batch=3, capacity=60)
    np.testing.assert_allclose(exact.read(rows(IDS_BT[:, :40]), cache), logits_BTV[:, 39:40], **EXACT)
    np.testing.assert_allclose(exact.read(rows(IDS_BT[:, 40:50]), cache, last=3), logits_BTV[:, 47:50], **EXACT)


@pytest.mark.parametrize("name", ["exact", "int8", "torch_backend"])
def test_rolled_back_and_copied_caches_forget_and_part(request, name):
    backend = request.getfixturevalue(name)
    # A sum in another order may be rounded to another of the cache's 256 numbers.
    tolerance = {"atol": 0.1} if name == "int8" else EXACT

    def after_20(ids_T: torch.Tensor) -> np.ndarray:
        cache = backend.cache(batch=1, capacity=60)
        backend.read([ids_T[:20].tolist()], cache)
        return backend.read([ids_T[20:].tolist()], cache, last=40)

    used = backend.cache(batch=1, capacity=90)
    backend.read(rows(IDS_BT[1:2]), used)
    used.rollback(0)
    backend.read(rows(IDS_BT[:1, :20]), used)
    backend.read(rows(IDS_BT[2:, :20]), used)
    used.rollback(20)
    steps = [backend.read(rows(IDS_BT[:1, t : t + 1]), used) for t in range(20, 60)]
    np.testing.assert_allclose(np.concatenate(steps, axis=1), after_20(IDS_BT[0]), **tolerance)
    used.rollback(20)
    wide = used.take([0, 0, 0], capacity=61)
    mixed_BT = torch.cat((IDS_BT[:1, :20].expand(3, -1), IDS_BT[:, 20:]), dim=1)
    parted = np.concatenate([backend.read(rows(mixed_BT[:, t : t + 1]), wide) for t in range(20, 60)], axis=1)
    for row in range(3):
        np.testing.assert_allclose(parted[row : row + 1], after_20(mixed_BT[row]), **tolerance)
    assert used.length == 20


def test_misuse_of_a_cache_is_refused_and_leaves_it_unchanged(exact):
    cache = exact.cache(batch=3, capacity=10)
    with pytest.raises(ValueError, match="holds 0 of 10"):
        exact.read(rows(IDS_BT[:, :11]), cache)
    with pytest.raises(ValueError, match="1 rows but the cache has 3"):
        exact.read(rows(IDS_BT[:1, :4]), cache)
    with pytest.raises(ValueError, match="roll back to 1"):
        cache.rollback(1)
    assert cache.length == 0
    exact.read(rows(IDS_BT[:, :5]), cache)
    with pytest.raises(ValueError, match="4 positions cannot take in the 5"):
        cache.take([0], capacity=4)
    assert exact.cache(batch=1, capacity=10_000).capacity == CONFIG.context
    with pytest.raises(ValueError, match="batch is 0"):
        exact.cache(batch=0, capacity=10)


def divergence(ids: list[int], backend: OnnxBackend, model: Transformer) -> float:
    """Mean KL divergence in nats from the transformer's distributions, half of it prefilled and half decoded."""
    with torch.inference_mode():
        theirs = torch.log_softmax(model(torch.tensor([ids]))[0].double(), dim=-1).numpy()
    cache, half = backend.cache(batch=1, capacity=len(ids)), len(ids) // 2
    parts = [backend.read([ids[:half]], cache, last=half), *(backend.read([[id_]], cache) for id_ in ids[half:])]
    ours = torch.log_softmax(torch.tensor(np.concatenate(parts, axis=1)[0]).double(), dim=-1).numpy()
    return float((np.exp(theirs) * (theirs - ours)).sum(axis=-1).mean())


@pytest.mark.parametrize(("format_", "most"), [("onnx", 1e-8), ("onnx-int8", 0.002), ("onnx-int4", 0.06)])
def test_trained_weights_keep_their_distributions(format_, most):
    backend, model = OnnxBackend(prepare("bundled", format_), threads=1), checkpoint.load("bundled").model
    measured = []
    for prompt in ("nocturne", "invention", "ballad"):
        performance = Performance.from_midi(f"examples/{prompt}.mid")
        ids = Tokenizer(VOCABULARY).encode(performance, end=False)[:150].tolist()
        measured.append(divergence(ids, backend, model))
    assert np.mean(measured) < most
    if format_ != "onnx":
        assert min(measured) > 1e-6  # something was quantised


def test_what_a_cache_of_8_bits_must_hold_has_room():
    model = checkpoint.load("bundled").model
    scales = cache_scales(model, VOCABULARY)
    assert len(scales) == model.config.n_layers
    for name in ("nocturne", "ballad", "invention"):
        ids = Tokenizer(VOCABULARY).encode(Performance.from_midi(f"examples/{name}.mid"))[:500]
        cache = KVCache(model.config, batch=1, capacity=len(ids))
        with torch.inference_mode():
            model(torch.tensor(ids[None]), cache)
        for (key_D, value_D), (keys_BHTK, values_BHTK) in zip(scales, cache.layers(), strict=True):
            for step_D, held_BHTK in ((key_D, keys_BHTK), (value_D, values_BHTK)):
                assert (held_BHTK.abs().amax(dim=(0, 2)).flatten().numpy() <= 127 * step_D).all()


def test_a_folder_is_made_once_by_content(tmp_path, path, monkeypatch):
    monkeypatch.setenv("PARTIMENTO_CACHE", str(tmp_path / "cache"))
    said: list[str] = []
    first = prepare(path, "onnx-int4", say=said.append)
    again = tmp_path / "elsewhere.safetensors"
    again.write_bytes(path.read_bytes())
    assert prepare(again, "onnx-int4", say=said.append) == first
    assert len(said) == 1
    assert prepare(path, "onnx", say=said.append) != first
    assert {p.name for p in (tmp_path / "cache" / "onnx").iterdir()} == {first.name, prepare(path, "onnx").name}
    with pytest.raises(UserError, match="choose one of onnx, onnx-int8, onnx-int4"):
        prepare(path, "onnx-int2")


def test_the_exported_folder_is_the_prepared_one_and_explains_itself(tmp_path, path):
    assert main(["export", str(path), "--format", "onnx-int8", "-o", str(tmp_path / "out")]) == 0
    prepared = prepare(path, "onnx-int8")
    for name in ("model.onnx", "model.onnx.data", "partimento.json", "vocabulary.json"):
        assert (tmp_path / "out" / name).read_bytes() == (prepared / name).read_bytes()
    backend = OnnxBackend(tmp_path / "out")
    assert backend.vocabulary == VOCABULARY
    assert backend.config == CONFIG
    assert backend.description == "ONNX Runtime, onnx-int8 on cpu, 1 thread"
    with pytest.raises(UserError, match=r"holds no model\.onnx"):
        OnnxBackend(tmp_path)


def test_conditioned_models_are_refused(tmp_path, capsys):
    checkpoint.save(tmp_path / "m.safetensors", lively(ConditionedTransformer), VOCABULARY)
    assert main(["export", str(tmp_path / "m.safetensors"), "--format", "onnx", "-o", str(tmp_path / "out")]) == 2
    assert "conditioned on embeddings" in capsys.readouterr().err


def test_decoding_a_prepared_folder_needs_no_torch(path):
    script = (
        "import sys; from pathlib import Path; from partimento.generate.backends.onnx_backend import OnnxBackend;"
        "backend = OnnxBackend(Path(sys.argv[1]));"
        "backend.read([[1, 2, 3]], backend.cache(batch=1, capacity=8));"
        "assert 'torch' not in sys.modules and 'onnx' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, str(prepare(path, "onnx-int8"))], check=True)
