"""Augmented tokens a second out of a note store, beside tokens kept as JSON lists, in one process and one run.

    python -m benchmarks.corpus.loaders STORE [-o benchmarks/corpus/loaders.md]

Rates are tokens (without padding) by the seconds of processor time that this process spent, so that other work on the
machine counts as little as can be: the median of five passes. The JSON lists hold what the loaders hold, cut to
sequences of 8,192 tokens for the packed loader and one file a line for the views. Memory is what the process holds
besides files (RssAnon).
"""

from __future__ import annotations

import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Program, median_rate, publish, table
from benchmarks.corpus.token_lists import TokenLists, augmented, write
from partimento import Vocabulary
from partimento.corpus.loaders.examples import LabelledLoader, ViewPairLoader, two_slices
from partimento.corpus.loaders.packed import PackedLoader, StoreTokenizer
from partimento.corpus.loaders.sequences import WholeFileLoader
from partimento.corpus.store.note_store import PARTS, NoteStore

LENGTH, VIEW = 8192, 2048
JSON_FILES = 60
STEPS = 10


def made_by(loader: Iterator, batches: int, pad: int) -> Callable[[], int]:
    """A pass over so many batches."""

    def work() -> int:
        total = 0
        for batch in islice(loader, batches):
            arrays = (
                [batch]
                if isinstance(batch, np.ndarray)
                else [batch[name] for name in ("a", "b", "ids") if name in batch]
            )
            total += sum(int((array != pad).sum()) for array in arrays)
        return total

    return work


def json_views(lists: TokenLists, rng: random.Random, draws: np.random.Generator) -> int:
    """Two augmented slices of every line, by notes."""
    total = 0
    for index in range(len(lists)):
        tokens = lists.tokens(index)
        notes = [i for i, token in enumerate(tokens) if token[0] == "piano" and isinstance(token, tuple)]
        if len(notes) < 50:
            continue
        for first, last in two_slices(len(notes), draws):
            part = tokens[notes[first] : notes[last] if last < len(notes) else None]
            part = ["piano", "<S>", *augmented([t for t in part if t not in ("<D>", "<E>")], rng)]
            total += len(lists.encode([*part[: VIEW - 1], "<E>"]))
    return total


