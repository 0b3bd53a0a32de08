"""Parsing, tokenising and augmenting speed beside mido on the same files, in one process and one run.

    python -m benchmarks.tokens.throughput FOLDER [--files 300] [-o benchmarks/tokens/throughput.md]

Files are read into memory first, so that the disk is not measured. Each figure is the median of five passes over the
same files in turn; mido, two orders of magnitude slower, makes one pass over a tenth of them.
"""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import mido
import numpy as np

from benchmarks.common import Program, drawn, publish, table, times
from partimento import Performance, Tokenizer, Vocabulary
from partimento.tokens.augment import augment, draw
from partimento.tokens.notes import Notes

PASSES = 5
SLICE_NOTES = 2700


def mido_notes(data: bytes) -> int:
    """Notes paired and timed the way a mido user would: on and off events, absolute seconds."""
    file = mido.MidiFile(file=io.BytesIO(data))
    open_notes: dict[tuple[int, int], float] = {}
    count, now = 0, 0.0
    for message in file:
        now += message.time
        if message.type == "note_on" and message.velocity:
            open_notes[message.channel, message.note] = now
        elif message.type in ("note_on", "note_off"):
            count += open_notes.pop((message.channel, message.note), None) is not None
    return count


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the table."""
    program = Program(__file__, __doc__, quick="{midi} --files 4")
    program.add_argument("folder", type=Path)
    program.add_argument("--files", type=int, default=300)
    arguments = program.parse_args(words)
    paths = drawn(arguments.folder, arguments.files)
    data = [path.read_bytes() for path in paths]
    few = data[: max(1, len(data) // 10)]

    tokenizer = Tokenizer(Vocabulary.aria())
    performances = [Performance.from_midi(item) for item in data]
    n_notes = sum(len(p) for p in performances)
    n_few = sum(len(p) for p in performances[: len(few)])
    n_tokens = sum(len(tokenizer.encode(p)) for p in performances)
    slices = []
    for performance in performances:
        notes = Notes.from_performance(performance)
        slices += [notes.slice(i, i + SLICE_NOTES) for i in range(0, len(notes) - SLICE_NOTES + 1, SLICE_NOTES)]
    rng = np.random.default_rng(0)
    slice_tokens = sum(len(tokenizer.encode_notes(augment(s, draw(s, rng)))) for s in slices)

    def seconds(work: Callable[[], object]) -> float:
        return statistics.median(times(work, PASSES, clock=time.perf_counter))

    parse = seconds(lambda: [Performance.from_midi(item) for item in data])
    encode = seconds(lambda: [tokenizer.encode(p) for p in performances])
    both = seconds(lambda: [tokenizer.encode(Performance.from_midi(item)) for item in data])
    (by_mido,) = times(lambda: [mido_notes(item) for item in few], 1, clock=time.perf_counter, warm_up=False)
    varied = seconds(lambda: [tokenizer.encode_notes(augment(s, draw(s, rng))) for s in slices])

    mido_rate = n_few / by_mido
    rows = [
        ("mido: parse and pair notes", f"{mido_rate / 1e6:.3f} M notes/s", "1"),
        ("parse", f"{n_notes / parse / 1e6:.1f} M notes/s", f"{n_notes / parse / mido_rate:.0f}"),
        ("tokenise", f"{n_tokens / encode / 1e6:.1f} M tokens/s", ""),
        ("parse and tokenise", f"{n_notes / both / 1e6:.1f} M notes/s", f"{n_notes / both / mido_rate:.0f}"),
        (f"augment and tokenise slices of {SLICE_NOTES} notes", f"{slice_tokens / varied / 1e6:.1f} M tokens/s", ""),
    ]
    publish(
        arguments,
        "Parsing and tokenising",
        f"{len(data)} files, {n_notes:,} notes, {n_tokens:,} tokens; {len(slices)} slices. One core, warm, median of "
        f"{PASSES} passes (mido: one pass over {len(few)} files).",
        table(["what", "rate", "times mido"], rows),
    )


if __name__ == "__main__":
    main()
