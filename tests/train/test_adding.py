"""What docs/training.md says of adding a kind of training is a program that runs."""

import dataclasses
import re
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest

from partimento.corpus.store.build import build
from partimento.corpus.store.plans import plan_folder
from partimento.embed.labeller import Labeller
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.model.checkpoint import load, save
from partimento.model.config import ModelConfig
from partimento.model.heads import Classifier
from partimento.model.initialisation import musical_initialisation
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary
from tests.train.small import newest, records

V = Vocabulary.piano()
DOCUMENT = Path(__file__).parents[2] / "docs" / "training.md"


def rising(seed: int) -> Performance:
    """A scale with wrong notes: whoever knows the direction of its steps knows whether it was turned round."""
    rng = np.random.default_rng(seed)
    return Performance.from_notes(
        pitch=rng.integers(30, 50) + np.arange(16) * 2 + rng.integers(0, 2, 16),
        velocity=80,
        onset=np.arange(16) * 0.25,
        duration=0.2,
    )


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A folder with a store and a small language model, in which the page's lines are typed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "midi").mkdir()
    labels = {f"{seed}.mid": {"split": "validation" if seed % 4 == 0 else "train"} for seed in range(16)}
    for seed, name in enumerate(labels):
        rising(seed).write_midi(tmp_path / "midi" / name)
    plan, _ = plan_folder(tmp_path / "midi", labels)
    build(plan, tmp_path / "store")
    model = Transformer(ModelConfig(vocab_size=len(V), d_model=32, n_heads=2, n_layers=2, d_ff=64, context=64))
    musical_initialisation(model, V, seed=1)
    save(tmp_path / "base.safetensors", model, V)
    return tmp_path


def test_the_page_adds_a_kind_of_training_that_learns_and_resumes_to_the_same_bits(place):
    section = DOCUMENT.read_text().partition("## Add a kind of training")[2].partition("\n## ")[0]
    typed = "\n".join(re.findall(r"^```python\n(.*?)^```", section, re.DOTALL | re.MULTILINE))
    # The page names a model that would take minutes.
    smaller = typed.replace("bundled-pretrained", "base.safetensors").replace("length=256", "length=64")
    (place / "page.py").write_text(smaller)
    page = runpy.run_path("page.py")
    first, *_, last = (line["validation"] for line in records(place / "runs/direction") if "validation" in line)
    assert last["error"] < 0.1 < first["error"]
    trained = load(place / "runs/direction", Classifier)
    assert trained.metadata["classes"] == ["forwards", "backwards"] and trained.metadata["data"]["files"] == 16
    heard = Labeller.load(place / "runs/direction").probabilities([rising(99)])
    assert heard[0, 0] > 0.5

    whole, resumed = place / "runs/direction", place / "runs/resumed"
    shutil.copytree(whole, resumed)
    shutil.rmtree(newest(resumed))
    page["learn_direction"](page["recipe"], "store", resumed)
    assert records(resumed) == records(whole)
    assert (resumed / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    other = dataclasses.replace(page["recipe"], notes=8)
    with pytest.raises(UserError, match=r"another recipe \(notes differ"):
        page["learn_direction"](other, "store", whole)
