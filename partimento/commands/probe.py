"""`partimento probe --task composer --data DIR --encoder MODEL`: how much a linear classifier reads from vectors."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro

from partimento.commands.common.flags import parse
from partimento.commands.common.options import Data, Pooled, Task, warn
from partimento.commands.common.precision import EncoderOptions
from partimento.errors import UserError

STATISTICS = "statistics"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(EncoderOptions):
    """Probe frozen vectors: one linear layer, 3e-4 falling to 0, 10, 20 and 50 epochs, the best on validation."""

    task: Task
    data: Data
    encoder: Annotated[str, tyro.conf.arg(aliases=["-e"])]
    """A model with an embedding head; any model with --pooled or --untrained; m3:FOLDER, clamp3:FOLDER or
    mert:FOLDER with published weights of others; module:function of your own, which takes a list of paths and returns
    an array; or 'statistics' of the notes (with boosted trees instead of a probe)."""
    pooled: Pooled = False
    untrained: bool = False
    """Take random weights of the model's shape instead of its own."""
    cache: Path | None = None
    """Folder in which vectors are kept, so that they are made once; one for all encoders."""

    def __post_init__(self) -> None:
        if self.pooled and self.untrained:
            raise UserError("give --pooled or --untrained, not both")
        if (self.pooled or self.untrained) and not self.of_model:
            raise UserError(f"--pooled and --untrained are for models, not for the encoder {self.encoder!r}")

    @property
    def of_model(self) -> bool:
        """Whether the encoder is one of our models."""
        return self.encoder != STATISTICS and ":" not in self.encoder


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit status."""
    options = parse(Options, argv, verb="probe")
    from partimento.evaluate.encoders import VectorKind
    from partimento.evaluate.outcomes import evaluate_probe
    from partimento.evaluate.tasks import find

    task = find(options.task, options.data)
    kind: VectorKind = "pooled" if options.pooled else "untrained" if options.untrained else "head"
    if task.missing:
        warn(f"{len(task.missing)} of {len(task.examples)} files are not in {options.data}")
    with options.counted("encoding", total=len(task.found)) as advance:
        outcome = evaluate_probe(
            task, options.encoder, kind=kind, settings=options.settings(), vectors=options.cache, progress=advance
        )
    score = outcome.score()
    about = {"task": task.name, "encoder": options.encoder, "missing": len(task.missing)}
    low, high = score.accuracy_interval
    f1_low, f1_high = score.macro_f1_interval
    options.report(
        about | outcome.about | asdict(score),
        f"{task.name}: {score.examples} test files; accuracy {100 * score.accuracy:.1f} % "
        f"({100 * low:.1f} to {100 * high:.1f}), macro-F1 {100 * score.macro_f1:.1f} % "
        f"({100 * f1_low:.1f} to {100 * f1_high:.1f})",
    )
    return 0
