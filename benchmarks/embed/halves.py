"""Do the halves of a held-out file find each other, and by slices of which length?

    python -m benchmarks.embed.halves STORE emb=bundled-embedding base=runs/pretrained,pooled [...]

Of 100 validation files of at least 400 notes, each of another piece, both halves are embedded: 240 notes of each, read
in slices of 80, 120 and 240. Counted is how often the nearest of the other 199 halves, by cosine of standardised
vectors, is the other half of its file. Nothing is transposed or re-timed, so key and touch may help.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from benchmarks.common import Program, percent, publish, table
from partimento.corpus.store.note_store import NoteStore
from partimento.embed.encoder import Encoder, Vectors
from partimento.embed.slicing import Slicing
from partimento.model.precision import computing_dtype
from partimento.tokens.notes import Notes

FILES, LEAST_NOTES, NOTES_READ = 100, 400, 240
SLICES = (80, 120, 240)


def main(words: Sequence[str] | None = None) -> None:
    """Measure the models and print a row for each."""
    parser = Program(__file__, __doc__, quick="{store} emb=bundled-embedding")
    parser.add_argument("store")
    parser.add_argument("models", nargs="+", metavar="NAME=MODEL[,pooled]")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)  # slices are small, and threads would wait for each other
    halves = list(_halves(NoteStore(arguments.store)))
    rows = []
    for word in arguments.models:
        name, _, model = word.partition("=")
        path, pooled = model.removesuffix(",pooled"), model.endswith(",pooled")
        encoder = Encoder.load(path, pooled=pooled, dtype=computing_dtype("auto", torch.device("cpu")))
        shares = []
        for notes in SLICES:
            encoder.slicing = Slicing(notes=notes, most=max(1, NOTES_READ // notes))
            shares.append(_found(np.stack([encoder.encode_sequences(encoder.slices(half)).mean(0) for half in halves])))
        rows.append((name, *(percent(share, 1) for share in shares)))
        print(*rows[-1], flush=True)
    publish(arguments, "Halves", table(["model", *(f"slices of {notes}" for notes in SLICES)], rows))


def _halves(store: NoteStore) -> Iterator[Notes]:
    files = store.split("validation")
    files = files[store.counts[files] >= LEAST_NOTES]
    _, first_of_piece = np.unique(store.pieces[files], return_index=True)
    for file in np.random.default_rng(0).permutation(files[first_of_piece])[:FILES].tolist():
        notes = store.notes(file)
        yield notes.slice(0, len(notes) // 2)
        yield notes.slice(len(notes) // 2, len(notes))


def _found(vectors: Vectors) -> float:
    """Share of the rows whose nearest row is their neighbour in a pair."""
    vectors = (vectors - vectors.mean(axis=0)) / vectors.std(axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -np.inf)
    return float(np.mean(alike.argmax(axis=1) == np.arange(len(vectors)) ^ 1))


if __name__ == "__main__":
    main()
