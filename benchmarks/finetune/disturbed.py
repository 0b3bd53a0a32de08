"""How well models go on after stretches that no pianist played: loss on the same notes in clean and disturbed contexts.

    python -m benchmarks.finetune.disturbed STORE --models a.safetensors b.safetensors [--files 60] [-o FILE]

From the middle of each file of the validation split, evenly spread, a window of at most 1,000 tokens is taken as it was
played and disturbed (`tokens/disturb.py`, seed 0). Counted are the nats of the notes that are the pianist's own in
both, from behind the first disturbed stretch on, and of them the eight next to a disturbed stretch apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import Program, publish, table, title_of
from partimento.corpus.store.note_store import NoteStore
from partimento.model.checkpoint import load
from partimento.model.precision import native_bfloat16
from partimento.tokens.disturb import disturb
from partimento.tokens.notes import Notes
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Kind

CPU = torch.device("cpu")
IDS = 1000
NOTES = 300
NEXT = 8


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the table."""
    parser = Program(__file__, __doc__, quick="{store} --models {model} bundled --files 2")
    parser.add_argument("store", type=Path)
    parser.add_argument("--models", nargs="+", default=["bundled"])
    parser.add_argument("--files", type=int, default=60)
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    store = NoteStore(arguments.store)
    files = store.split("validation")
    files = files[store.counts[files] > 2 * NOTES]
    files = files[np.linspace(0, len(files) - 1, min(arguments.files, len(files))).astype(int)]
    titles, found = [], []
    for name in arguments.models:
        titles.append(title_of(name))
        found.append(measured(store, files.tolist(), name))
        print(titles[-1], found[-1].mean(axis=0).round(3), flush=True)
    rows = []
    for title, nats_F4 in zip(titles, found, strict=True):
        less_F4 = nats_F4 - found[0]
        error_4 = less_F4.std(axis=0, ddof=1) / np.sqrt(len(less_F4))
        cells = [
            f"{value:.2f}" if title == titles[0] else f"{value:.2f} ({less:+.3f} ± {error:.3f})"
            for value, less, error in zip(nats_F4.mean(axis=0), less_F4.mean(axis=0), error_4, strict=True)
        ]
        rows.append((title, *cells))
    head = ["model", "clean context", "disturbed context", "next to it, clean", "next to it, disturbed"]
    publish(
        arguments,
        "Going on after what no pianist played",
        f"Nats a note on the same notes, means over {len(found[0])} files; in brackets the difference to the first "
        "model and its standard error over files.",
        table(head, rows),
    )


def measured(store: NoteStore, files: list[int], name: str) -> NDArray[np.float64]:
    """Nats a note of each file that was disturbed [F, 4]: clean, disturbed, and both next to a disturbed stretch."""
    checkpoint = load(name)
    v, model, tokenizer = checkpoint.vocabulary, checkpoint.model.eval(), Tokenizer(checkpoint.vocabulary)
    head = [v.prefix("instrument", "piano"), v.start]

    def note_nats(body: NDArray[np.int32]) -> NDArray[np.float64]:
        """Nats of each whole note of the body, with what stands before it."""
        tokens = torch.tensor([[*head, *body.tolist()]])
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=native_bfloat16(CPU)):
            logits_TV = model(tokens[:, :-1])[0, 1:].float()
        nats = torch.nn.functional.cross_entropy(logits_TV, tokens[0, 2:], reduction="none").double().numpy()
        return np.diff(np.cumsum(nats)[v.kind_of[body] == Kind.DURATION], prepend=0.0)

    rows = []
    for file in files:
        middle = int(store.counts[file]) // 2
        notes = store.notes(file, middle, middle + NOTES)
        changed, own = disturb(notes, np.random.default_rng(file))
        if own.all():
            continue
        sums, counts = np.zeros(4), np.zeros(4)
        clean = note_nats(tokenizer.encode_notes(notes)[:IDS])
        dirty = note_nats(tokenizer.encode_notes(changed)[:IDS])
        # Own notes keep their order, so the k-th own one is found in the original by walking along.
        place, others = [], iter(range(len(notes)))
        for k in np.flatnonzero(own):
            found = next(i for i in others if same(notes, i, changed, k))
            place.append((found, int(k)))
        first = int(np.flatnonzero(~own)[0])
        since = np.cumsum(own) - np.maximum.accumulate(np.where(own, 0, np.cumsum(own)))
        for i, k in place:
            if k > first and i < len(clean) and k < len(dirty):
                both = np.array([clean[i], dirty[k]])
                sums[:2] += both
                counts[:2] += 1
                if since[k] <= NEXT:
                    sums[2:] += both
                    counts[2:] += 1
        if counts.all():
            rows.append(sums / counts)
    return np.array(rows)


def same(notes: Notes, i: int, changed: Notes, k: int) -> bool:
    """Whether a note is the same in both."""
    names = ("onset_ms", "duration_ms", "pitch", "velocity")
    return all(getattr(notes, name)[i] == getattr(changed, name)[k] for name in names)


if __name__ == "__main__":
    main()
