"""How well a machine is told from hands: sequenced files as they are, on a constant clock, with jitter; and players.

    python -m benchmarks.corpus.synthesised MIDI_FOLDER LABELS.csv -o benchmarks/corpus/synthesised.md

Of LABELS.csv's data sets piano-midi.de and POP909 were sequenced, and `sequenced()` below makes 200 files more: tunes
over chords with a swaying tempo, which no threshold was chosen on. Rolls of 88 notes were cut by a stencil, from a
score; PiJAMA, ASAP and the other rolls were played. EMOPIA's covers from YouTube are some of each, and nobody has said
which. A changed file is what a sequencer's transcription may be: all on one tempo, and onsets and releases off by a
normal error.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import Program, publish, table, times
from partimento.corpus.selection.quality import FILTERS
from partimento.corpus.selection.recipes import selection_recipe
from partimento.corpus.survey.clockwork import timing
from partimento.corpus.survey.measurements import Measurements, measure
from partimento.corpus.survey.run import survey_file
from partimento.errors import UserError
from partimento.midi.columns import NS_PER_S
from partimento.midi.performance import Performance
from partimento.midi.reader import read

NAMES = ("synthesised", "too-together", "too-legato", "too-even")
OF_NOTES = NAMES[1:]
PER_SET = 500
MACHINES = ("piano-midi.de", "POP909", "made here")
RECORDED = ("PiJAMA", "ASAP", "recorded rolls")
SETS = {
    "cpm_piano_midi_de": "piano-midi.de",
    "pop909": "POP909",
    "pijama": "PiJAMA",
    "asap": "ASAP",
    "emopia": "EMOPIA",
}

Change = Callable[[Performance, np.random.Generator], Performance]


def sequenced(rng: np.random.Generator) -> Performance:
    """90 to 180 s of tune and chords on sixteenths, a tempo that sways by up to 8 % of itself."""
    rows, now, eighth, beats = [], 1.0, rng.uniform(0.18, 0.35), rng.uniform(90, 180)
    root, sway, legato = rng.integers(36, 48), rng.uniform(0, 0.08), rng.uniform(0.7, 1.0)
    while now < beats:
        length = eighth * (1 + sway * np.sin(now / 5))
        if rng.random() < 0.4:
            rows += [(now, 2 * length * legato, root + step, 58 + rng.integers(8)) for step in (0, 7, 12, 16)]
        at = 0.0
        while at < 2:
            step = float(rng.choice([0.5, 1, 1, 2]))
            rows.append((now + at * length, step * length * legato, 60 + rng.integers(24), 70 + rng.integers(12)))
            at += step
        now += 2 * length
        root = int(rng.integers(36, 48)) if rng.random() < 0.2 else root
    onset, duration, pitch, velocity = np.array(sorted(rows)).T
    return Performance.from_notes(
        onset=onset, duration=duration, pitch=pitch.astype(int), velocity=velocity.astype(int)
    )


def jitter(milliseconds: float) -> Change:
    def change(performance: Performance, rng: np.random.Generator) -> Performance:
        n = len(performance)
        onset = performance.onset / NS_PER_S + rng.normal(0, milliseconds / 1000, n)
        release = (performance.onset + performance.duration) / NS_PER_S + rng.normal(0, milliseconds / 1000, n)
        return moved(performance, np.maximum(onset, 0), release)

    return change


def rounded(performance: Performance, _rng: np.random.Generator) -> Performance:
    """As a transcriber with frames of 10 ms writes it."""
    onset, release = performance.onset, performance.onset + performance.duration
    return moved(performance, np.round(onset / NS_PER_S, 2), np.round(release / NS_PER_S, 2))


def moved(performance: Performance, onset: np.ndarray, release: np.ndarray) -> Performance:
    order = np.argsort(onset, kind="stable")
    return Performance.from_notes(
        onset=onset[order],
        duration=np.maximum(release - onset, 0.01)[order],
        pitch=performance.pitch[order],
        velocity=performance.velocity[order],
    )


CHANGES: dict[str, Change] = {
    "on a constant clock": jitter(0),
    "with 5 ms of jitter": jitter(5),
    "with 10 ms of jitter": jitter(10),
    "rounded to 10 ms": rounded,
}


def numbers(found: Measurements) -> list[float]:
    return [getattr(found, FILTERS[name].column) for name in NAMES]


def velocity_entropy(performance: Performance) -> float:
    share = np.bincount(performance.velocity) / max(1, len(performance))
    return float(-(share[share > 0] * np.log2(share[share > 0])).sum())


def rewritten(performance: Performance) -> list[float]:
    """What is measured once it is written on one tempo and read again."""
    reading = read(performance.to_midi())
    return numbers(measure(Performance.of(reading), reading.onset_ticks))


def collections(midi: Path, labels: Path) -> Iterator[tuple[str, Path]]:
    """The set and the path of every labelled file, in an order that says nothing of them."""
    with labels.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for i in np.random.default_rng(1).permutation(len(rows)):
        row = rows[i]
        name = SETS.get(row["dataset"])
        if row["dataset"] == "pianolatron":
            name = "rolls of 88 notes" if row["pianist"].endswith(("|88-note", "|65-note")) else "recorded rolls"
        if name and (midi / row["path"]).is_file():
            yield name, midi / row["path"]


def gathered(
    midi: Path, labels: Path, made: int
) -> tuple[dict[tuple[str, str], np.ndarray], dict[str, list[float]], list[bytes]]:
    """What is measured, float64 [files, NAMES], by set and change; the entropy of velocities; and some files' bytes."""
    found: dict[tuple[str, str], list[list[float]]] = {}
    changed: dict[str, int] = {}
    some: list[bytes] = []

    touch: dict[str, list[float]] = {}

    def add(name: str, performance: Performance, own: list[float], changes: dict[str, Change]) -> None:
        found.setdefault((name, "as it is"), []).append(own)
        touch.setdefault(name, []).append(velocity_entropy(performance))
        changed[name] = changed.get(name, 0) + 1
        for number, (what, change) in enumerate(changes.items()):
            if changed[name] <= PER_SET:
                rng = np.random.default_rng([number, changed[name]])
                found.setdefault((name, what), []).append(rewritten(change(performance, rng)))

    for name, path in collections(midi, labels):
        data = path.read_bytes()
        try:
            reading = read(data)
        except UserError:
            continue
        some += [data] if len(some) < PER_SET else []
        machine = name in MACHINES or name == "rolls of 88 notes"
        changes = CHANGES if machine else {"rounded to 10 ms": rounded}
        add(name, Performance.of(reading), numbers(measure(Performance.of(reading), reading.onset_ticks)), changes)
    for seed in range(made):
        performance = sequenced(np.random.default_rng([2, seed]))
        add("made here", performance, rewritten(performance), CHANGES)
    return {key: np.array(rows) for key, rows in found.items()}, touch, some


