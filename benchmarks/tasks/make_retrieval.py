"""Write the manifest of the retrieval task: performances of ASAP by content, piece, and whether the piece was held out.

    python -m benchmarks.tasks.make_retrieval ASAP_FOLDER STORE [STORE ...] -o partimento/evaluate/manifests

A piece is a folder of ASAP (COMPOSER/.../TITLE); performances without a repeat or the trio are performances of it too.
Its split is train if a file of it, or a file that plays the same piece by sound, is in the training split of one of the
note stores that models are trained on; otherwise test.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.common import Program
from partimento.corpus.store.note_store import NoteStore
from partimento.evaluate.tasks import COLUMNS, HASH_LENGTH, contents
from partimento.files import replacing

LEFT_OUT = re.compile(r"_no_(\d_)?(repeat|trio)$")


def trained(stores: list[Path]) -> set[str]:
    """Every file, by its hash, whose piece has a file in the training split of a store."""
    found = set()
    for store in map(NoteStore, stores):
        pieces = set(store.pieces[store.split("train")].tolist())
        found.update(file.sha256[:HASH_LENGTH] for file in store.files if file.piece in pieces)
    return found


def main(words: Sequence[str] | None = None) -> None:
    parser = Program(__file__, __doc__, quick="{midi} {store} -o {work}")
    parser.add_argument("asap", type=Path)
    parser.add_argument("stores", type=Path, nargs="+")
    options = parser.parse_args(words)
    seen = trained(options.stores)
    of_piece = defaultdict(list)
    for sha256, path in contents(options.asap).items():
        of_piece[LEFT_OUT.sub("", path.parent.relative_to(options.asap).as_posix())].append(sha256)
    splits = {piece: "test" if seen.isdisjoint(files) else "train" for piece, files in of_piece.items()}
    numbers = {piece: number for number, piece in enumerate(sorted(of_piece))}
    rows = [
        (sha256, piece, splits[piece], "asap", numbers[piece]) for piece, files in of_piece.items() for sha256 in files
    ]
    with (
        replacing(options.out / "retrieval.csv") as part,
        part.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS, *sorted(rows)])
    for split in ("train", "test"):
        pieces = [piece for piece in of_piece if splits[piece] == split]
        queries = sum(len(of_piece[piece]) for piece in pieces if len(of_piece[piece]) > 1)
        files = sum(len(of_piece[piece]) for piece in pieces)
        print(f"{split}: {files} files of {len(pieces)} pieces, {queries} of them with another performance")


if __name__ == "__main__":
    main()
