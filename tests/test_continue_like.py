"""`partimento continue --like`: a reference goes in, its vector guides, and what is missing is named in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from partimento.cli import main
from partimento.corpus.store.note_store import digest
from partimento.embed.encoder import Encoder
from partimento.generate.engine import Engine
from partimento.generate.settings import Guidance, Settings
from partimento.midi.performance import Performance
from partimento.model.checkpoint import save
from partimento.model.config import ModelConfig
from partimento.model.heads import ConditionedTransformer, Embedder
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary

torch.set_num_threads(1)

V = Vocabulary.piano()
CONFIG = ModelConfig.named("debug", vocab_size=len(V), context=512)


def playing(path: Path, low: int) -> str:
    onsets = [0.25 * i for i in range(40)]
    pitch = [low + 7 * i % 30 for i in range(40)]
    Performance.from_notes(pitch=pitch, velocity=70, onset=onsets, duration=0.2).write_midi(path)
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """Models with random weights, and what they are asked to go by."""
    torch.manual_seed(0)
    conditioned = ConditionedTransformer(CONFIG, size=8)
    torch.nn.init.normal_(conditioned.embedding_adapter.weight, std=3.0)
    embedder = tmp_path / "embedder.safetensors"
    save(embedder, Embedder(CONFIG, size=8), V)
    save(tmp_path / "other.safetensors", Embedder(CONFIG, size=8), V)
    save(tmp_path / "larger.safetensors", Embedder(CONFIG, size=9), V)
    save(tmp_path / "plain.safetensors", Transformer(CONFIG), V)
    save(tmp_path / "nameless.safetensors", conditioned, V)
    named = {"model": str(embedder), "sha256": digest(embedder)}
    save(tmp_path / "named.safetensors", conditioned, V, embedder=named)
    save(tmp_path / "astray.safetensors", conditioned, V, embedder={"model": "nowhere/to/be", "sha256": "0"})
    return {
        "prompt": playing(tmp_path / "prompt.mid", 50),
        "reference": playing(tmp_path / "reference.mid", 30),
        **{path.stem: str(path) for path in tmp_path.glob("*.safetensors")},
    }


def run(files: dict[str, str], tmp_path: Path, *arguments: str) -> tuple[int, Path]:
    out = tmp_path / "out"
    return main(["continue", files["prompt"], "--notes", "80", "--candidates", "1", "-o", str(out), *arguments]), out


def test_the_reference_guides_as_its_vector_would(files, tmp_path):
    asked = ["--model", files["named"], "--like", files["reference"], "--guidance", "2", "--seed", "3"]
    status, out = run(files, tmp_path, *asked)
    assert status == 0
    record = json.loads((out / "prompt-1.json").read_text(encoding="utf-8"))
    assert record["like"] == {"reference": "reference.mid", "weight": 2.0, "ramp": 250}
    (vector,) = Encoder.load(files["embedder"]).encode([files["reference"]])
    assert vector.shape == (8,) and np.abs(vector).max() > 0
    prompt = Performance.from_midi(files["prompt"]).slice_time(0, 15)
    guided = Engine.load(files["named"]).like(vector, Guidance(weight=2.0))
    (expected,) = guided.continue_(
        prompt, settings=Settings(notes=80, seed=3, candidates=1), from_seconds=prompt.seconds
    )
    assert record["tokens"] == list(expected.tokens)
    given = ["--model", files["nameless"], "--like-model", files["embedder"], *asked[2:]]
    assert run(files, tmp_path, *given, "--force")[0] == 0
    assert json.loads((out / "prompt-1.json").read_text(encoding="utf-8"))["tokens"] == list(expected.tokens)
    assert run(files, tmp_path, "--model", files["named"], "--seed", "3", "--force")[0] == 0
    assert json.loads((out / "prompt-1.json").read_text(encoding="utf-8"))["tokens"] != list(expected.tokens)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "plain", "--like", "reference"], "take one that is, such as 'partimento finetune continuation"),
        (["--model", "nameless", "--like", "reference"], "its file names none: give it with --like-model"),
        (["--model", "astray", "--like", "reference"], "is not here; give it with --like-model"),
        (["--model", "named", "--like", "reference", "--like-model", "other"], "its vectors would mean nothing"),
        (["--model", "nameless", "--like", "reference", "--like-model", "larger"], "larger.safetensors makes 9"),
        (["--model", "nameless", "--like", "reference", "--like-model", "plain"], "has no embedding head"),
        (["--model", "nameless", "--like", "reference", "--like-model", "none"], "no model 'none'"),
        (["--model", "named", "--like", "nothing.mid"], "nothing.mid"),
        (["--model", "named", "--like", "reference", "--guidance", "12"], "guidance must lie in 0..10"),
        (["--model", "named", "--like", "reference", "--engine", "onnx"], "conditioned on embeddings"),
        (["--model", "named", "--guidance", "2"], "--guidance goes with a reference"),
        (["--model", "named", "--like-model", "embedder"], "--like-model goes with a reference"),
    ],
)
def test_what_is_missing_is_said_in_one_line(files, tmp_path, capsys, arguments, said) -> None:
    status, out = run(files, tmp_path, *(files.get(argument, argument) for argument in arguments))
    error = capsys.readouterr().err
    assert status == 2
    assert said in error and error.count("\n") == 1
    assert not out.exists()
