"""The formats of an export by name, each with the files that all of them share: vocabulary and model card.

Knows which writer stands for which name. Refuses to know what a writer does.

    write(folder, "bundled", "stablelm", name="someone/little-pianist", licence=None)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from partimento.export.card import model_card
from partimento.export.onnx_folder import VOCABULARY_FILE, write_onnx
from partimento.export.stablelm import write_stablelm
from partimento.model.checkpoint import Checkpoint, load, load_any, save
from partimento.model.hub import MODEL_FILE

CARD_FILE = "README.md"


def write(folder: Path, model: str, format_: str, *, name: str, licence: str | None) -> None:
    """Writes a model into a folder that exists. `name` and `licence` go into the card; a model may state the latter."""
    checkpoint: Checkpoint[Any]
    if format_.startswith("partimento"):
        checkpoint = load_any(model, dtype=None)
        dtype = torch.int8 if format_ == "partimento-int8" else checkpoint.dtype
        save(folder / MODEL_FILE, checkpoint.model, checkpoint.vocabulary, dtype=dtype, **checkpoint.metadata)
    elif format_ == "stablelm":
        language_model = load(model, dtype=None)
        write_stablelm(folder, language_model)
        checkpoint = language_model
    else:
        language_model = load(model, dtype=None)
        write_onnx(folder, language_model, format_)
        checkpoint = language_model
    (folder / VOCABULARY_FILE).write_text(checkpoint.vocabulary.to_json() + "\n", encoding="utf-8")
    licence = licence or checkpoint.metadata.get("licence")
    (folder / CARD_FILE).write_text(model_card(checkpoint, format_, name=name, licence=licence), encoding="utf-8")
