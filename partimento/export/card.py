"""The page that a model shows on the hub.

Knows: what can be read off the model, and where each format is understood. Refuses to know how good a model is and what
it was trained on; whoever publishes it adds that.

    (folder / "README.md").write_text(model_card(checkpoint, "stablelm", licence="apache-2.0"))
"""

from __future__ import annotations

import json
from typing import Any

from partimento.model.checkpoint import AnyModel, Checkpoint
from partimento.model.heads import Embedder

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
        lines += ["", "## How it was made", "", "```json", _readable(checkpoint.metadata), "```"]
    return "\n".join(lines) + "\n"


def _readable(metadata: dict[str, Any]) -> str:
    return json.dumps(metadata, indent=1, ensure_ascii=False)