def held() -> float:
    """MiB of memory that no file backs."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("RssAnon")).split()[1]) / 1024


def step_ms(batches: Iterator, matrix: np.ndarray) -> list[float]:
    """Milliseconds of steps in which each batch is followed by work that leaves Python alone, as training does."""
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        next(batches)
        matrix @ matrix
        times.append((time.perf_counter() - start) * 1000)
    return times


def packed(store: NoteStore, **more: Any) -> PackedLoader:
    """The loader that is measured: the published vocabulary, 16 rows."""
    return PackedLoader(store, Vocabulary.aria(), "train", LENGTH, 16, 0, **more)


def from_thread(loader: Iterator) -> Iterator[np.ndarray]:
    """The same batches, two of them made ahead by a thread."""
    with ThreadPoolExecutor(1) as worker:
        ready = deque(worker.submit(next, loader) for _ in range(2))
        while True:
            ready.append(worker.submit(next, loader))
            yield ready.popleft().result()


def send_batches(path: Path, pipe: Any) -> None:
    """A process that makes batches and sends them as bytes, until nobody listens."""
    loader = packed(NoteStore(path))
    try:
        while True:
            pipe.send_bytes(next(loader).tobytes())
    except BrokenPipeError:
        return


def from_process(path: Path) -> Iterator[np.ndarray]:
    """Batches of a loader in another process."""
    mine, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("spawn").Process(target=send_batches, args=(path, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        while True:
            yield np.frombuffer(mine.recv_bytes(), np.int32).reshape(16, LENGTH + 1)
    finally:
        process.terminate()
        process.join()


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the tables."""
    parser = Program(__file__, __doc__, quick="{store} --passes 1 --rounds 1")
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("store", type=Path)
    arguments = parser.parse_args(words)
    store, vocabulary = NoteStore(arguments.store), Vocabulary.aria()
    pad = vocabulary.pad
    loader = packed(store)
    next(loader)
    before = held()

    def rate(work: Callable[[], int], passes: int = arguments.passes) -> float:
        return median_rate(work, passes)

    ours = {"packed": rate(made_by(loader, 20, pad))}
    for _ in islice(loader, 400):
        pass
    grown = held() - before
    shared = {"length": VIEW, "batch": 64, "seed": 0}
    ours["views"] = rate(made_by(ViewPairLoader(store, vocabulary, "train", **shared), 20, pad))
    whole = WholeFileLoader(store, vocabulary, "train", length=LENGTH, batch=16, seed=0)
    ours["whole"] = rate(made_by(whole, 20, pad))
    labelled = LabelledLoader(store, vocabulary, "train", label="composer", **shared)
    ours["labelled"] = rate(made_by(labelled, 20, pad))
    pedal = PackedLoader(store, Vocabulary.piano(), "train", LENGTH, 16, 0, pedal=True)
    ours["pedal"] = rate(made_by(pedal, 20, pad))

    with tempfile.TemporaryDirectory() as folder:
        plain = PackedLoader(store, vocabulary, "train", LENGTH, 1, 0, augment=False)
        write(Path(folder, "packed"), (batch[0, :-1] for batch in islice(plain, JSON_FILES)), vocabulary)
        encoder, files = StoreTokenizer(store, vocabulary), store.split("train")
        some = files[:: max(1, len(files) // JSON_FILES)]
        write(Path(folder, "files"), (encoder.sequence(encoder.body(i, None), dim=True) for i in some), vocabulary)
        sequences, whole_files = (TokenLists(Path(folder, name), vocabulary) for name in ("packed", "files"))
        rng, draws = random.Random(0), np.random.default_rng(0)
        json_packed = rate(lambda: sum(len(sequences.item(i, rng)) for i in range(len(sequences))), 3)
        json_pairs = rate(lambda: json_views(whole_files, rng, draws), 3)
        json_bytes = sequences.bytes_per_note()

    matrix = np.random.default_rng(0).random((1200, 1200), np.float32)
    kinds = [iter(lambda: 0, 1), packed(store), from_thread(packed(store)), from_process(arguments.store)]
    for kind in kinds:
        step_ms(kind, matrix)
    rounds = [[step_ms(kind, matrix) for kind in kinds] for _ in range(arguments.rounds)]
    alone, inline, ahead, other = (
        statistics.median([ms for times in of_kind for ms in times]) for of_kind in zip(*rounds, strict=True)
    )

    notes = sum(shard.notes for shard in store.shards)
    size = {part: sum(shard.path(store.path, part).stat().st_size for shard in store.shards) for part in PARTS}
    baseline = {"packed": json_packed, "views": json_pairs}
    names = {
        "packed": f"packed sequences of {LENGTH:,} tokens",
        "views": f"pairs of views, at most {VIEW:,} tokens each",
        "whole": f"whole files, at most {LENGTH:,} tokens",
        "labelled": f"labelled slices, at most {VIEW:,} tokens",
        "pedal": f"packed sequences of {LENGTH:,} tokens with pedal tokens",
    }
    rows = [
        (
            names[kind],
            f"{made / 1e6:.1f}",
            *((f"{baseline[kind] / 1e6:.3f}", f"{made / baseline[kind]:.0f}") if kind in baseline else ("", "")),
        )
        for kind, made in ours.items()
    ]
    sizes = [*(size[part] / notes for part in ("notes", "pedal", "files")), sum(size.values()) / notes]
    publish(
        arguments,
        "Loaders",
        f"Store: {len(store):,} files, {notes:,} notes. One thread; load {os.getloadavg()[0]:.1f} when it ended. All "
        "with augmentation.",
        table(["loader", "M tokens a second of one core", "JSON lists", "times"], rows),
        f"Memory held besides files grew by {grown:.1f} MiB while the packed loader made "
        f"{(arguments.passes + 1) * 20 + 400:,} batches of {16 * LENGTH:,} tokens.",
        "## Bytes a note",
        table(
            ["store: notes", "pedal", "files table", "together", "JSON lists"],
            [(*(f"{each:.2f}" for each in sizes), f"{json_bytes:.1f}")],
        ),
        "## Where to run it",
        f"Batches of 16 x {LENGTH:,} tokens, each followed by a product of matrices ({alone:.1f} ms alone), which "
        "like a training step does not hold the interpreter's lock. Wall-clock time, median of "
        f"{STEPS * arguments.rounds} steps in {arguments.rounds} turns:",
        table(
            ["in the same thread", "a thread ahead", "a process ahead, through a pipe"],
            [(f"{inline:.1f} ms", f"{ahead:.1f} ms", f"{other:.1f} ms")],
        ),
    )


if __name__ == "__main__":
    main()
