"""Precision and recall of duplicates on changed copies of real files; sizes and speeds of fingerprints and the index.

    python -m benchmarks.corpus.duplicates FOLDER LABELS [--originals 600] [--copies 100000] [-o result.md]

FOLDER holds MIDI files, LABELS is a CSV with columns path, dataset, composer and title. Every file is indexed. Some,
drawn by a fixed seed, are changed in each of several ways and looked up. A copy is found if its original is among the
files reported as the same performance; a file is reported wrongly if it is neither the original nor reported for the
unchanged original too (what is reported between unchanged files is listed by itself). Other performances: the pairs of
files of one dataset with one composer and title.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import random
import resource
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import mido
import numpy as np

from benchmarks.common import Program, publish, table
from partimento import Performance
from partimento.corpus.duplicates.fingerprints import Fingerprint, fingerprint
from partimento.corpus.duplicates.index import PassageIndex
from partimento.corpus.duplicates.relations import relations
from partimento.errors import UserError
from partimento.tokens.notes import Notes

LONG = 200

CHANGED = ("change", "recall", f"recall, {LONG} notes and more", "precision", "reported wrongly",
           "found, but as another performance")  # fmt: skip

Change = Callable[[Notes, np.random.Generator], Notes]


def reencoded(performance: Performance, rng: np.random.Generator) -> Notes:
    """Written by mido with other ticks, as type 0 or as type 1 with two tracks, and read again."""
    ticks = int(rng.choice([96, 220, 384, 480, 960]))
    middle = int(np.median(performance.pitch))
    split = bool(rng.integers(2))
    file = mido.MidiFile(type=int(split), ticks_per_beat=ticks)
    tempo = int(rng.integers(300_000, 900_000))
    for track in range(1 + split):
        mine = performance.pitch >= middle if track == 0 else performance.pitch < middle
        mine = mine if split else np.ones(len(performance), bool)
        events = []
        for pitch, velocity, onset, duration in zip(
            performance.pitch[mine], performance.velocity[mine], performance.onset[mine], performance.duration[mine],
            strict=True,
        ):  # fmt: skip
            start, end = (round(moment / 1000 / tempo * ticks) for moment in (int(onset), int(onset + duration)))
            events += [(start, 1, int(pitch), int(velocity)), (max(end, start + 1), 0, int(pitch), 0)]
        out = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=tempo)] if track == 0 else [])
        now = 0
        for at, on, pitch, velocity in sorted(events):
            out.append(mido.Message("note_on" if on else "note_off", note=pitch, velocity=velocity, time=at - now))
            now = at
        file.tracks.append(out)
    data = io.BytesIO()
    file.save(file=data)
    return Notes.from_performance(Performance.from_midi(data.getvalue()))


def transposed(notes: Notes, rng: np.random.Generator) -> Notes:
    """By 1 to 6 semitones up or down, as far as the keyboard goes."""
    semitones = int(rng.integers(1, 7)) * int(rng.choice([-1, 1]))
    semitones = min(max(semitones, -int(notes.pitch.min())), 127 - int(notes.pitch.max()))
    return dataclasses.replace(notes, pitch=(notes.pitch.astype(np.int64) + semitones).astype(np.uint8))


def retimed(notes: Notes, rng: np.random.Generator) -> Notes:
    """By a factor from 0.8 to 1.2, in whole milliseconds."""
    return dataclasses.replace(notes, onset_ms=np.round(notes.onset_ms * rng.uniform(0.8, 1.2)).astype(np.int64))


def silence_before(notes: Notes, rng: np.random.Generator) -> Notes:
    """1 to 30 s, kept on the clock."""
    return dataclasses.replace(notes, onset_ms=notes.onset_ms + rng.integers(1000, 30_000))


def silence_inside(notes: Notes, rng: np.random.Generator) -> Notes:
    """2 to 10 s somewhere between a tenth and nine tenths."""
    at = int(len(notes) * rng.uniform(0.1, 0.9))
    wait = rng.integers(2000, 10_000) * (np.arange(len(notes)) >= at)
    return dataclasses.replace(notes, onset_ms=notes.onset_ms + wait)


def without_start(notes: Notes, rng: np.random.Generator) -> Notes:
    """The last 50 to 90 % of the notes."""
    return notes.slice(len(notes) - int(len(notes) * rng.uniform(0.5, 0.9)), len(notes))


def without_end(notes: Notes, rng: np.random.Generator) -> Notes:
    """The first 50 to 90 % of the notes."""
    return notes.slice(0, int(len(notes) * rng.uniform(0.5, 0.9)))


def blurred(notes: Notes, rng: np.random.Generator) -> Notes:
    """Onsets off by a normal error of 20 ms each, and 5 % of the notes lost."""
    stay = rng.random(len(notes)) >= 0.05
    onset = np.maximum(notes.onset_ms + np.round(rng.normal(0, 20, len(notes))).astype(np.int64), 0)[stay]
    order = np.argsort(onset, kind="stable")
    columns = {name: getattr(notes, name)[stay][order] for name in ("duration_ms", "pitch", "velocity", "instrument")}
    return dataclasses.replace(notes, onset_ms=onset[order], **columns)


def everything(notes: Notes, rng: np.random.Generator) -> Notes:
    """Transposed, re-timed, cut at both ends to 60 to 90 %, and blurred."""
    first = int(len(notes) * rng.uniform(0, 0.2))
    last = len(notes) - int(len(notes) * rng.uniform(0.1, 0.2))
    return blurred(transposed(retimed(notes.slice(first, last), rng), rng), rng)


CHANGES: dict[str, Change] = {
    "transposed by 1 to 6, up or down": transposed,
    "re-timed, 0.8 to 1.2": retimed,
    "silence before": silence_before,
    "silence inside, 2 to 10 s": silence_inside,
    "start cut, 50 to 90 % kept": without_start,
    "end cut, 50 to 90 % kept": without_end,
    "20 ms jitter, 5 % of the notes lost": blurred,
    "transposed, re-timed, cut, jitter and loss": everything,
}


def changed(performance: Performance, rng: np.random.Generator) -> Iterator[tuple[str, Notes]]:
    """The performance unchanged and in every change."""
    notes = Notes.from_performance(performance)
    yield "exact", notes
    yield "re-encoded (other ticks and tempo, type 0 or 1)", reencoded(performance, rng)
    for name, change in CHANGES.items():
        yield name, change(notes, rng)


@dataclasses.dataclass(kw_only=True)
class Tally:
    """How one change fared: originals found, of those of 200 notes and more, and found as another performance."""

    found: int = 0
    found_long: int = 0
    as_piece: int = 0
    wrong: list[tuple[int, int]] = dataclasses.field(default_factory=list)


def looked_up(
    originals: list[int], performances: list[Performance], index: PassageIndex, prints: list[Fingerprint]
) -> tuple[dict[str, Tally], list[float]]:
    """The tally of each change, and the milliseconds of processor time of every query."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    waits = []
    for i in originals:
        known = {match.file for match in index.query(prints[i]) if match.same_performance} | {i}
        for name, notes in changed(performances[i], np.random.default_rng([7, i])):
            query = fingerprint(notes)
            start = time.process_time()
            matches = index.query(query)
            waits.append(1000 * (time.process_time() - start))
            same = {match.file for match in matches if match.same_performance}
            tally = tallies[name]
            tally.found += i in same
            tally.found_long += i in same and len(performances[i]) >= LONG
            tally.as_piece += any(match.file == i and not match.same_performance for match in matches)
            tally.wrong += [(i, other) for other in sorted(same - known)]
    return tallies, waits


