"""What arranging windows for infilling costs: time, notes left out, padding; and how far gaps' ends are away.

    python -m benchmarks.generate.arranging FOLDER [--files 80] [-o benchmarks/generate/arranging.md]

Files are drawn with seed 0 from a folder of MIDI files and cut, one behind the other, into windows as the packed loader
makes them; every window is arranged. The rate is the best of five passes in processor time, which does not count what
else the machine does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import Program, drawn, percent, publish, table, times
from partimento import Performance, Tokenizer, Vocabulary
from partimento.tokens.infill import Infilling
from partimento.tokens.vocabulary import Kind

LENGTHS = (512, 1024, 2048, 8192)


def main(words: Sequence[str] | None = None) -> None:
    """Arrange, count, write the table."""
    parser = Program(__file__, __doc__, quick="{midi} --files 4")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=80)
    arguments = parser.parse_args(words)
    vocabulary = Vocabulary.piano()
    tokenizer = Tokenizer(vocabulary)
    chosen = drawn(arguments.folder, arguments.files)
    stream = np.concatenate([tokenizer.encode(Performance.from_midi(path), dim=True) for path in chosen])
    head = ["tokens in a window", "M tokens/s", "notes left out", "padding", "`<T>` before, after", "excerpts a window",
            "seconds to the end"]  # fmt: skip
    publish(
        arguments,
        "Arranging windows for infilling",
        f"{len(chosen)} performances, {len(stream):,} tokens; one core. Seconds: from each note before a gap's end to "
        "that end, a tenth, half and nine tenths of them being closer.",
        table(head, (row(stream, length, vocabulary) for length in LENGTHS)),
    )


def row(stream: np.ndarray, length: int, v: Vocabulary) -> tuple[str, ...]:
    """A row of the table: all windows of one length."""
    windows = [stream[i : i + length + 1] for i in range(0, len(stream) - length, length)]
    infilling, rng = Infilling(v, share=1.0), np.random.default_rng(0)
    arranged: list[np.ndarray] = []

    def arrange() -> None:
        arranged[:] = [infilling(window, rng) for window in windows]

    seconds = times(arrange, 5)  # the first pass, which is not counted, compiles
    before, after = np.concatenate(windows), np.concatenate(arranged)
    left_out = 1 - (v.kind_of[after] == Kind.NOTE).sum() / (v.kind_of[before] == Kind.NOTE).sum()
    distances = np.concatenate([_distances(window, v) for window in arranged])
    shares = [(tokens == v.segment).mean() for tokens in (before, after)]
    quantiles = ", ".join(f"{d:.1f}" for d in np.quantile(distances, (0.1, 0.5, 0.9)))
    return (
        str(length + 1),
        f"{len(before) / min(seconds) / 1e6:.0f}",
        percent(left_out, 1),
        percent((after == v.pad).mean(), 1),
        ", ".join(percent(share, 1) for share in shares),
        f"{(after == v.delimiter).sum() / 2 / len(windows):.1f}",
        f"{quantiles}; mean {distances.mean():.1f}",
    )


def _distances(window: np.ndarray, v: Vocabulary) -> np.ndarray:
    """Seconds from each onset before a gap's end to that end."""
    found = []
    for tokens in np.split(window, np.flatnonzero(window == v.end) + 1):
        parts = np.split(tokens, np.flatnonzero(tokens == v.delimiter) + 1)
        if len(parts) == 3:
            after, before = (_onsets(part, v) for part in parts[1:])
            found.append(after[0] - before)
    return np.concatenate(found) if found else np.zeros(0)


def _onsets(tokens: np.ndarray, v: Vocabulary) -> np.ndarray:
    onsets = v.kind_of[tokens] == Kind.ONSET
    return 5.0 * np.cumsum(tokens == v.segment)[onsets] + v.ms_of[tokens[onsets]] / 1000


if __name__ == "__main__":
    main()
