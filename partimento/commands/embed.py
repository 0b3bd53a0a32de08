"""`partimento embed SOURCE -o embeddings.parquet`: a vector for every MIDI file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import Device, Force, Half, Model, Pooled, VerbOptions, warn
from partimento.commands.common.outputs import file_to_write
from partimento.commands.common.precision import best_device, told_dtype
from partimento.embed.slicing import SUITING, Slicing
from partimento.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(VerbOptions):
    """Turn every MIDI file into a vector, the mean over its slices, and write them as one Parquet table.

    Interrupt it at any time: the same command goes on where it was, and later embeds only what is new.
    """

    source: Annotated[str, tyro.conf.Positional]
    """Folder, one MIDI file, .zip or .tar archive (read in place), or URL of an object store (s3://bucket/folder)."""
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = Path("embeddings.parquet")
    """The table: path, sha256, notes, slices, embedding; for a file that cannot be embedded the reason."""
    model: Model = "bundled-embedding"
    pooled: Pooled = False
    half: Half = False
    slicing: Slicing = SUITING
    """Which notes of a file are read."""
    batch_size: int | None = None
    """Slices that go through the model together; default: of 1,024 tokens on a processor, 64 on a GPU."""
    device: Device = None
    force: Force = False

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_size < 1:
            raise UserError(f"--batch-size is {self.batch_size}; give at least 1")


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="embed")
    file_to_write(options.out, ".parquet", force=None)
    from partimento.corpus.sources import open_source
    from partimento.embed.encoder import Encoder
    from partimento.embed.table import embed, made_by
    from partimento.model.hub import locate

    source = open_source(options.source)
    device = best_device(options.device)
    path = locate(options.model)
    dtype = told_dtype(device, half=options.half, say=options.remark)
    encoder = Encoder.load(path, pooled=options.pooled, slicing=options.slicing, device=device, dtype=dtype)
    entries, model = source.entries(), made_by(encoder, path)
    with options.counted("embedding", total=len(entries)) as advance:
        summary = embed(
            source,
            entries,
            encoder,
            options.out,
            model=model,
            batch_size=options.batch_size,
            replace=options.force,
            progress=advance,
        )
    for reason, files in summary.refused.most_common():
        warn(f"passed over, {reason}: {files:,} files (column detail says why)")
    options.report(
        {"table": options.out, "numbers": encoder.size} | dataclasses.asdict(summary),
        f"embedded: {summary.embedded:,} files, {encoder.size} numbers each; looked at now: {summary.new:,} files",
        f"table in {options.out}",
        "next: read it with pandas or DuckDB (docs/embeddings.md)",
    )
    return 0
