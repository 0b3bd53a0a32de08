"""How fast many performances are embedded, beside the same work one file, and one slice, at a time.

    python -m benchmarks.embed.encode MIDI_FOLDER [--files 1000] [--minutes 20] [--model M] [-o encode.md]

All ways read the same files, chosen at random with a fixed seed, block after block in turns, so that whatever else the
machine does falls on all of them alike. Processor time is given beside wall time: on a busy machine it is the steadier
one, though it does not see waiting. Without --model it is an untrained one of size `small`: what a model has learned
does not change how long it takes. All ways make the same vectors: the last column says how far apart they are.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import Program, midi_files, publish, table
from partimento.embed.encoder import Encoder, Item, Vectors
from partimento.midi.performance import Performance
from partimento.midi.reader import MidiError
from partimento.model.config import ModelConfig
from partimento.model.heads import Embedder
from partimento.tokens.vocabulary import Vocabulary

Way = Callable[[list[Item]], Vectors]


def one_slice_at_a_time(encoder: Encoder) -> Way:
    """As the published code goes: file by file, slice by slice, each alone through the whole model."""

    def encode(files: list[Item]) -> Vectors:
        slices = [[whole(encoder, tokens) for tokens in encoder.sequences(file)] for file in files]
        return np.stack([np.mean(of_file, axis=0) for of_file in slices])

    return encode


@torch.inference_mode()
def whole(encoder: Encoder, tokens: np.ndarray) -> Vectors:
    """Every position's last hidden state, then the head at the last one: what a plain forward pass computes."""
    model = encoder._model
    hidden_1TD = model.model(torch.from_numpy(tokens[None].astype(np.int64)))
    return model.emb_head(hidden_1TD[0, -1]).float().numpy()


def untrained(dtype: torch.dtype) -> Encoder:
    torch.manual_seed(0)
    vocabulary = Vocabulary.piano()
    model = Embedder(ModelConfig.named("small", vocab_size=len(vocabulary), context=2048))
    return Encoder(model.to(dtype), vocabulary)


def readable(path: Path) -> bool:
    try:
        return bool((Performance.from_midi(path).instrument == 0).any())
    except MidiError:
        return False


def measure(ways: dict[str, Way], files: list[Path], *, block: int, seconds: float) -> tuple[int, dict]:
    """Files done, and for each way wall and processor seconds and its vectors."""
    spent = {name: [0.0, 0.0, []] for name in ways}
    done, stop = 0, time.monotonic() + seconds
    for encode in ways.values():  # compiled code is loaded, memory is allocated
        encode(files[:1])
    turn = list(ways)
    for first in range(0, len(files), block):
        for name in turn:
            begun, used = time.perf_counter(), time.process_time()
            vectors = ways[name](files[first : first + block])
            spent[name][0] += time.perf_counter() - begun
            spent[name][1] += time.process_time() - used
            spent[name][2].append(vectors)
        turn = turn[1:] + turn[:1]
        done += len(files[first : first + block])
        print(f"{done} files: " + ", ".join(f"{name} {spent[name][0]:.1f} s" for name in ways), flush=True)
        if time.monotonic() > stop:
            break
    return done, spent


def main(words: Sequence[str] | None = None) -> None:
    quick = "{midi} --files 2 --block 1 --threads 1 --model bundled-embedding"
    parser = Program(__file__, __doc__, quick=quick)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--block", type=int, default=16, help="files of one turn")
    parser.add_argument("--minutes", type=float, default=60, help="stop after the block in which this passes")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--model", help="an embedding model; default: an untrained one of size small")
    options = parser.parse_args(words)
    torch.set_num_threads(options.threads)
    found = midi_files(options.folder)
    order = np.random.default_rng(0).permutation(len(found))
    files = [path for path in (found[i] for i in order[: options.files + 50]) if readable(path)][: options.files]
    make = (lambda dtype: Encoder.load(options.model, dtype=dtype)) if options.model else untrained
    exact, half = make(torch.float32), make(torch.bfloat16)
    ways: dict[str, Way] = {
        "one slice at a time": one_slice_at_a_time(exact),
        "encode, one file at a time": lambda files: np.concatenate([exact.encode([file]) for file in files]),
        "encode, all files": exact.encode,
        "encode, all files, bfloat16": half.encode,
    }
    load = os.getloadavg()[0]
    done, spent = measure(ways, files, block=options.block, seconds=60 * options.minutes)
    (first_wall, first_cpu, first_vectors), *_ = spent.values()
    expected = np.concatenate(first_vectors)
    rows = []
    for name, (wall, cpu, vectors) in spent.items():
        apart = np.linalg.norm(np.concatenate(vectors) - expected, axis=1) / np.linalg.norm(expected, axis=1)
        speed = f"{done / wall:.2f}", f"{first_wall / wall:.2f}", f"{done / cpu:.2f}", f"{first_cpu / cpu:.2f}"
        rows.append((name, *speed, f"{apart.max():.1e}"))
    head = ["way", "files/s", "beside the first", "files per processor second", "beside the first", "distance"]
    publish(
        options,
        "Embedding many performances",
        f"{done} files in blocks of {options.block}; load average {load:.1f} at the start and "
        f"{os.getloadavg()[0]:.1f} at the end.",
        table(head, rows),
    )


if __name__ == "__main__":
    main()
