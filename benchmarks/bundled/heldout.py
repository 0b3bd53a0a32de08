"""Held-out loss of models beside the two baselines, on the same notes.

    python -m benchmarks.bundled.heldout STORE [--models bundled older.safetensors] [--context 1024] [-o FILE]

From every file one stretch that fits `--context`, by default the smallest of the models', is drawn (seed 0); files are
spread evenly over the split. A network's nats are those of all tokens after <S>; a note's nats are the total divided by
the number of notes. The Markov model sees the same notes; its nats a token are its total divided by the same number of
tokens. All models must speak one vocabulary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.bundled.baselines import NoteMarkov, Unigram
from benchmarks.common import Program, publish, table
from partimento.corpus.store.note_store import NoteStore
from partimento.model.checkpoint import load
from partimento.model.precision import native_bfloat16
from partimento.tokens.tokenizer import Tokenizer

CPU = torch.device("cpu")
TRAIN_FILES_OF_UNIGRAM = 1000
KINDS = ("note", "onset", "duration")
UNIGRAM, MARKOV = "unigram", "Markov over notes"
ALL, TOKENS, NOTES, FILES = "all", "tokens", "notes", "files"


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the table."""
    parser = Program(__file__, __doc__, quick="{store} --files 2 --context 128")
    parser.add_argument("store", type=Path)
    parser.add_argument("--models", nargs="+", default=["bundled"])
    parser.add_argument("--split", default="validation")
    parser.add_argument("--files", type=int, default=600)
    parser.add_argument("--context", type=int)
    arguments = parser.parse_args(words)
    store = NoteStore(arguments.store)
    checkpoints = {name: load(name) for name in arguments.models}
    vocabulary = next(iter(checkpoints.values())).vocabulary
    contexts = [checkpoint.config.context for checkpoint in checkpoints.values()]
    context = min([*contexts, arguments.context or contexts[0]])
    if any(checkpoint.vocabulary != vocabulary for checkpoint in checkpoints.values()):
        parser.error("the models speak different vocabularies, so that their tokens cannot be compared")
    tokenizer = Tokenizer(vocabulary)
    train, heldout = store.split("train"), store.split(arguments.split)
    heldout = heldout[np.linspace(0, len(heldout) - 1, min(arguments.files, len(heldout))).astype(int)]

    unigram = Unigram.fit(
        (tokenizer.encode_notes(store.notes(i)) for i in train[:: max(1, len(train) // TRAIN_FILES_OF_UNIGRAM)]),
        len(vocabulary),
    )
    markov = NoteMarkov.fit(store.notes(i) for i in train)
    rng = np.random.default_rng(0)
    head = [vocabulary.prefix("instrument", "piano"), vocabulary.start]
    totals: Counter[tuple[str, str]] = Counter()
    by_kind: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for index in heldout:
        collection = store.file(index).labels.get("collection", "unknown")
        notes = store.notes(index)
        room = (context - 2) // 4
        first = int(rng.integers(0, max(1, len(notes) - room)))
        stretch = notes.slice(first, first + room)
        body = tokenizer.encode_notes(stretch)[: context - 2]
        stretch = stretch.slice(0, int((vocabulary.kind_of[body] == vocabulary.kind_of[vocabulary.duration[0]]).sum()))
        tokens = torch.tensor([[*head, *body.tolist()]])
        found = {UNIGRAM: unigram.nats(body), MARKOV: markov.nats(stretch)}
        for name, checkpoint in checkpoints.items():
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=native_bfloat16(CPU)):
                logits = checkpoint.model.eval()(tokens[:, :-1])[0, 1:].float()
            nats = torch.nn.functional.cross_entropy(logits, tokens[0, 2:], reduction="none").numpy()
            found[name] = float(nats.sum())
            if name == arguments.models[0]:
                for kind, values in by_kind.items():
                    low, high = getattr(vocabulary, kind)
                    values.extend(nats[(body >= low) & (body < high)].tolist())
        for part in (ALL, collection):
            totals.update({(part, name): value for name, value in found.items()})
            totals.update({(part, TOKENS): len(body), (part, NOTES): len(stretch), (part, FILES): 1})
    names = [UNIGRAM, MARKOV, *checkpoints]
    kinds = ", ".join(f"{name} {np.mean(values):.3f}" for name, values in by_kind.items())
    publish(
        arguments,
        "Held-out loss",
        f"{totals[ALL, FILES]} files of the {arguments.split} split, {totals[ALL, NOTES]:,} notes, "
        f"{totals[ALL, TOKENS]:,} tokens.",
        table(
            ["model", "nats a token", "nats a note"],
            [
                (
                    name,
                    f"{totals[ALL, name] / totals[ALL, TOKENS]:.3f}",
                    f"{totals[ALL, name] / totals[ALL, NOTES]:.2f}",
                )
                for name in names
            ],
        ),
        f"{names[2]}, by kind of token: {kinds}.",
        "Nats a note by collection:",
        table(
            ["collection", "files", *names],
            [
                (part, totals[part, FILES], *(f"{totals[part, name] / totals[part, NOTES]:.2f}" for name in names))
                for part in sorted({part for part, _ in totals} - {ALL})
            ],
        ),
    )


if __name__ == "__main__":
    main()
