"""Does a model use what follows a gap? And are its fillings fit to be heard?

    python -m benchmarks.generate.filling FOLDER --model MODEL [--files 21] [-o benchmarks/generate/filling.md]

Files are drawn with seed 0 from a folder of MIDI files that the model was not trained on. In each a gap of 7.5 s is
drawn, and what really stands there is scored twice by the same model: after what leads up to it alone, and with what
follows it in front. The difference, in nats a note, is what knowing the future is worth; in the gap's last quarter it
should be largest.

Then gaps of 2.5, 7.5 and 20 s that begin at that place are filled twice each, and each filling is held to its promises:
new notes lie in the gap, every token decodes, the rest is the same to the bit, and no 50 ms hold more notes than a
pianist can press. A join is scored by the same model as a plain continuation: the first 16 notes behind it, after what
leads up to it. On the left that is how well the filling takes up what was before, on the right how well what follows
goes with the filling; beside it stand what the pianist played there, and for the right side a gap left empty.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import Program, midi_files, publish, table
from partimento import Engine, Performance, Tokenizer
from partimento.generate.prompt.events import Event, around_gap, latest, spell, split
from partimento.generate.prompt.gap import Gap
from partimento.generate.prompt.start import begin_gap
from partimento.generate.settings import Continuation
from partimento.midi.columns import NS_PER_S
from partimento.tokens.vocabulary import Kind

SECONDS = 7.5
FILLED_SECONDS = (2.5, 7.5, 20.0)
PARTS = 4
JOINED_NOTES = 16
JOINED_IDS = 256  # of what leads up to a join
GAPS = ("gap", "sound", "notes/s, pianist", "filling", "most at once, pianist", "filling", "above 12", "denser",
        "retries", "fallbacks")  # fmt: skip
COLUMNS = ("pitch", "velocity", "onset", "duration", "channel")


@dataclass(frozen=True, slots=True, kw_only=True)
class Filled:
    """What came of one gap, the pianist's figure first in pairs.

    `joins` in nats a note: left and right of what the pianist played, left and right of the filling, right of an empty
    gap.
    """

    seconds: float
    sound: bool
    notes: tuple[int, int]
    densest: tuple[int, ...]
    retries: int
    fallback: str | None
    joins: NDArray[np.float64]


def main(words: Sequence[str] | None = None) -> None:
    """Score, fill, check, write the tables."""
    parser = Program(__file__, __doc__, quick="{midi} --model bundled --files 1")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--engine", default="onnx-int8")
    parser.add_argument("--files", type=int, default=21)
    arguments = parser.parse_args(words)
    paths = midi_files(arguments.folder)
    engine, chance = Engine.load(arguments.model, engine=arguments.engine), random.Random(0)
    nats, notes, files = np.zeros((2, PARTS)), np.zeros(PARTS), 0
    fillings: list[Filled] = []
    for path in chance.sample(paths, len(paths)):
        performance = Performance.from_midi(path)
        if performance.seconds < 60:
            continue
        begin = chance.uniform(20, performance.seconds - 30)
        if len(performance.slice_time(begin, begin + SECONDS)) < PARTS:
            continue
        plain, arranged, counted = scored(engine, performance, begin)
        nats, notes = nats + np.stack([plain, arranged]), notes + counted
        fillings += [one for seconds in FILLED_SECONDS for one in filled(engine, performance, begin, seconds)]
        files += 1
        print(path.name, [(one.densest, one.retries, one.fallback) for one in fillings[-2 * len(FILLED_SECONDS) :]])
        if files == arguments.files:
            break
    publish(
        arguments,
        "What stands in a gap, foretold and filled",
        f"{files} held-out performances, a gap in each. Model {Path(arguments.model).name}, "
        f"{engine.backend.description}. Nats a note, lower is better.",
        f"What pianists played in gaps of {SECONDS} s, {int(notes.sum())} notes:",
        foretold(nats, notes),
        *kept(fillings),
    )


def foretold(nats: NDArray[np.float64], notes: NDArray[np.float64]) -> str:
    """The table of what the pianists played in the gaps."""
    per_note = np.column_stack([nats / notes, nats.sum(axis=1) / notes.sum()])
    rows = [
        (name, *(f"{value:.2f}" for value in values))
        for name, values in zip(("what leads up to it", "and what follows it"), per_note, strict=True)
    ]
    return table(["given", "first quarter", "second", "third", "last", "whole gap"], rows)


def kept(fillings: list[Filled]) -> list[str]:
    """The tables of what the gaps were filled with."""
    rows, joins = [], []
    for seconds in FILLED_SECONDS:
        those = [f for f in fillings if f.seconds == seconds]
        densest = np.array([f.densest for f in those])
        theirs, ours = np.array([f.notes for f in those]).sum(axis=0) / (seconds * len(those))
        rows.append(
            (
                f"{seconds:g} s",
                f"{sum(f.sound for f in those)} of {len(those)}",
                f"{theirs:.1f}",
                f"{ours:.1f}",
                *densest.max(axis=0),
                (densest[:, 1] > 12).sum(),
                (densest[:, 1] > densest[:, 0].clip(6)).sum(),
                f"{np.mean([f.retries for f in those]):.2f}",
                sum(f.fallback is not None for f in those),
            )
        )
        medians = np.median([f.joins for f in those], axis=0)[[0, 2, 1, 3, 4]]
        joins.append((f"{seconds:g} s", *(f"{value:.2f}" for value in medians)))
    return [
        f"{len(fillings)} fillings. Sound: notes lie in their gap, all tokens decode, the rest stays to the bit. At "
        "once: within 50 ms, what is given counted with what is new; denser: more than the pianist had, and than 6.",
        table(GAPS, rows),
        f"Joins, median nats a note of the first {JOINED_NOTES} notes behind them:",
        table(["gap", "left: pianist", "filling", "right: pianist", "filling", "left empty"], joins),
    ]


def scored(engine: Engine, performance: Performance, begin: float) -> tuple[NDArray, NDArray, NDArray]:
    """Nats of the gap's own events [PARTS] without and with what follows, and its notes [PARTS]."""
    v, context = engine.vocabulary, engine.context
    gap = Gap.open(performance, begin, begin + SECONDS)
    start = begin_gap(v, gap, context=context, pedal=False)
    events = spelt(engine, inside(performance, gap), start.clock_ns)
    given, origin = around_gap(v, start.prefix, start.events, start.after, context // 2, context=context)
    before = [event for event in start.events if event.ms >= origin]
    alone = spell(v, start.prefix, before, origin=origin)
    own = spell(v, start.prefix, [*before, *events], origin=origin)[len(alone) :][: context - len(given)]
    kinds = v.kind_of[own]
    number = np.cumsum(kinds == Kind.NOTE) - (kinds == Kind.NOTE)  # a <T> goes with the note behind it
    number = np.where(kinds == Kind.SEGMENT, number, np.cumsum(kinds == Kind.NOTE) - 1)
    times = np.array([event.ms for event in events]) - (gap.start_ns - start.clock_ns) / 1e6
    part = np.clip(times / (1000 * SECONDS) * PARTS, 0, PARTS - 1).astype(int)[np.minimum(number, len(events) - 1)]
    totals = [np.bincount(part, nats_of(engine, [*head, *own], len(own)), PARTS) for head in (alone, given)]
    return totals[0], totals[1], np.bincount(part[kinds == Kind.NOTE], minlength=PARTS)


def nats_of(engine: Engine, tokens: list[int], last: int) -> NDArray[np.float64]:
    """Nats of each of the last tokens."""
    cache = engine.backend.cache(batch=1, capacity=len(tokens))
    logits_TV = engine.backend.read([tokens[:-1]], cache, last=last)[0].astype(np.float64)
    logits_TV -= logits_TV.max(axis=1, keepdims=True)
    return np.log(np.exp(logits_TV).sum(axis=1)) - logits_TV[np.arange(last), tokens[-last:]]


def filled(engine: Engine, performance: Performance, begin: float, seconds: float) -> list[Filled]:
    """Fills the gap in two variations and looks at what came."""
    gap = Gap.open(performance, begin, begin + seconds)
    own = inside(performance, gap)
    start = begin_gap(engine.vocabulary, gap, context=engine.context, pedal=False)
    before, after = list(start.events), list(start.after)

    def joins(notes: list[Event]) -> NDArray[np.float64]:
        right = joined(engine, start.prefix, [*before, *notes], after)
        return np.array([joined(engine, start.prefix, before, [*notes, *after]), right])

    pianist, empty = joins(spelt(engine, own, start.clock_ns)), joined(engine, start.prefix, before, after)
    return [
        Filled(
            seconds=seconds,
            sound=sound(engine, gap, result),
            notes=(len(own), len(result.generated)),
            densest=tuple(densest(whole, gap.start_ns, gap.end_ns) for whole in (performance, result.performance)),
            retries=result.retries,
            fallback=result.fallback,
            joins=np.array([*pianist, *joins(spelt(engine, result.generated, start.clock_ns)), empty]),
        )
        for result in engine.fill(performance, begin, begin + seconds, variations=2)
    ]


def sound(engine: Engine, gap: Gap, result: Continuation) -> bool:
    """Whether what has to be in the gap is there, and nothing else was touched."""
    new, whole = result.generated, result.performance
    untouched = (whole.onset < gap.start_ns) | (whole.onset >= gap.end_ns)
    return (
        bool(((new.onset >= gap.start_ns) & (new.onset < gap.end_ns)).all())
        and all(np.array_equal(getattr(whole, c)[untouched], getattr(gap.kept, c)) for c in COLUMNS)
        and len(Tokenizer(engine.vocabulary).decode(result.tokens)) == len(whole)
    )


def densest(whole: Performance, first_ns: int, end_ns: int) -> int:
    """The most notes that begin within 50 ms, of all 50 ms that hold one that begins in [first, end)."""
    onset = whole.onset
    last = np.searchsorted(onset, onset + NS_PER_S // 20)
    inside_before = np.append(0, np.cumsum((onset >= first_ns) & (onset < end_ns)))
    at = np.arange(len(onset))
    return int((last - at)[inside_before[last] > inside_before[at]].max(initial=0))


def inside(performance: Performance, gap: Gap) -> Performance:
    """What is played in the gap."""
    return performance.select((performance.onset >= gap.start_ns) & (performance.onset < gap.end_ns))


def spelt(engine: Engine, notes: Performance, clock_ns: int) -> list[Event]:
    """Notes as events on the clock of what is given."""
    tokens = Tokenizer(engine.vocabulary).encode(
        notes.shift(-clock_ns / 1e9), prefix=False, end=False, remove_silence=False
    )
    return split(engine.vocabulary, tokens)[1]


def joined(engine: Engine, prefix: tuple[int, ...], before: list[Event], after: list[Event]) -> float:
    """Nats a note of the first notes behind a join."""
    v, behind = engine.vocabulary, after[:JOINED_NOTES]
    given, origin = latest(v, prefix, before, JOINED_IDS)
    whole = spell(v, prefix, [*(e for e in before if e.ms >= origin), *behind], origin=origin)
    size = len(spell(v, prefix, [e for e in before if e.ms >= origin], origin=origin))
    assert len(given) <= size
    return float(nats_of(engine, whole, len(whole) - size).sum()) / len(behind)


if __name__ == "__main__":
    main()
