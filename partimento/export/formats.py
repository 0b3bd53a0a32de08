"""The formats of an export by name, each with the files that all of them share: vocabulary and model card.

Knows which writer stands for which name, and the card: what can be read off a model, and where each format is
understood. Refuses to know what a writer does, how good a model is and what it was trained on.

    write(folder, "bundled", "stablelm", name="someone/little-pianist", licence=None)
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from partimento.export.onnx_folder import write_onnx
from partimento.export.stablelm import write_stablelm
from partimento.model.checkpoint import AnyModel, Checkpoint, load, load_any, save
from partimento.model.heads import Embedder
from partimento.model.hub import MODEL_FILE
from partimento.tokens.tokenizer import Tokenizer

CARD_FILE = "README.md"
_USES = {
    "partimento": """```python
from partimento.model.checkpoint import load_any

checkpoint = load_any("{name}")  # .model, .vocabulary, .metadata
```""",
    "stablelm": """```python
from transformers import AutoModelForCausalLM

model = AutoModelForCausalLM.from_pretrained("{name}")
```

`vocabulary.json` says what each token means; partimento's tokeniser turns MIDI into tokens and back.""",
    "onnx": """`model.onnx` takes tokens and a shared buffer of keys and values and gives logits; it needs ONNX Runtime
(operators `GroupQueryAttention` and `MatMulNBits` of the domain `com.microsoft`).
`vocabulary.json` says what each token means.""",
}


def write(folder: Path, model: str, format_: str, *, name: str, licence: str | None) -> None:
    """Writes a model into a folder that exists. `name` and `licence` go into the card; a model may state the latter."""
    ours = format_.startswith("partimento")
    checkpoint: Checkpoint[Any] = load_any(model, dtype=None) if ours else load(model, dtype=None)
    if ours:
        dtype = torch.int8 if format_ == "partimento-int8" else checkpoint.dtype
        save(folder / MODEL_FILE, checkpoint.model, checkpoint.vocabulary, dtype=dtype, **checkpoint.metadata)
    elif format_ == "stablelm":
        write_stablelm(folder, checkpoint)
    else:
        write_onnx(folder, checkpoint, format_)
    Tokenizer(checkpoint.vocabulary).save(folder)
    licence = licence or checkpoint.metadata.get("licence")
    (folder / CARD_FILE).write_text(model_card(checkpoint, format_, name=name, licence=licence), encoding="utf-8")


def model_card(checkpoint: Checkpoint[AnyModel], format_: str, *, name: str, licence: str | None) -> str:
    """Markdown with the header the hub reads; `name` is that of the repository or folder."""
    config = checkpoint.config
    parameters = sum(parameter.numel() for parameter in checkpoint.model.parameters())
    pipeline = "feature-extraction" if isinstance(checkpoint.model, Embedder) else "text-generation"
    header = {
        **({"license": licence.lower().replace(" ", "-")} if licence else {}),
        "library_name": "transformers" if format_ == "stablelm" else "partimento",
        "pipeline_tag": pipeline,
        "tags": ["music", "midi", "piano", "symbolic-music"],
    }
    facts = {
        "kind": checkpoint.kind,
        "format": format_,
        "parameters": f"{parameters:,}",
        "layers, heads, width": f"{config.n_layers}, {config.n_heads}, {config.d_model}",
        "context": f"{config.context:,} tokens",
        "vocabulary": f"{config.vocab_size:,} tokens",
        "licence": licence or "not stated: ask whoever trained it",
    }
    lines = ["---", *(f"{key}: {json.dumps(value)}" for key, value in header.items()), "---", "", f"# {name}", ""]
    lines += ["A model of piano performances in MIDI.", "", "| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in facts.items()]
    lines += ["", "## Use", "", _USES[format_.partition("-")[0]].replace("{name}", name)]
    if checkpoint.metadata:
        made = json.dumps(checkpoint.metadata, indent=1, ensure_ascii=False)
        lines += ["", "## How it was made", "", "```json", made, "```"]
    return "\n".join(lines) + "\n"
