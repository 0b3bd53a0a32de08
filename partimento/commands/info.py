"""`partimento info WHAT`: what a model, a MIDI file, a store, a table or a library is.

Knows how to lay out facts. Refuses to know how they are found.
"""

from __future__ import annotations

import json as json_library
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import VerbOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Tell what a model is, how it was made, what it speaks; or what is in a MIDI file, a store, a table, a library."""

    model: tyro.conf.Positional[str] = "bundled"
    """Name of a bundled model, a .safetensors file, a folder, or a model of the hub such as loubb/aria-medium-base; or
    a MIDI file, a note store, a .parquet of 'partimento embed', or a library's folder."""


def main(argv: list[str]) -> None:
    """Run the verb with the arguments after its name."""
    options = parse(Options, argv, verb="info")
    if (Path(options.model) / "library.json").is_file():
        from partimento.commands.library.contents import show

        show(["--library", options.model, *(["--json"] if options.json else [])])
        return
    facts = described(options.model)
    if options.json:
        options.report(facts)
        return
    lines = _of_model(facts) if "shape" in facts else {name: _short(value) for name, value in facts.items()}
    width = max(map(len, lines))
    for name, value in lines.items():
        print(f"{name:<{width}}  {value}")


def described(name: str) -> dict[str, Any]:
    """The facts about a MIDI file, a note store, a table of embeddings, a linear head or a model, as JSON values."""
    from partimento.corpus.archives import is_midi

    if is_midi(name):
        return describe_midi(Path(name))
    from partimento.corpus.store.note_store import MANIFEST
    from partimento.embed.head import LinearHead
    from partimento.model.hub import locate

    if Path(name, MANIFEST).is_file():
        return describe_store(Path(name))
    if name.endswith(".parquet") and Path(name).is_file():
        return describe_table(Path(name))
    path = locate(name)
    return describe_head(path) if LinearHead.is_in(path) else describe(name)


def describe_midi(path: Path) -> dict[str, Any]:
    """What is in a MIDI file, in a few numbers: of all notes together, and of what was mended on reading it."""
    import numpy as np

    from partimento.midi.descriptors import Stretch
    from partimento.midi.instruments import INSTRUMENTS
    from partimento.midi.performance import Performance
    from partimento.tokens.display import pitch_name

    performance = Performance.from_midi(path)
    source, stretch = performance.source, Stretch.of(performance, 0, performance.seconds + 1e-9)
    facts: dict[str, Any] = {
        "file": str(path),
        "kind": f"MIDI file of type {source.smf_format}",
        "sha256": source.sha256,
        "tracks": source.tracks,
        "seconds": round(performance.seconds, 2),
        "notes": len(performance),
    }
    if len(performance):
        facts |= {
            "notes_per_second": round(stretch.density, 2),
            "pitches": f"{pitch_name(stretch.pitch.min())} to {pitch_name(stretch.pitch.max())}",
            "velocities": f"{stretch.velocity.min()} to {stretch.velocity.max()}, mean {stretch.mean_velocity:.0f}",
            "instruments": ", ".join(INSTRUMENTS[number] for number in np.unique(performance.instrument)),
        }
    return facts | {"pedal_intervals": len(performance.pedal_down), "repairs": [str(one) for one in source.repairs]}


def describe_store(path: Path) -> dict[str, Any]:
    """How much a note store holds, split by split."""
    from partimento.corpus.selection.splits import SPLITS
    from partimento.corpus.store.note_store import NoteStore

    store = NoteStore(path)
    notes = {split: store.counts[store.split_of == number] for number, split in enumerate(SPLITS)}
    size = sum(file.stat().st_size for file in path.iterdir())
    return {
        "store": str(path),
        "kind": "note store",
        "files": len(store),
        "notes": int(store.counts.sum()),
        "bytes": size,
        **{split: f"{len(counts):,} files, {counts.sum():,} notes" for split, counts in notes.items()},
        "pieces": len(set(store.pieces.tolist())),
        "labels": ", ".join(store.labels),
    }


def describe_table(path: Path) -> dict[str, Any]:
    """How many vectors a table of `partimento embed` holds, and what made them."""
    from partimento.embed.table import read_facts

    return {"table": str(path), "kind": "embeddings", **read_facts(path)}


def describe_head(path: Path) -> dict[str, Any]:
    """What a linear head tells, and on which model it stands."""
    from partimento.embed.head import LinearHead

    head = LinearHead.load(path)
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "kind": "linear head (a classifier)",
        "task": head.task,
        "classes": list(head.classes),
        "unknown": f"below {head.least:g}" if head.least else "never",
        "embedder": head.embedder,
        "licence": head.licence or "not stated in the file",
    }


def _of_model(facts: dict[str, Any]) -> dict[str, str]:
    shape, vocabulary = facts["shape"], facts["vocabulary"]
    return {
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
    if isinstance(value, int):
        return f"{value:,}"
    text = value if isinstance(value, str) else json_library.dumps(value, ensure_ascii=False)
    return text if len(text) <= 100 else text[:97] + "..."
