"""Loss curves out of the logs of runs.

Knows: what a log's lines say, and how to draw several runs beside each other. Refuses to know: training.

    draw([Path("runs/one"), Path("runs/two")], Path("curves.png"))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from partimento.errors import UserError
from partimento.files import replacing
from partimento.train.log import read_log

_SMOOTHED_OVER = 100  # of the points of a curve, one hundredth: the noise of single batches hides the slope


def draw(runs: Sequence[Path], out: Path) -> None:
    """A PNG: training loss (smoothed) and validation loss over the tokens seen, a colour for each run.

    Raises `UserError` for a folder without a log, or a log without steps.
    """
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 5), layout="constrained")
    for number, run in enumerate(runs):
        records = read_log(run)
        seen, loss = training_curve(run, records)
        colour = f"C{number}"
        axes.plot(seen, loss, color=colour, alpha=0.5, linewidth=1)
        measured_at, measured = validation_curve(records)
        axes.plot(measured_at, measured, color=colour, marker="o", markersize=3, label=run.name)
    axes.set(xlabel="tokens seen", ylabel="nats per token (thin: training, dots: validation)")
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    axes.legend()
    try:
        with replacing(out) as part:
            figure.savefig(part, format="png", dpi=150)
    finally:
        plt.close(figure)


def training_curve(run: Path, records: Sequence[dict[str, Any]]) -> tuple[NDArray, NDArray]:
    """Targets seen and the mean loss of neighbouring steps, weighted by their targets."""
    steps = [record for record in records if "loss" in record]
    if not steps:
        raise UserError(f"{run}: no step in its log yet; wait for the first one")
    targets, loss = (np.array([step[name] for step in steps], dtype=float) for name in ("targets", "loss"))
    width = max(1, len(steps) // _SMOOTHED_OVER)
    window = np.ones(width)
    weighted = np.convolve(loss * targets, window, mode="valid") / np.convolve(targets, window, mode="valid")
    return np.cumsum(targets)[width - 1 :], weighted


def validation_curve(records: Sequence[dict[str, Any]]) -> tuple[list[float], list[float]]:
    """Targets seen and nats per token at each measurement."""
    seen, found = 0.0, []
    for record in records:
        seen += record.get("targets", 0)
        if "nats_per_token" in record.get("validation", {}):
            found.append((seen, record["validation"]["nats_per_token"]))
    return [at for at, _ in found], [nats for _, nats in found]
