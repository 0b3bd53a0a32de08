"""Does a model use what follows a gap? And do its fillings keep their promises?

    python benchmarks/generate/filling.py FOLDER --model MODEL [--files 20] [-o benchmarks/generate/filling.md]

Files are drawn with seed 0 from a folder of MIDI files that the model was not trained on; in each a gap of 7.5 s is
drawn. What really stands there is scored twice by the same model: after what leads up to it alone, and with what
follows it in front. The difference, in nats a note, is what knowing the future is worth; in the gap's last quarter it
should be largest. Then the gap is filled: new notes lie in the gap, every token decodes, the rest is the same to the
bit.
"""

from __future__ import annotations

import argparse
import datetime
import os
import random
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from partimento import Engine, Performance, Tokenizer
from partimento.generate.events import around_gap, spell, split
from partimento.generate.gap import Gap
from partimento.generate.start import begin_gap
from partimento.tokens.vocabulary import Kind

SECONDS = 7.5
PARTS = 4


def main() -> None:
    """Score, fill, check, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores")
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    paths = sorted(p for p in arguments.folder.rglob("*") if p.suffix.lower() in (".mid", ".midi"))
    engine, chance = Engine.load(arguments.model, engine="torch"), random.Random(0)
    nats, notes, kept, files = np.zeros((2, PARTS)), np.zeros(PARTS), True, 0
    for path in chance.sample(paths, len(paths)):
        performance = Performance.from_midi(path)
        if performance.seconds < 60:
            continue
        begin = chance.uniform(20, performance.seconds - 30)
        inside = performance.slice_time(begin, begin + SECONDS)
        if len(inside) < PARTS:
            continue
        plain, arranged, counted = scored(engine, performance, begin)
        nats, notes = nats + np.stack([plain, arranged]), notes + counted
        kept &= filled(engine, performance, begin)
        files += 1
        if files == arguments.files:
            break
    per_note = np.column_stack([nats / notes, nats.sum(axis=1) / notes.sum()])
    rows = "\n".join(
        f"| {name} | {' | '.join(f'{value:.2f}' for value in values)} |"
        for name, values in zip(("what leads up to it", "and what follows it"), per_note, strict=True)
    )
    text = f"""# What stands in a gap, foretold

{files} performances, a gap of {SECONDS} s in each, {int(notes.sum())} notes in them.
Model {Path(arguments.model).name}; {arguments.machine}, {datetime.date.today()}. Nats a note, lower is better.

| given | first quarter | second | third | last | whole gap |
|---|---|---|---|---|---|
{rows}

Filled, every note lies in its gap, every token decodes and the rest stays: {"yes" if kept else "NO"}.
"""
    print(text)
    if arguments.out:
        arguments.out.write_text(text)


def scored(engine: Engine, performance: Performance, begin: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nats of the gap's own events [PARTS] without and with what follows, and its notes [PARTS]."""
    v, context = engine.vocabulary, engine.context
    gap = Gap.open(performance, begin, begin + SECONDS)
    start = begin_gap(v, gap, context=context, pedal=False)
    inside = performance.select((performance.onset >= gap.start_ns) & (performance.onset < gap.end_ns))
    ids = Tokenizer(v).encode(inside.shift(-start.clock_ns / 1e9), prefix=False, end=False, remove_silence=False)
    events = split(v, ids)[1]
    given, origin = around_gap(v, start.prefix, start.events, start.after, context // 2, context=context)
    before = [event for event in start.events if event.ms >= origin]
    alone = spell(v, start.prefix, before, origin=origin)
    own = spell(v, start.prefix, [*before, *events], origin=origin)[len(alone) :][: context - len(given)]
    kinds = v.kind_of[own]
    number = np.cumsum(kinds == Kind.NOTE) - (kinds == Kind.NOTE)  # a <T> goes with the note behind it
    number = np.where(kinds == Kind.SEGMENT, number, np.cumsum(kinds == Kind.NOTE) - 1)
    times = np.array([event.ms for event in events]) - (gap.start_ns - start.clock_ns) / 1e6
    part = np.clip(times / (1000 * SECONDS) * PARTS, 0, PARTS - 1).astype(int)[np.minimum(number, len(events) - 1)]
    totals = [np.bincount(part, _nats(engine, [*head, *own], len(own)), PARTS) for head in (alone, given)]
    return totals[0], totals[1], np.bincount(part[kinds == Kind.NOTE], minlength=PARTS)


def _nats(engine: Engine, ids: list[int], last: int) -> np.ndarray:
    """Nats of each of the last ids."""
    ids_T = torch.tensor(ids)
    cache = engine.backend.cache(batch=1, capacity=len(ids))
    logits_TV = torch.from_numpy(engine.backend.read([ids[:-1]], cache, last=last)[0])
    return F.cross_entropy(logits_TV, ids_T[-last:], reduction="none").numpy()


def filled(engine: Engine, performance: Performance, begin: float) -> bool:
    """Fills the gap once; whether everything holds that has to."""
    gap = Gap.open(performance, begin, begin + SECONDS)
    (result,) = engine.fill(performance, begin, begin + SECONDS)
    new, whole = result.generated, result.performance
    untouched = (whole.onset < gap.start_ns) | (whole.onset >= gap.end_ns)
    columns = ("pitch", "velocity", "onset", "duration", "channel")
    return (
        bool(((new.onset >= gap.start_ns) & (new.onset < gap.end_ns)).all())
        and all(np.array_equal(getattr(whole, c)[untouched], getattr(gap.kept, c)) for c in columns)
        and len(Tokenizer(engine.vocabulary).decode(result.ids)) == len(whole)
    )


if __name__ == "__main__":
    main()
