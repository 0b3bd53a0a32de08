"""A linear head on an embedding model: what it says, its file, and the bundled one as a user meets it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from partimento.cli import main
from partimento.corpus.store.note_store import digest
from partimento.embed.encoder import Encoder
from partimento.embed.head import LinearHead
from partimento.embed.labeller import Labeller
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.model.checkpoint import save
from partimento.model.config import ModelConfig
from partimento.model.heads import Embedder
from partimento.model.hub import locate
from partimento.tokens.vocabulary import Vocabulary

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def head(tmp_path):
    """On a random embedding model of eight numbers."""
    torch.manual_seed(0)
    v, path = Vocabulary.piano(), tmp_path / "embedder.safetensors"
    config = ModelConfig(vocab_size=len(v), d_model=8, n_heads=1, n_layers=1, d_ff=8, context=512)
    save(path, Embedder(config, size=8), v)
    rng = np.random.default_rng(1)
    return LinearHead(
        weight_CE=rng.normal(size=(3, 8)).astype(np.float32),
        bias_C=rng.normal(size=3).astype(np.float32),
        classes=("a", "b", "c"),
        task="letters",
        embedder=str(path),
        embedder_sha256=digest(path),
        least=0.5,
        licence="MIT",
    )


def music(notes: int = 700) -> Performance:
    rng = np.random.default_rng(2)
    onset = np.sort(rng.uniform(0, notes / 10, notes))
    return Performance.from_notes(pitch=rng.integers(30, 90, notes), velocity=60, onset=onset, duration=0.3)


def test_it_is_a_linear_layer_and_a_softmax(head):
    x = np.random.default_rng(3).normal(size=(5, 8)).astype(np.float32)
    layer = F.linear(torch.from_numpy(x), torch.from_numpy(head.weight_CE), torch.from_numpy(head.bias_C))
    np.testing.assert_allclose(head.probabilities(x), layer.softmax(1).numpy(), rtol=1e-5)


def test_a_file_is_its_mean_vector_and_a_slice_its_own(head, tmp_path):
    head.save(tmp_path / "head.safetensors")
    labeller, whole = Labeller.load(tmp_path / "head.safetensors"), music()
    assert (labeller.classes, labeller.task, labeller.least) == (("a", "b", "c"), "letters", 0.5)
    [slices] = Encoder.load(head.embedder).encode_slices([whole])
    assert len(slices) == 3
    expected = head.probabilities(slices.mean(axis=0, keepdims=True))[0]
    np.testing.assert_allclose(labeller.probabilities(whole), expected, rtol=1e-4)
    for stretch, row in zip(labeller.over_time(whole), head.probabilities(slices), strict=True):
        np.testing.assert_allclose(stretch.probabilities, row, rtol=1e-4)


def test_a_file_comes_back_as_it_was_and_another_embedding_model_is_refused(head, tmp_path):
    path = tmp_path / "head.safetensors"
    head.save(path)
    again = LinearHead.load(path)
    assert np.array_equal(again.weight_CE, head.weight_CE) and np.array_equal(again.bias_C, head.bias_C)
    assert replace(again, weight_CE=head.weight_CE, bias_C=head.bias_C).licence == "MIT"
    first = path.read_bytes()
    again.save(path)
    assert path.read_bytes() == first
    assert LinearHead.is_in(path) and not LinearHead.is_in(Path(head.embedder))
    with pytest.raises(UserError, match="holds no linear head"):
        LinearHead.load(Path(head.embedder))
    replace(head, embedder_sha256="0" * 64).save(path)
    with pytest.raises(UserError, match="belongs to another"):
        Labeller.load(path)
    replace(head, classes=("a", "b")).save(path)
    with pytest.raises(UserError, match="tensor weight has shape"):
        LinearHead.load(path)


def test_what_is_not_probable_enough_is_called_unknown(head, tmp_path, capsys):
    music(100).write_midi(tmp_path / "x.mid")
    path = tmp_path / "head.safetensors"
    flat = replace(head, weight_CE=np.zeros((3, 8), np.float32), bias_C=np.log([0.45, 0.35, 0.2]).astype(np.float32))
    for least, said in ((0.5, "unknown"), (0.4, "a")):
        replace(flat, least=least).save(path)
        assert main(["classify", str(tmp_path / "x.mid"), "--model", str(path), "--json"]) == 0
        row = json.loads(capsys.readouterr().out)
        assert row["label"] == said and row["probabilities"]["b"] == pytest.approx(0.35, abs=1e-4)
        assert main(["classify", str(tmp_path / "x.mid"), "--model", str(path)]) == 0
        assert ("x.mid  unknown: a 45.0 %" in capsys.readouterr().out) == (said == "unknown")


def test_the_bundled_one_tells_an_invention_from_a_nocturne(capsys):
    files = [str(EXAMPLES / f"{name}.mid") for name in ("invention", "nocturne")]
    assert main(["classify", *files, "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["label"] for row in rows] == ["baroque", "romantic"]
    assert main(["info", "bundled-classifier", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["task"] == "period" and facts["licence"] == "CC-BY-NC-SA-4.0"
    assert Path(facts["file"]) == locate("bundled-classifier")
