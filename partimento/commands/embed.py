"""`partimento embed SOURCE -o embeddings.parquet`: a vector for every MIDI file."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.flags import parse
from partimento.commands.precision import told_dtype
from partimento.commands.progress import counted
from partimento.embed.slicing import SUITING, Slicing
from partimento.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Turn every MIDI file into a vector, the mean over its slices, and write them as one Parquet table.

    Interrupt it at any time: the same command goes on where it was, and later embeds only what is new.
    """

    source: Annotated[str, tyro.conf.Positional]
    """Folder, one MIDI file, .zip or .tar archive (read in place), or URL of an object store (s3://bucket/folder)."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("embeddings.parquet")
    """The table: path, sha256, notes, slices, embedding; for a file that cannot be embedded the reason."""
    model: str = "bundled-embedding"
    """An embedding model: the bundled one, a file, a run's folder, or one of the hub (loubb/aria-medium-embedding)."""
    pooled: bool = False
    """Take the mean of the hidden states instead, which any language model has: a comparison."""
    half: bool = False
    """Compute in bfloat16 where the device multiplies it itself, else in float32: faster, and vectors differ by about a
    hundredth of their length."""
    slicing: Slicing = SUITING
    """Which notes of a file are read."""
    batch_size: int | None = None
    """Slices that go through the model together; default: 4 on a processor, whose cache holds no more, 64 on a GPU."""
    device: str | None = None
    """Where to compute (cpu, cuda, cuda:1); default: the GPU if there is one."""

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise UserError(f"--batch-size is {self.batch_size}; give at least 1")


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="embed")
    import torch

    from partimento.corpus.sources import open_source
    from partimento.embed.encoder import Encoder
    from partimento.embed.table import embed, made_by
    from partimento.model.hub import locate

    source = open_source(options.source)
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    path = locate(options.model)
    dtype = told_dtype(device, half=options.half)
    encoder = Encoder.load(path, pooled=options.pooled, slicing=options.slicing, device=device, dtype=dtype)
    entries, model = source.entries(), made_by(encoder, path)
    with counted("embedding", total=len(entries)) as advance:
        summary = embed(
            source, entries, encoder, options.out, model=model, batch_size=options.batch_size, progress=advance
        )
    for reason, files in summary.refused.most_common():
        print(f"passed over, {reason}: {files:,} files (column detail says why)", file=sys.stderr)
    print(f"embedded: {summary.embedded:,} files, {encoder.size} numbers each; looked at now: {summary.new:,} files")
    print(f"table in {options.out}")
    print(f"next: partimento probe {options.out} --help, or read it with pandas or DuckDB (docs/embeddings.md)")
    return 0
