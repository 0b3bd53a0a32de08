"""Where a model expects <E>, and whether its continuations end by themselves.

    python -m benchmarks.finetune.endings STORE --models bundled runs/pretrained ... [--files 40] [--prompts 20]
        [--lengths 400 1022] [--seconds 45] [-o FILE]

Files are spread evenly over the validation split. The first table is about music that pianists played, in windows of
so many tokens, with <D> about 100 tokens before their end as in fine-tuning, and on a clock of their own:

  at the end    the window's end is the file's: P(<E>) behind its last note, and the sum of P(<E>) from <D> to there
  at a cut      the file goes on for as long again: P(<E>) where the window ends, and the sum over the 30 tokens behind
  it no <D>        the same window without <D>: the sum over all of its tokens, and P(<E>) where it ends

The second is about continuations: prompts of 15 s from the middle of files, continued with <D> given about 130 tokens
before the length asked for, temperature 1, nothing cut, seed 0. Some end by themselves, and the others where the length
asked for is used up, some of them before 100 tokens have followed <D>. "A real end" is how the same files end. Density
is that of all notes of the continuation over that of the pianist's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import Program, publish, table, title_of
from partimento import Engine, Settings, Tokenizer, Vocabulary
from partimento.corpus.store.note_store import NoteStore
from partimento.generate.decode.sampling import Sampling
from partimento.model.checkpoint import load
from partimento.model.precision import native_bfloat16
from partimento.tokens.notes import Notes
from partimento.tokens.tokenizer import DIM_TOKENS_LEFT
from partimento.tokens.vocabulary import Kind

CPU = torch.device("cpu")
BEHIND = 30
"""Ids behind a cut in which <E> may still come."""
PROMPT_SECONDS = 15.0
LAST_SECONDS = 3.0
EXPECTED = ("model", "tokens", "files", "at the end: P", "sum before", "at a cut: P", "sum behind", "no `<D>`: sum",
            "where it ends")  # fmt: skip
ENDED = ("model", "density", "ended by themselves", "no 100 tokens behind `<D>`", "after, s", "notes/s of the last 3 s",
         "last note, s")  # fmt: skip


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the tables."""
    parser = Program(
        __file__, __doc__, quick="{store} --models {model} --files 2 --prompts 1 --lengths 400 --seconds 5"
    )
    parser.add_argument("store", type=Path)
    parser.add_argument("--models", nargs="+", default=["bundled"])
    parser.add_argument("--files", type=int, default=40)
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--lengths", type=int, nargs="+", default=[400, 1022])
    parser.add_argument("--seconds", type=float, default=45.0)
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    store = NoteStore(arguments.store)
    expected, ended = [], []
    for name in arguments.models:
        title = title_of(name)
        for length in arguments.lengths:
            files = long_enough(store, length, arguments.files)
            expected.append((title, length, len(files), *expectations(store, name, files, length)))
            print(*expected[-1], flush=True)
        if arguments.prompts:
            ended.append((title, *continuations(store, name, arguments.prompts, arguments.seconds)))
            print(*ended[-1], flush=True)
    if arguments.prompts:
        ended.append(("a real end", 1, "", "", "", *real_ends(store, arguments.prompts)))
    publish(
        arguments,
        "Where <E> is expected, and whether it comes",
        "Held-out music as it was played, means over files; `benchmarks/finetune/endings.py` says what each column is.",
        table(EXPECTED, expected),
        f"Prompts of {PROMPT_SECONDS:.0f} s continued by {arguments.seconds:.0f} s, `onnx-int8`, temperature 1, "
        "nothing cut; medians (quartiles) of those that ended by themselves.",
        table(ENDED, ended),
    )


def long_enough(store: NoteStore, length: int, most: int) -> list[int]:
    """Files with notes for a window at their end and two in their middle, evenly spread."""
    files = store.split("validation")
    files = files[store.counts[files] > length] if most else files[:0]
    return files[np.linspace(0, len(files) - 1, min(most, len(files))).astype(int)].tolist()


# -- what is expected along music that was played ----------------------------------------------------------------------