def shares(rows: np.ndarray, bounds: np.ndarray) -> list[str]:
    """By all filters together, the grid's alone, and those of notes."""
    takes = rows > bounds
    cells = [takes.any(axis=1), takes[:, 0], takes[:, 1:].any(axis=1), *takes[:, 1:].T]
    return [f"{100 * cell.mean():.1f}" for cell in cells]


def curves(found: dict[tuple[str, str], np.ndarray]) -> str:
    """One measure at a time: what it finds when its bound takes 0.1, 0.5, 1 or 2 % of the recorded files."""
    recorded = np.concatenate([found[name, "as it is"] for name in RECORDED])
    columns = [(name, what) for what in ("on a constant clock", "with 5 ms of jitter") for name in MACHINES]
    rows = []
    for place, name in enumerate(NAMES):
        for wrongly in (0.1, 0.5, 1, 2):
            bound = np.percentile(recorded[:, place], 100 - wrongly)
            cells = (f"{100 * (found[column][:, place] > bound).mean():.1f}" for column in columns)
            rows.append((f"`{FILTERS[name].column}`", wrongly, f"{bound:.3f}", *cells))
    return table(["measure", "taken wrongly, %", "bound", *(f"{name} {what}" for name, what in columns)], rows)


def cost(files: list[bytes]) -> tuple[float, float]:
    """Microseconds of processor time a file: the three measures, and all that a survey does with it; best of three."""
    performances = [Performance.from_midi(data) for data in files]
    columns = [(each.onset, each.onset + each.duration) for each in performances]

    def best(work: Callable[[], object]) -> float:
        return 1e6 * min(times(work, 3)) / len(files)

    return best(lambda: [timing(*each) for each in columns]), best(lambda: [survey_file("a.mid", d) for d in files])


def main(words: Sequence[str] | None = None) -> None:
    parser = Program(__file__, __doc__, quick="{midi} {labels} --made 4")
    parser.add_argument("midi", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--made", type=int, default=200, help="tunes made up here")
    arguments = parser.parse_args(words)
    found, touch, some = gathered(arguments.midi, arguments.labels, arguments.made)
    bounds = np.array([selection_recipe("finetune").filters[name] for name in NAMES])

    def by_set(sets: tuple[str, ...]) -> str:
        rows = [
            (f"{name}, {what}", f"{len(found[name, what]):,}", *shares(found[name, what], bounds))
            for name in sets
            for what in ("as it is", *CHANGES)
            if (name, what) in found
        ]
        own = (f"`{name}`" for name in OF_NOTES)
        return table(["files", "number", "all", "`synthesised` alone", "of the notes", *own], rows)

    touches = "; ".join(
        f"{name} {' / '.join(f'{bits:.1f}' for bits in np.percentile(touch[name], (5, 50, 95)))}"
        for name in ("piano-midi.de", "POP909", "PiJAMA", "ASAP", "EMOPIA")
    )
    recorded = np.concatenate([found[name, "as it is"] for name in RECORDED])
    mine, whole = cost(some)
    limits = ", ".join(f"`{name}` {bound:g}" for name, bound in zip(NAMES, bounds, strict=True))
    publish(
        arguments,
        "Files that a machine plays",
        f"Shares in percent of the files that the bounds of `finetune` take: {limits}. `synthesised` looks at the "
        "file's written beats; the three others look at onsets and releases alone.",
        "## What was sequenced",
        by_set((*MACHINES, "rolls of 88 notes")),
        f"Changed files are at most {PER_SET} of each set, written anew with one tempo. Rolls of 88 notes were cut by "
        f"a stencil. Velocities do not tell. Bits of their entropy, 5 / 50 / 95 % of the files: {touches}.",
        "## What was played",
        by_set((*RECORDED, "EMOPIA")),
        f"False alarms: {100 * (recorded > bounds).any(axis=1).mean():.2f} % of {len(recorded):,} recorded files, all "
        "filters together. EMOPIA holds covers from YouTube, of which many were made with a sequencer or to a click; "
        "nobody has said which, so they count for neither side.",
        "## One measure alone",
        curves(found),
        "The bounds in use were chosen with PiJAMA, ASAP, the rolls, piano-midi.de and POP909 in view, so that "
        "recordings rounded to 10 ms pass too; the files made here were not looked at for it.",
        "## Cost",
        f"The three measures take {mine:.0f} us of processor time a file, a whole survey of it {whole:.0f} us "
        f"({100 * mine / whole:.1f} %).",
    )


if __name__ == "__main__":
    main()