def table_of(tallies: dict[str, Tally], n: int, n_long: int) -> str:
    """A row for each change."""
    rows = []
    for name, tally in tallies.items():
        precision = tally.found / max(1, tally.found + len(tally.wrong))
        shares = tally.found / n, tally.found_long / n_long, precision
        rows.append((name, *(f"{share:.4f}" for share in shares), len(tally.wrong), f"{tally.as_piece / n:.4f}"))
    return table(CHANGED, rows)


def other_performances(
    rows: list[dict[str, str]], index: PassageIndex, prints: list[Fingerprint], dataset: str
) -> dict[str, float]:
    """What is said about the pairs of one dataset, of which those of one composer and title are one piece."""
    mine = [i for i, row in enumerate(rows) if row["dataset"] == dataset]
    titles = defaultdict(set)
    for i in mine:
        titles[rows[i]["composer"], rows[i]["title"]].add(i)
    said: dict[tuple[int, int], bool] = {}
    for i in mine:
        for match in index.query(prints[i]):
            if match.file != i:
                pair = min(i, match.file), max(i, match.file)
                said[pair] = said.get(pair, False) or match.same_performance
    pairs = {pair for files in titles.values() for pair in itertools.combinations(sorted(files), 2)}
    inside = {pair: same for pair, same in said.items() if all(rows[i]["dataset"] == dataset for i in pair)}
    return {
        "pairs": len(pairs),
        "found": sum(pair in said for pair in pairs) / len(pairs),
        "as one performance": sum(said.get(pair, False) for pair in pairs),
        "reported": len(inside),
        "one title": sum(pair in pairs for pair in inside),
        "one composer": sum(rows[a]["composer"] == rows[b]["composer"] for a, b in inside),
    }