def expectations(store: NoteStore, name: str, files: Iterable[int], length: int) -> list[str]:
    """The row of one model: medians over files of probabilities and sums."""
    checkpoint = load(name)
    v, model = checkpoint.vocabulary, checkpoint.model.eval()
    tokenizer = Tokenizer(v)

    def ending(tokens: list[int]) -> NDArray[np.float64]:
        """P(<E>) behind each token."""
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=native_bfloat16(CPU)):
            logits_TV = model(torch.tensor([tokens]))[0].float()
        return logits_TV.softmax(dim=1)[:, v.end].double().numpy()

    rows = []
    for file in files:
        notes = store.notes(file)
        head = [v.prefix("instrument", "piano"), v.start]
        body = window(notes, len(notes), length, tokenizer)
        announced = tokenizer.insert_dim(body)
        p = ending([*head, *announced.tolist()])
        dim = len(head) + announced.tolist().index(v.dim)
        at_end, early = p[-1], p[dim:-1].sum()
        middle = len(notes) // 2
        cut = window(notes, middle, length, tokenizer)
        going_on = tokenizer.encode_notes(notes.slice(middle - count_notes(cut, v), middle + BEHIND))
        announced = [*tokenizer.insert_dim(cut).tolist(), *going_on[len(cut) : len(cut) + BEHIND].tolist()]
        p = ending([*head, *announced])
        where = len(head) + len(cut)  # of the last id of the cut, with <D>
        at_cut, behind = p[where], p[where + 1 : where + 1 + BEHIND].sum()
        p = ending([*head, *cut.tolist()])
        rows.append((at_end, early, at_cut, behind, p.sum(), p[-1]))
    return [f"{np.mean(column):.4f}" for column in np.array(rows).T]


def window(notes: Notes, last: int, length: int, tokenizer: Tokenizer) -> NDArray[np.int32]:
    """The body of the notes before `last`, as many as fit a sequence of so many tokens with its head, <D> and <E>."""
    first = max(0, last - (length - 4) // 3)
    while len(body := tokenizer.encode_notes(notes.slice(first, last))) > length - 4:
        first += 1
    return body


def count_notes(tokens: NDArray[np.int32], v: Vocabulary) -> int:
    """How many notes tokens say."""
    return int((v.kind_of[tokens] == Kind.NOTE).sum())


# -- continuations -----------------------------------------------------------------------------------------------------


def continuations(store: NoteStore, name: str, prompts: int, seconds: float) -> list[object]:
    """The row of one model."""
    engine = Engine.load(name, engine="onnx-int8")
    settings = Settings(seconds=seconds, end=True, sampling=Sampling(temperature=1.0, min_p=0.0))
    tokenizer, lengths, densities, longest, denser = Tokenizer(engine.vocabulary), [], [], [], []
    files, short = long_enough(store, 1000, prompts), 0
    for file in files:
        notes = store.notes(file)
        middle = len(notes) // 2
        after = int(np.searchsorted(notes.onset_ms, notes.onset_ms[middle] + PROMPT_SECONDS * 1000))
        prompt = tokenizer.decode(tokenizer.encode_notes(notes.slice(middle, after)))
        run = engine.continuing(prompt, settings, PROMPT_SECONDS)
        (found,) = run.complete(None)
        tokens, v = run.variations[0].tokens, engine.vocabulary
        short += v.end not in tokens and (v.dim not in tokens or v.dim in tokens[-DIM_TOKENS_LEFT:])
        played = notes.onset_ms - notes.onset_ms[middle]
        theirs = np.searchsorted(played, 1000 * (PROMPT_SECONDS + seconds)) - after
        span = min(seconds, played[-1] / 1000 - PROMPT_SECONDS)
        if len(found.generated) and theirs:
            spent = float(found.generated.onset_seconds.max()) - PROMPT_SECONDS
            denser.append(len(found.generated) / max(spent, 1.0) / (theirs / span))
        if tokens[-1] == v.end and len(found.generated):
            onset = found.generated.onset_seconds
            lengths.append(float(onset.max()) - PROMPT_SECONDS)
            densities.append(float((onset > onset.max() - LAST_SECONDS).sum()) / LAST_SECONDS)
            longest.append(float(found.generated.duration[-1]) / 1e9)
    share = f"{len(lengths)} of {len(files)}"
    return [quartiles(denser), share, short, *(quartiles(values) for values in (lengths, densities, longest))]


def real_ends(store: NoteStore, files: int) -> list[str]:
    """Density of the last seconds, and length of the last note, of files as they were played."""
    densities, longest = [], []
    for file in long_enough(store, 1000, files):
        notes = store.notes(file)
        densities.append((notes.onset_ms > notes.onset_ms[-1] - 1000 * LAST_SECONDS).sum() / LAST_SECONDS)
        longest.append(min(int(notes.duration_ms[-1]), 5000) / 1000)
    return [quartiles(densities), quartiles(longest)]


def quartiles(values: list[float]) -> str:
    """The median and both quartiles."""
    if not values:
        return "-"
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:.1f} ({low:.1f}-{high:.1f})"


if __name__ == "__main__":
    main()
