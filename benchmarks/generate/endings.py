r"""Whether `--end` ends by itself, near the length asked for, and as pieces end.

    python -m benchmarks.generate.endings FOLDER LABELS [--model bundled] [--files 40] [--seconds 45] [-o FILE]

Prompts are those of `coherence.py` (the second half by content); each is continued with an ending asked for after
`--seconds`, as the model's file says, seed 0. The last chord is what begins within 50 ms of the last onset, its length
the longest sounding of its notes; the last density counts the notes that begin in the three seconds up to the last
onset. Real endings are those of the same files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import Program, percent, publish, table
from partimento import Engine, Performance, Settings
from partimento.corpus.survey.labels import Labels
from partimento.evaluate.continuation.prompts import Span, choose

CHORD_S = 0.05
LAST_S = 3.0


def main(words: Sequence[str] | None = None) -> None:
    """Continue every prompt to its end, write the table."""
    parser = Program(__file__, __doc__, quick="{midi} {labels} --files 2 --seconds 5 --split train")
    parser.add_argument("folder", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--split", default="validation")
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=45.0)
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    span = Span()
    labels = Labels.load(csv=arguments.labels)
    prompts = choose(arguments.folder, span, labels=labels, split=arguments.split, half="second", files=arguments.files)
    engine = Engine.load(arguments.model, engine="onnx-int8")
    settings = Settings(seconds=arguments.seconds, end=True)
    ended, lengths, made, real = [], [], [], []
    for prompt in prompts:
        real.append(ending(Performance.from_midi(prompt.path)))
        (continuation,) = engine.continue_(prompt.given, settings=settings, from_seconds=span.prompt)
        ended.append(bool(continuation.ended))
        lengths.append((float(continuation.performance.onset_seconds[-1]) - span.prompt) / arguments.seconds)
        made.append(ending(continuation.performance))
        print(f"{prompt.path.name}: ended {ended[-1]}, {lengths[-1]:.2f} of the length, {made[-1]}", flush=True)
    publish(
        arguments,
        "Endings",
        f"{len(ended)} held-out prompts of 15 s, an ending asked for after {arguments.seconds:g} s. {arguments.model}, "
        "as its file says, seed 0.",
        *report(np.array(ended), np.array(lengths), np.array(made), np.array(real)),
    )


def ending(performance: Performance) -> tuple[float, float]:
    """Seconds that the last chord sounds, and notes per second of the last three seconds."""
    onset = performance.onset_seconds
    last = performance.sounding_duration()[onset > onset[-1] - CHORD_S] / 1e9
    return float(last.max()), float((onset > onset[-1] - LAST_S).sum()) / LAST_S


def report(ended: np.ndarray, lengths: np.ndarray, made: np.ndarray, real: np.ndarray) -> list[str]:
    """How many ended, and the table of how."""
    if not ended.any():
        return [f"None of {len(ended)} ended by itself."]
    near = ended & (np.abs(lengths - 1) <= 0.2)
    rows = []
    for column, name in enumerate(("last chord, s", "notes/s of the last 3 s")):
        low, middle, high = np.percentile(real[:, column], [25, 50, 75])
        ours = np.percentile(made[ended, column], [25, 50, 75])
        inside = np.mean((made[ended, column] >= low) & (made[ended, column] <= high))
        rows.append(
            (
                name,
                f"{middle:.1f} ({low:.1f} to {high:.1f})",
                f"{ours[1]:.1f} ({ours[0]:.1f} to {ours[2]:.1f})",
                percent(float(inside)),
            )
        )
    return [
        f"By themselves, within 20 % of the length: {near.sum()} of {len(ended)}; the others were stopped there, and "
        f"said so. Last onset of those that ended: {np.median(lengths[ended]):.2f} of the length asked for (median), "
        f"{lengths[ended].min():.2f} to {lengths[ended].max():.2f}.",
        table(["median (quartiles)", "real endings", "made", "of the made within the real quartiles"], rows),
        "Of real endings half lie within their quartiles, by definition.",
    ]


if __name__ == "__main__":
    main()
