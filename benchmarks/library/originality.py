"""Are copies found and people left in peace? Planted copies, unrelated human music, and what a look-up costs.

    python -m benchmarks.library.originality STORE [--planted 1000] [--unrelated 1000] [--half first] -o PAGE.md

STORE is a note store with a split that was held out. What was learned from is indexed. A planted copy is 10 to 20 s, of
at least 100 notes, from a file that was learned from, changed in one of several ways and put into 45 s of a held-out
file in the place of as much. It is found if a passage that would be flagged, or is repertoire and as long, has its
piece for a source and lies where the copy does. Unrelated music is 45 s of held-out files; what was learned from and
may hold the same work (`chance.kin`) is left out. Every look-up counts 15 s as the prompt, as `partimento continue`
does.

Copies come from one half of the files that were learned from, and go into one half of those held out: whatever there is
to choose is chosen on the first halves, and what the page says is of the second.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import Program, percent, publish, table
from benchmarks.corpus.duplicates import transposed
from benchmarks.library.chance import kin, stretch
from benchmarks.library.copying import index_of, performance
from partimento.corpus.duplicates.index import PassageIndex
from partimento.corpus.store.note_store import NoteStore
from partimento.library.originality import Originality, originality
from partimento.library.originality.judge import FLAG_NOTES, FLAG_P, FLAG_SECONDS
from partimento.tokens.notes import Notes

PROMPT, SECONDS, FEWEST_NOTES = 15.0, 45.0, 100
LENGTHS = (50, 60, 75, 100, 150, 200)
HALVES = ("first", "second")
Change = Callable[[Notes, np.random.Generator], Notes]


def of(onset_ms: np.ndarray, pitch: np.ndarray) -> Notes:
    """Notes by onset and pitch; nothing else counts here."""
    order = np.argsort(onset_ms, kind="stable")
    few = np.empty(0, np.int64)
    return Notes(
        onset_ms=np.maximum(onset_ms[order], 0).astype(np.int64),
        duration_ms=np.full(len(order), 100, np.int64),
        pitch=np.clip(pitch[order], 0, 127).astype(np.uint8),
        velocity=np.full(len(order), 64, np.uint8),
        instrument=np.zeros(len(order), np.uint8),
        pedal_ms=few,
        pedal_down=few.astype(np.uint8),
    )


def as_it_is(notes: Notes, _rng: np.random.Generator) -> Notes:
    return notes


def retimed(notes: Notes, rng: np.random.Generator) -> Notes:
    """0.8 to 1.25 times as long."""
    return dataclasses.replace(notes, onset_ms=np.round(notes.onset_ms * rng.uniform(0.8, 1.25)).astype(np.int64))


def uneven(notes: Notes, rng: np.random.Generator) -> Notes:
    """A normal error of 20 ms on every onset."""
    return of(notes.onset_ms + np.round(rng.normal(0, 20, len(notes))), notes.pitch)


def thinned(notes: Notes, rng: np.random.Generator) -> Notes:
    """Without one note in twenty."""
    stay = rng.random(len(notes)) >= 0.05
    return of(notes.onset_ms[stay], notes.pitch[stay])


def ornamented(notes: Notes, rng: np.random.Generator) -> Notes:
    """One note in twenty has a grace note 70 ms before it, or a mordent (two notes, 70 and 140 ms behind it)."""
    chosen = np.flatnonzero(rng.random(len(notes)) < 0.05)
    mordent = rng.random(len(chosen)) < 0.5
    step = rng.choice([-2, -1, 1, 2], len(chosen))
    at, pitch = notes.onset_ms[chosen], notes.pitch[chosen].astype(np.int64)
    onset = np.concatenate([notes.onset_ms, at + np.where(mordent, 70, -70), at[mordent] + 140])
    return of(onset, np.concatenate([notes.pitch, pitch + step, pitch[mordent]]))


def everything(notes: Notes, rng: np.random.Generator) -> Notes:
    """All of it."""
    return thinned(uneven(ornamented(retimed(transposed(notes, rng), rng), rng), rng), rng)


CHANGES: dict[str, tuple[Change, float | None]] = {
    "as it is": (as_it_is, 0.99),
    "transposed by 1 to 6, up or down": (transposed, 0.98),
    "0.8 to 1.25 times as long": (retimed, 0.98),
    "20 ms of jitter": (uneven, 0.97),
    "5 % of the notes lost": (thinned, 0.97),
    "5 % of the notes ornamented": (ornamented, 0.95),
    "all of these at once": (everything, None),
}
"""Each change, and how many are to be found."""


def planted(host: Notes, copy: Notes) -> tuple[Notes, int, int]:
    """The host with a copy in the place of as much of its second half, and where that begins and ends (ms)."""
    begin = int(1000 * PROMPT) + 5000
    end = begin + int(copy.onset_ms[-1])
    rest = (host.onset_ms < begin - 100) | (host.onset_ms > end + 100)
    onset = np.concatenate([host.onset_ms[rest], copy.onset_ms + begin])
    return of(onset, np.concatenate([host.pitch[rest], copy.pitch])), begin, end


class Bench:
    """The store, the index of what was learned from, and music drawn from both."""

    def __init__(self, store: NoteStore, index: PassageIndex, half: str) -> None:
        self.store, self.index = store, index
        learned, held_out = store.split("train"), store.split("validation")
        self.held_out = held_out[store.counts[held_out] >= FEWEST_NOTES]
        self.pieces = store.pieces[learned]
        self.kin = np.array(kin(store))
        self.kin_learned = self.kin[learned]
        which, draw = HALVES.index(half), np.random.default_rng(15)
        self.sources = draw.permutation(learned[store.counts[learned] >= 2 * FEWEST_NOTES])[which::2]
        self.hosts = draw.permutation(self.held_out)[which::2]

    def host(self, rng: np.random.Generator, file: int | None = None) -> Notes:
        """A minute of held-out music: prompt and continuation."""
        file = int(rng.choice(self.hosts)) if file is None else file
        return stretch(self.store.notes(file), PROMPT + SECONDS, rng)

    def source(self, rng: np.random.Generator, notes: int | None = None) -> tuple[int, Notes]:
        """A file that was learned from and 10 to 20 s of it, or so many notes; at least 5 s."""
        while True:
            file = int(rng.choice(self.sources))
            all_ = self.store.notes(file)
            if notes is None:
                taken = stretch(all_, rng.uniform(10, 20), rng)
            else:
                begin = int(rng.integers(0, len(all_) - notes + 1)) if len(all_) >= notes else 0
                taken = all_.slice(begin, begin + notes)
            enough = len(taken) >= (FEWEST_NOTES if notes is None else notes)
            if enough and 1000 * FLAG_SECONDS <= taken.onset_ms[-1] <= 30_000:
                return file, taken

    def look_up(self, notes: Notes, without: Sequence[int] = ()) -> Originality:
        return originality(performance(notes), against=self.index, prompt_seconds=PROMPT, without=without)

    def unrelated(self, file: int, rng: np.random.Generator) -> tuple[Originality, float]:
        """What a stretch of a held-out file shares with other works, and the milliseconds that it took to look."""
        music, own = self.host(rng, file), np.flatnonzero(self.kin_learned == self.kin[file]).tolist()
        begun = time.process_time()
        return self.look_up(music, own), 1000 * (time.process_time() - begun)

    def found(self, change: Change, rng: np.random.Generator, notes: int | None = None) -> tuple[bool, float]:
        """Whether one planted copy is found, and the part of its notes that the passage has."""
        file, taken = self.source(rng, notes)
        copy = change(taken, rng)
        music, begin, end = planted(self.host(rng), copy)
        for passage in self.look_up(music).passages:
            first, last = passage.copy.query_ms
            there = first >= begin - 2000 and last <= end + 2000
            if there and passage.long and self.pieces[passage.copy.file] == self.store.pieces[file]:
                return True, passage.notes / len(copy)
        return False, 0.0


def main(words: Sequence[str] | None = None) -> None:
    quick = "{store} --planted 1 --unrelated 2 --sweep 1"
    parser = Program(__file__, __doc__, quick=quick)
    parser.add_argument("store", type=Path)
    parser.add_argument("--planted", type=int, default=1000)
    parser.add_argument("--sweep", type=int, default=300, help="planted copies of each length and change")
    parser.add_argument("--unrelated", type=int, default=1000)
    parser.add_argument("--half", choices=HALVES, default=HALVES[1])
    options = parser.parse_args(words)
    store = NoteStore(options.store)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(store, index_of(store, Path(folder) / "index"), options.half)
        rows, sweep = [], []
        for number, (name, (change, wanted)) in enumerate(CHANGES.items()):
            draws = [np.random.default_rng([16, number, k]) for k in range(options.planted)]
            found = [bench.found(change, rng) for rng in draws]
            share = np.mean([hit for hit, _ in found])
            part = np.median([part for hit, part in found if hit] or [0])
            rows.append((name, percent(share, 1), percent(wanted) if wanted else "", percent(part)))
            hits = (
                np.mean([bench.found(change, np.random.default_rng([17, number, length, k]), length)[0]
                         for k in range(options.sweep)])
                for length in LENGTHS
            )  # fmt: skip
            sweep.append((name, *(percent(hit) for hit in hits)))
            print(rows[-1], sweep[-1], flush=True)
        files = np.resize(np.random.default_rng(18).permutation(bench.held_out), options.unrelated)
        looked = [bench.unrelated(file, np.random.default_rng([19, k])) for k, file in enumerate(files.tolist())]
        human, waits = zip(*looked, strict=True)
        size = sum(path.stat().st_size for path in bench.index.path.iterdir())
    flagged = sum(each.flagged for each in human)
    rare = sum(any(passage.p is not None and passage.p < FLAG_P for passage in each.passages) for each in human)
    spent = " / ".join(f"{np.percentile(waits, q):.1f}" for q in (50, 95, 99))
    learned = store.split("train")
    publish(
        options,
        "Originality",
        f"{len(learned):,} files that were learned from, {int(store.counts[learned].sum()):,} notes; index of "
        f"{size / 1e6:.1f} MB.",
        "## Planted copies",
        f"{options.planted:,} of each change, 10 to 20 s and at least {FEWEST_NOTES} notes.",
        table(("change", "found", "wanted", "of its notes, median"), rows),
        f"{options.sweep} copies of exactly so many notes (5 to 30 s):",
        table(("change", *(f"{length} notes" for length in LENGTHS)), sweep),
        "## Unrelated human music",
        f"{len(human):,} stretches of {PROMPT + SECONDS:g} s of {len(np.unique(files)):,} held-out files: {flagged} "
        f"flagged. {rare} have a passage with p < {FLAG_P:g}, which the other two bounds ({FLAG_NOTES} notes, "
        f"{FLAG_SECONDS:g} s) do not flag.",
        "## Time",
        f"A take of {SECONDS:g} s behind a prompt of {PROMPT:g} s, milliseconds of one core, median / 95 % / 99 %: "
        f"{spent}.",
    )


if __name__ == "__main__":
    main()