def at_scale(performances: list[Performance], copies: int) -> dict[str, float]:
    """Group the files and `copies` changed copies of them; how many stand in the group of their original."""
    rng = np.random.default_rng(11)
    changes = list(CHANGES.values())
    originals = [Notes.from_performance(performance) for performance in performances]
    prints: list[Fingerprint] = []
    counts, source, total = [], [], 0
    for n in range(copies):
        i = n % len(performances)
        round_ = n // len(performances)
        notes = originals[i] if round_ == 0 else changes[int(rng.integers(len(changes)))](originals[i], rng)
        prints.append(fingerprint(notes))
        counts.append(len(notes))
        source.append(i)
        total += len(notes)
    started, cpu = time.perf_counter(), time.process_time()
    groups = relations(prints, counts)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    leader = groups.performance_group
    origin = np.array(source)
    first = leader[: len(performances)]  # the groups of the unchanged files
    joined = leader[len(performances) :] == first[origin[len(performances) :]]
    alone = relations(prints[: len(performances)], counts[: len(performances)]).performance_group
    strangers = alone[origin[leader]] != alone[origin]
    return {
        "files": len(prints),
        "notes": total,
        "seconds": seconds,
        "cpu": cpu,
        "joined": float(joined.mean()),
        "strangers": int(strangers.sum()),
        "groups": len(set(leader.tolist())),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


def between_unchanged(
    rows: list[dict[str, str]], prints: list[Fingerprint], counts: list[int]
) -> tuple[Counter[str], Counter[int], int]:
    """Files of a known performance among the files as they are, by dataset; sizes of piece groups; performances."""
    groups = relations(prints, counts)
    pairs: Counter[str] = Counter()
    for i, leader in enumerate(groups.performance_group.tolist()):
        if leader != i:
            pairs[" and ".join(sorted({rows[i]["dataset"], rows[leader]["dataset"]}))] += 1
    sizes = Counter(Counter(groups.piece_group.tolist()).values())
    return pairs, sizes, len(set(groups.performance_group.tolist()))


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the page."""
    parser = Program(__file__, __doc__, quick="{midi} {labels} --originals 4 --copies 40")
    parser.add_argument("folder", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--originals", type=int, default=600)
    parser.add_argument("--copies", type=int, default=100_000)
    arguments = parser.parse_args(words)

    rows, performances, prints, seconds, notes_total = [], [], [], 0.0, 0
    fingerprint(Notes.from_performance(Performance.from_notes(pitch=[60], velocity=60, onset=[0], duration=[1])))
    with arguments.labels.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                performance = Performance.from_midi(arguments.folder / row["path"])
            except UserError:
                continue
            notes = Notes.from_performance(performance)
            if not len(notes):
                continue
            start = time.process_time()
            prints.append(fingerprint(notes))
            seconds += time.process_time() - start
            rows.append(row)
            performances.append(performance)
            notes_total += len(notes)
    speed = f"{len(prints) / seconds:,.0f} files/s, {notes_total / seconds / 1e6:.1f} M notes/s"
    relations(prints[:50], [len(p) for p in performances[:50]])

    with tempfile.TemporaryDirectory() as scratch:
        started = time.process_time()
        named = ((row["path"], "", kept) for row, kept in zip(rows, prints, strict=True))
        index = PassageIndex.build(named, Path(scratch, "index"))
        building = time.process_time() - started
        index_bytes = sum(path.stat().st_size for path in index.path.iterdir()) / notes_total
        index.query(prints[0])
        originals = sorted(random.Random(0).sample(range(len(rows)), arguments.originals))
        tallies, waits = looked_up(originals, performances, index, prints)
        longer = sum(len(performances[i]) >= LONG for i in originals)
        other = other_performances(rows, index, prints, "asap")
    pairs, sizes, groups = between_unchanged(rows, prints, [len(p) for p in performances])
    large = at_scale(performances, arguments.copies)
    stored = sum(len(kept.to_bytes()) for kept in prints) / notes_total
    wrong = Counter(pair for tally in tallies.values() for pair in tally.wrong)
    wrongly = "\n".join(f"- {rows[a]['path']}: {rows[b]['path']} ({count} x)" for (a, b), count in wrong.most_common())
    queries = " / ".join(f"{np.percentile(waits, q):.2f}" for q in (50, 90, 99))
    listed = (f"{n} x {size}" for size, n in sorted(sizes.items()))
    publish(
        arguments,
        "Duplicates",
        f"{len(rows):,} files, {notes_total:,} notes, all indexed; {len(originals)} of them changed and looked up.",
        "## The same performance",
        table_of(tallies, len(originals), longer),
        f"{longer} of the {len(originals)} originals have {LONG} notes and more. Reported wrongly were, for changed "
        "copies of:",
        wrongly,
        f"Among the {len(rows):,} files as they are, {sum(pairs.values())} are reported to be a performance that is "
        f"there already ({groups:,} performances remain): "
        f"{', '.join(f'{count} in {name}' for name, count in pairs.most_common())}.",
        "## Another performance of the same piece",
        f"ASAP has {other['pairs']:,.0f} pairs of performances of one title: {other['found']:.4f} of them are found to "
        f"be one piece, {other['as one performance']:.0f} of these are taken for one performance. Of "
        f"{other['reported']:,.0f} pairs reported inside ASAP {other['one title']:,.0f} have one title, "
        f"{other['one composer']:,.0f} one composer.",
        f"Sizes of the groups of one piece among all files: {', '.join(listed)}.",
        "## Size and speed",
        "One core; times are processor time, but where the clock is named.",
        table(
            ["what", "figure"],
            [
                ("fingerprint(), notes in memory", speed),
                ("Fingerprint.to_bytes()", f"{stored:.2f} bytes a note"),
                ("passage index on disk", f"{index_bytes:.2f} bytes a note"),
                ("building the index", f"{len(rows) / building:,.0f} files/s"),
                ("query of one file, median, 90 %, 99 %", f"{queries} ms"),
                (
                    f"relations() of {large['files']:,} files, {large['notes'] / 1e6:.0f} M notes",
                    f"{large['cpu']:.0f} s",
                ),
                ("the same by the clock", f"{large['seconds']:.0f} s"),
                ("copies in the group of their original", f"{large['joined']:.4f}"),
                ("files in the group of a file they are not related to", large["strangers"]),
                ("most memory of this benchmark, corpus included", f"{large['memory']:.1f} GB"),
            ],
        ),
    )


if __name__ == "__main__":
    main()
