"""Held-out loss of a model beside the two baselines, on the same notes.

    python benchmarks/bundled/heldout.py STORE [--model bundled] [--split validation] [--files 600] [-o FILE]

From every file of the split one stretch that fits the model's context is drawn (seed 0). A network's nats are those of
all ids after <S>; a note's nats are the total divided by the number of notes. The Markov model sees the same notes; its
nats a token are its total divided by the same number of ids.
"""

from __future__ import annotations

import argparse
import datetime
from pathlib import Path

import numpy as np
import torch

from partimento.corpus.store import NoteStore
from partimento.evaluate.baselines import NoteMarkov, Unigram
from partimento.model.checkpoint import load
from partimento.tokens.tokenizer import Tokenizer

TRAIN_FILES_OF_UNIGRAM = 1000


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store", type=Path)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--files", type=int, default=600)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    store = NoteStore(arguments.store)
    checkpoint = load(arguments.model)
    model, vocabulary = checkpoint.model.eval(), checkpoint.vocabulary
    tokenizer = Tokenizer(vocabulary)
    train, heldout = store.split("train"), store.split(arguments.split)[: arguments.files]

    unigram = Unigram.fit(
        (tokenizer.encode_notes(store.notes(i)) for i in train[:: max(1, len(train) // TRAIN_FILES_OF_UNIGRAM)]),
        len(vocabulary),
    )
    markov = NoteMarkov.fit(store.notes(i) for i in train)
    rng = np.random.default_rng(0)
    head = [vocabulary.prefix("instrument", "piano"), vocabulary.start]
    n_ids = n_notes = 0
    totals = {"unigram": 0.0, "Markov over notes": 0.0, str(arguments.model): 0.0}
    by_kind: dict[str, list[float]] = {"note": [], "onset": [], "duration": []}
    for index in heldout:
        notes = store.notes(index)
        room = (checkpoint.config.context - 2) // 4
        first = int(rng.integers(0, max(1, len(notes) - room)))
        stretch = notes.slice(first, first + room)
        body = tokenizer.encode_notes(stretch)[: checkpoint.config.context - 2]
        stretch = stretch.slice(0, int((vocabulary.kind_of[body] == vocabulary.kind_of[vocabulary.duration[0]]).sum()))
        ids = torch.tensor([[*head, *body.tolist()]])
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            logits = model(ids[:, :-1])[0, 1:].float()
        nats = torch.nn.functional.cross_entropy(logits, ids[0, 2:], reduction="none").numpy()
        totals["unigram"] += unigram.nats(body)
        totals["Markov over notes"] += markov.nats(stretch)
        totals[str(arguments.model)] += float(nats.sum())
        for name, values in by_kind.items():
            low, high = getattr(vocabulary, name)
            values.extend(nats[(body >= low) & (body < high)].tolist())
        n_ids += len(body)
        n_notes += len(stretch)
    rows = "\n".join(f"| {k} | {v / n_ids:.3f} | {v / n_notes:.2f} |" for k, v in totals.items())
    kinds = ", ".join(f"{name} {np.mean(values):.3f}" for name, values in by_kind.items())
    text = f"""# Held-out loss

{len(heldout)} files of the {arguments.split} split, {n_notes:,} notes, {n_ids:,} ids; {datetime.date.today()}.

| model | nats a token | nats a note |
|---|---|---|
{rows}

{arguments.model}, by kind of id: {kinds}.
"""
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


if __name__ == "__main__":
    main()
