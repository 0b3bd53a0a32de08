"""`partimento info MODEL`: what a checkpoint is, or what is in a library.

Knows how to lay out facts. Refuses to know how they are found (`partimento.model.checkpoint`).
"""

from __future__ import annotations

import json as json_library
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from partimento.commands.flags import parse
from partimento.commands.options import VerbOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Tell what a model is: what it does, its shape, its vocabulary, how it was made; or what is in a library."""

    model: tyro.conf.Positional[str] = "bundled"
    """Name of a bundled model, a .safetensors file, a folder, or a model of the hub such as loubb/aria-medium-base; or
    a library's folder."""


def main(argv: list[str]) -> None:
    """Run the verb with the arguments after its name."""
    options = parse(Options, argv, verb="info")
    if (Path(options.model) / "library.json").is_file():
        from partimento.commands.library_contents import show

        show(["--library", options.model, *(["--json"] if options.json else [])])
        return
    facts = describe(options.model)
    if options.json:
        options.report(facts)
        return
    shape, vocabulary = facts["shape"], facts["vocabulary"]
    lines = {
        "file": f"{facts['file']}, {facts['bytes'] / 1e6:,.1f} MB, {facts['bits']} bits a parameter",
        "kind": facts["kind"] + (f", {facts['outputs']} outputs" if facts["outputs"] else ""),
        "parameters": f"{facts['parameters']:,} in {facts['tensors']} tensors of {facts['dtype']}",
        "shape": f"{shape['n_layers']} layers, {shape['n_heads']} heads, width {shape['d_model']}, "
        f"feed-forward {shape['d_ff']}",
        "context": f"{shape['context']:,} tokens",
        "vocabulary": f"{vocabulary['ids']:,} tokens: {', '.join(vocabulary['instruments'])}",
        "licence": facts["licence"] or "not stated in the file",
        **{name: _short(value) for name, value in facts["metadata"].items()},
    }
    width = max(map(len, lines))
    for name, value in lines.items():
        print(f"{name:<{width}}  {value}")


def describe(name: str) -> dict[str, Any]:
    """The facts about a model as JSON values; `metadata` is what was written into the file when it was made."""
    import dataclasses

    from partimento.midi.instruments import INSTRUMENTS
    from partimento.model.checkpoint import load_any
    from partimento.model.heads import Classifier, Embedder
    from partimento.model.hub import licence_of

    checkpoint = load_any(name, dtype=None)
    model = checkpoint.model
    tensors = model.state_dict()
    parameters, size = sum(tensor.numel() for tensor in tensors.values()), checkpoint.path.stat().st_size
    head = {Embedder: "emb_head.weight", Classifier: "class_head.weight"}.get(type(model))
    return {
        "model": name,
        "file": str(checkpoint.path),
        "bytes": size,
        "bits": round(8 * size / parameters, 1),
        "kind": checkpoint.kind,
        "outputs": len(tensors[head]) if head else None,
        "parameters": parameters,
        "tensors": len(tensors),
        "dtype": str(checkpoint.dtype).removeprefix("torch."),
        "shape": dataclasses.asdict(checkpoint.config),
        "vocabulary": {
            "ids": len(checkpoint.vocabulary),
            "instruments": [INSTRUMENTS[number] for number in checkpoint.vocabulary.instruments],
        },
        "licence": checkpoint.metadata.get("licence") or licence_of(name),
        "metadata": checkpoint.metadata,
    }


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json_library.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:97] + "..."
