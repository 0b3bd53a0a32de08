"""How far do pianists move away from their own first 15 s? What a continuation may do without being unlike one.

    python -m benchmarks.generate.pianists FOLDER LABELS [--files 500] [-o benchmarks/generate/pianists.md]

Of each file (split train, one of each piece, the collections by turns) the nine windows of 5 s behind the first 15 s
are compared with those; pulse and repetition are of the 12 s that end with the window, compared with the prompt's last
12 s. A move is what `partimento evaluate continuation` compares: a difference, of logarithms for notes/s, duration,
polyphony and the most notes in 50 ms; of pitch classes and key the agreement with the prompt itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import Program, publish, table
from partimento.corpus.survey.labels import Labels
from partimento.evaluate.continuation.prompts import Prompt, Span, choose
from partimento.evaluate.continuation.scores import DESCRIPTORS, Descriptor
from partimento.midi.descriptors import Stretch

STEP, LONG = 5.0, 12.0
LONGER = ("pulse", "repetition")
SPAN = Span()
ENDS = np.arange(SPAN.prompt + STEP, SPAN.end + STEP / 2, STEP)
EDGES = (5, 25, 50, 75, 95)
APART = (1, 2, 3, 4, 6, 8)


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the table."""
    parser = Program(__file__, __doc__, quick="{midi} {labels} --files 3")
    parser.add_argument("folder", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--split", default="train")
    parser.add_argument("--files", type=int, default=500)
    arguments = parser.parse_args(words)
    labels = Labels.load(csv=arguments.labels)
    prompts = choose(arguments.folder, SPAN, labels=labels, split=arguments.split, files=arguments.files)
    moves = {one.name: moves_of(one, prompts) for one in DESCRIPTORS}
    collections = np.array([prompt.collection for prompt in prompts])
    names = sorted(set(collections.tolist()))
    counts = ", ".join(f"{(collections == name).sum()} of {name}" for name in names)
    tables = [
        ("all windows", ["mean", "sd", *(f"{edge} %" for edge in EDGES), "sd within a file", "sd of a step"],
         lambda each: [*spread(each), *np.nanpercentile(each, EDGES), *inner(each)]),
        ("mean (sd) by seconds since the prompt", [f"{end - SPAN.prompt:g}" for end in ENDS],
         lambda each: [spread(column) for column in each.T]),
        ("correlation of windows so many seconds apart", [f"{STEP * apart:g}" for apart in APART],
         lambda each: [alike(each[:, :-apart], each[:, apart:]) for apart in APART]),
        ("mean (sd) by collection", names, lambda each: [spread(each[collections == one]) for one in names]),
        ("correlation of moves in a window", list(moves),
         lambda each: [alike(each, other) for other in moves.values()]),
    ]  # fmt: skip
    publish(
        arguments,
        "How pianists move away from their first 15 s",
        f"{len(prompts)} performances of split {arguments.split} ({counts}). Nine windows of 5 s in each, for pulse "
        "and repetition of 12 s. `benchmarks/generate/pianists.py` says what a move is.",
        *(
            table([title, *head], ((name, *map(shown, cells(each))) for name, each in moves.items()))
            for title, head, cells in tables
        ),
    )


def moves_of(descriptor: Descriptor, prompts: list[Prompt]) -> np.ndarray:
    """Moves of the windows [n, W] of a descriptor."""
    length = LONG if descriptor.name in LONGER else STEP
    before = [SPAN.prompt - LONG if descriptor.name in LONGER else 0.0, SPAN.prompt]
    values, own = [], []
    for prompt in prompts:
        given = Stretch.of(prompt.music, *before)
        own.append(descriptor.value(given, given))
        values.append([descriptor.value(Stretch.of(prompt.music, end - length, end), given) for end in ENDS])
    values_nW, own_n1 = np.array(values, np.float64), np.array(own, np.float64)[:, None]
    return values_nW if descriptor.agreement else descriptor.scaled(values_nW) - descriptor.scaled(own_n1)


def spread(values: np.ndarray) -> tuple[float, float]:
    return float(np.nanmean(values)), float(np.nanstd(values))


def inner(values: np.ndarray) -> tuple[float, float]:
    """Standard deviation within a file, on average, and of the step from a window to the next."""
    return float(np.nanmean(np.nanstd(values, axis=1))), float(np.nanstd(np.diff(values, axis=1)))


def alike(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of two arrays of one shape, where both are known."""
    known = np.isfinite(a) & np.isfinite(b)
    return float(np.corrcoef(a[known], b[known])[0, 1])


def shown(value: float | tuple[float, float]) -> str:
    return f"{value[0]:.2f} ({value[1]:.2f})" if isinstance(value, tuple) else f"{value:.2f}"


if __name__ == "__main__":
    main()
