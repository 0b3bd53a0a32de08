"""Parsing, tokenising and augmenting speed beside mido on the same files, in one process and one run.

    python benchmarks/tokens/throughput.py FOLDER [--files 300] [-o benchmarks/tokens/throughput.md]

Files are read into memory first, so that the disk is not measured. Each figure is the median of five passes over the
same files in turn; mido, two orders of magnitude slower, makes one pass over a tenth of them.
"""

from __future__ import annotations

import argparse
import datetime
import io
import platform
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import mido
import numpy as np

from partimento import Performance, Tokenizer, Vocabulary
from partimento.tokens.augment import augment, draw
from partimento.tokens.notes import Notes

PASSES = 5
SLICE_NOTES = 2700


def seconds(work: Callable[[], object], passes: int = PASSES) -> float:
    """Median wall-clock seconds of `work`, after one warm-up when there are several passes."""
    if passes > 1:
        work()
    times = []
    for _ in range(passes):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


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


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    paths = sorted(p for p in arguments.folder.rglob("*") if p.suffix.lower() in (".mid", ".midi"))
    paths = random.Random(0).sample(paths, min(arguments.files, len(paths)))
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

    parse = seconds(lambda: [Performance.from_midi(item) for item in data])
    encode = seconds(lambda: [tokenizer.encode(p) for p in performances])
    both = seconds(lambda: [tokenizer.encode(Performance.from_midi(item)) for item in data])
    by_mido = seconds(lambda: [mido_notes(item) for item in few], passes=1)
    varied = seconds(lambda: [tokenizer.encode_notes(augment(s, draw(s, rng))) for s in slices])

    mido_rate = n_few / by_mido
    rows = [
        ("mido: parse and pair notes", f"{mido_rate / 1e6:.3f} M notes/s", "1"),
        ("parse", f"{n_notes / parse / 1e6:.1f} M notes/s", f"{n_notes / parse / mido_rate:.0f}"),
        ("tokenise", f"{n_tokens / encode / 1e6:.1f} M tokens/s", ""),
        ("parse and tokenise", f"{n_notes / both / 1e6:.1f} M notes/s", f"{n_notes / both / mido_rate:.0f}"),
        (f"augment and tokenise slices of {SLICE_NOTES} notes", f"{slice_tokens / varied / 1e6:.1f} M tokens/s", ""),
    ]
    table = "\n".join(f"| {what} | {rate} | {ratio} |" for what, rate, ratio in rows)
    text = f"""# Parsing and tokenising

{len(data)} files, {n_notes:,} notes, {n_tokens:,} tokens; {len(slices)} slices.
One core, warm, median of {PASSES} passes (mido: one
pass over {len(few)} files). {cpu()}, Python {platform.python_version()}, {datetime.date.today()}.

| what | rate | times mido |
|---|---|---|
{table}
"""
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


def cpu() -> str:
    """The processor's name as the system tells it."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return f"{names[0]} x {len(names)}" if names else platform.processor()


if __name__ == "__main__":
    main()
