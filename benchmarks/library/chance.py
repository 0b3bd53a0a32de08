"""How long a passage human pieces share with works that are not theirs: the table that originality is judged by.

    python -m benchmarks.library.chance STORE --table partimento/library/originality/chance.csv -o PAGE.md

STORE is a note store whose files know their pieces (`partimento store CORPUS --selection pretrain`). All its files are
indexed. Of each length, stretches of files drawn with a fixed seed (each file once, before any is drawn twice) are
looked up, with everything left out that may hold their own work: files of the same piece, other clips of the same song
(EMOPIA), the same player's other recordings (PiJAMA: titles do not tell second takes and tunes in a medley), and works
that have two titles (`ONE_WORK`). Files that are shorter count as they are.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import Program, publish, table
from partimento.corpus.duplicates.copies import FEWEST
from partimento.corpus.duplicates.fingerprints import fingerprint
from partimento.corpus.duplicates.index import PassageIndex
from partimento.corpus.store.note_store import NoteStore
from partimento.library.originality.chance import Chance
from partimento.library.originality.judge import FLAG_SECONDS, stretches
from partimento.tokens.notes import Notes

LENGTHS = (15, 45, 120, 300)
LASTING = (0, int(FLAG_SECONDS))
FEWEST_NOTES = 20
REMARKABLE = 40
ONE_WORK = (
    ("fb100cb2366", "rt308hy9235"),  # Humperdinck, Hänsel und Gretel
    ("sr504pc8797", "qg708tz0324"),  # Wagner, Lohengrin
    ("sj250cc6451", "gp583km0927"),  # Johann Strauss, Rosen aus dem Süden
    ("tp747vf1137", "gr034qm4805"),  # Bizet, Carmen
    ("Rhapsody in Blue", "Rhapsody In Various Shades Of Blue"),  # Gershwin
)
"""Works under two titles, by parts of their files' names: a first run listed them among what is shared by chance."""


def stretch(notes: Notes, seconds: float, rng: np.random.Generator) -> Notes:
    """So many seconds from somewhere."""
    begin = rng.integers(0, max(0, int(notes.onset_ms[-1]) - 1000 * seconds) + 1)
    return notes.slice(*np.searchsorted(notes.onset_ms, [begin, begin + 1000 * seconds]))


def kin(store: NoteStore) -> list[str]:
    """Files of the store with the same one of these may hold one work, whatever their pieces are called."""
    return [_kin(file.name, file.labels.get("collection", ""), piece) for file, piece in
            zip(store.files, store.pieces.tolist(), strict=True)]  # fmt: skip


def _kin(name: str, collection: str, piece: int) -> str:
    for work in ONE_WORK:
        if any(part in name for part in work):
            return work[0]
    if collection == "emopia":  # midis/Q1_SONG_0.mid
        return name.split("_", 1)[1].rsplit("_", 1)[0]
    if collection == "pijama":  # .../PLAYER/RECORD/TITLE.midi
        return name.split("/")[-3]
    return str(piece)


def main(words: Sequence[str] | None = None) -> None:
    parser = Program(__file__, __doc__, quick="{store} --windows 8")
    parser.add_argument("store", type=Path)
    parser.add_argument("--windows", type=int, default=2000)
    parser.add_argument("--table", type=Path)
    options = parser.parse_args(words)
    store, rng = NoteStore(options.store), np.random.default_rng(16)
    found: dict[int, dict[int, np.ndarray]] = {}
    rows, told = [], []
    files = list(store.files)
    kinds = np.array(kin(store))
    with tempfile.TemporaryDirectory() as folder:
        every = ((file.name, file.sha256, fingerprint(store.notes(n))) for n, file in enumerate(store.files))
        index = PassageIndex.build(every, Path(folder) / "index", origin=str(store.path))
        able = np.flatnonzero(store.counts >= FEWEST_NOTES)
        for seconds in LENGTHS:
            values, begun = [], time.process_time()
            order = np.concatenate([rng.permutation(able) for _ in range(1 + options.windows // len(able))])
            for file in order.tolist():
                notes = stretch(store.notes(file), seconds, rng)
                if len(notes) >= FEWEST_NOTES:
                    own = np.flatnonzero((store.pieces == store.pieces[file]) | (kinds == kinds[file]))
                    copies, _ = stretches(notes, index, own.tolist())
                    best = [max((c.score for c in copies if c.seconds >= least), default=0) for least in LASTING]
                    values.append(best)
                    told += [
                        (seconds, c.score, f"{c.seconds:.1f}", files[file].name, c.name)
                        for c in copies if c.score >= REMARKABLE and c.seconds >= FLAG_SECONDS
                    ]  # fmt: skip
                if len(values) == options.windows:
                    break
            spent = 1000 * (time.process_time() - begun) / len(values)
            found[seconds] = {least: np.sort(scores) for least, scores in zip(LASTING, np.array(values).T, strict=True)}
            for least, scores in found[seconds].items():
                ranks = [np.quantile(scores, q, method="higher") for q in (0.5, 0.9, 0.99, 0.999, 1)]
                rows.append((seconds, least, len(scores), *ranks, f"{spent:.1f}"))
    if options.table:
        Chance(best=found).write(options.table)
    head = ["seconds", "lasting, s", "stretches", "median", "90 %", "99 %", "99.9 %", "most", "ms each"]
    publish(
        options,
        "Passages that people share by chance",
        f"{len(store):,} files, {int(store.counts.sum()):,} notes. Score of the best passage that goes along with "
        f"another work, and that lasts so long: notes of both, a returning passage counted once, less those that only "
        f"one has; 0: less than {FEWEST}.",
        table(head, rows),
        f"Every passage with a score of {REMARKABLE} or more that lasts {FLAG_SECONDS:g} s:" if told else "",
        table(("seconds", "score", "s", "file", "other"), told) if told else "",
    )


if __name__ == "__main__":
    main()
