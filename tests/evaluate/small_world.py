"""A task of loud and soft noise in the published layout, and a model too small to be slow."""

import json
from pathlib import Path

import numpy as np

from partimento.midi.performance import Performance
from partimento.model.checkpoint import save
from partimento.model.config import ModelConfig
from partimento.model.initialisation import random_initialisation
from partimento.model.transformer import Transformer
from partimento.tokens.vocabulary import Vocabulary

CLASSES = ("loud", "soft")


def playing(seed: int, label: str, notes: int = 120) -> Performance:
    rng = np.random.default_rng(seed)
    return Performance.from_notes(
        pitch=rng.integers(40, 90, notes),
        velocity=rng.integers(90, 120, notes) if label == "loud" else rng.integers(20, 50, notes),
        onset=np.sort(rng.uniform(0, notes / 5, notes)),
        duration=rng.uniform(0.1, 1, notes),
    )


def task_of(folder: Path) -> Path:
    """48 files in three splits and their metadata.json."""
    folder.mkdir(parents=True)
    splits: dict[str, dict[str, str]] = {"train": {}, "validation": {}, "test": {}}
    for i in range(64):
        label = CLASSES[i % 2]
        name = f"{i:02}.mid"
        playing(i, label).write_midi(folder / name)
        splits["train" if i < 32 else "validation" if i < 44 else "test"][name] = label
    (folder / "metadata.json").write_text(json.dumps({"touch": splits}))
    return folder / "metadata.json"


def base_model(path: Path) -> Path:
    config = ModelConfig(vocab_size=len(Vocabulary.piano()), d_model=32, n_heads=2, n_layers=2, d_ff=64, context=512)
    model = Transformer(config)
    random_initialisation(model, seed=3)
    save(path, model, Vocabulary.piano())
    return path
