"""`partimento export MODEL --format FORMAT -o DIR`: a model for other engines, and onto the hub.

Knows the formats by name and the files that every export has. Refuses to know how a format is written
(`partimento.export`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import Force, VerbOptions
from partimento.commands.common.outputs import folder_to_write
from partimento.files import new_folder

Format = Literal["partimento", "partimento-int8", "stablelm", "onnx", "onnx-int8", "onnx-int4"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Write a model in a format that other engines read."""

    model: tyro.conf.Positional[str]
    """Name of a bundled model, a .safetensors file, a folder, or a model of the hub such as loubb/aria-medium-base."""
    format: Format
    """partimento (safetensors and card; -int8: with weights of 8 bits), stablelm (transformers, vLLM, MLX, llama.cpp),
    or onnx of 32, 8 or 4 bits."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    """Folder to write."""
    force: Force = False
    licence: str | None = None
    """Licence to state in the model card, such as apache-2.0 (default: what the model states itself)."""
    push: str | None = None
    """Also upload the folder to this repository of the hub, as owner/name (log in first: hf auth login)."""
    private: bool = False
    """Make the repository private if it is made."""


def main(argv: list[str]) -> None:
    """Run the verb with the arguments after its name."""
    options = parse(Options, argv, verb="export")
    folder_to_write(options.out, force=options.force)
    from partimento.export.formats import write
    from partimento.model.hub import licence_of, push_to_hub

    licence = options.licence or licence_of(options.model)
    with new_folder(options.out, replace=options.force) as folder:
        write(folder, options.model, options.format, name=options.push or options.out.name, licence=licence)
    size = sum(path.stat().st_size for path in options.out.iterdir())
    lines = [f"{options.out}: {options.format}, {size / 1e6:,.1f} MB"]
    pushed = None
    if options.push is not None:
        pushed = push_to_hub(options.out, options.push, private=options.private)
        lines.append(pushed)
    options.report({"folder": options.out, "format": options.format, "bytes": size, "pushed": pushed}, *lines)
