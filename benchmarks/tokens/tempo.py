"""A file with a tempo automation of 10,000 events, as a DAW exports it, beside the same notes at one tempo.

    python -m benchmarks.tokens.tempo [-o benchmarks/tokens/tempo.md]

Made-up files of 50,000 notes; each figure is the median of some readings of the whole file from memory. 100,000 events
say whether time grows with their number alone. Tempo events stand in a track of their own, and once between the notes.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence

from benchmarks.common import Program, publish, table, times
from partimento.midi.performance import Performance
from tests.midi.smf_bytes import note_off, note_on, smf, tempo, track

NOTES = 50_000
TICKS = 240
READINGS = 15


def made_up(tempi: int, *, apart: bool) -> bytes:
    """A file of `NOTES` notes of `TICKS` ticks one after the other, with so many tempo events, evenly spread."""
    rng = random.Random(0)
    events = [(TICKS * NOTES * number // tempi, tempo(rng.randrange(300_000, 900_000))) for number in range(tempi)]
    notes = []
    for number in range(NOTES):
        pitch = rng.randrange(30, 90)
        notes += [(TICKS * number, note_on(pitch)), (TICKS * (number + 1), note_off(pitch))]
    tracks = [events, notes] if apart else [sorted(events + notes, key=lambda event: event[0])]
    return smf([track(*_deltas(events)) for events in tracks])


def _deltas(events: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    ticks = [0, *(tick for tick, _ in events)]
    return [(tick - before, event) for before, (tick, event) in zip(ticks[:-1], events, strict=True)]


def main(words: Sequence[str] | None = None) -> None:
    """Measure and write the table."""
    program = Program(__file__, __doc__, quick="--readings 1")
    program.add_argument("--readings", type=int, default=READINGS)
    arguments = program.parse_args(words)
    rows, first = [], 0.0
    for tempi, apart in ((1, True), (10_000, True), (10_000, False), (100_000, True)):
        data = made_up(tempi, apart=apart)
        taken = times(lambda data=data: Performance.from_midi(data), arguments.readings, clock=time.perf_counter)
        median = statistics.median(taken)
        first = first or median
        where = "a track of their own" if apart else "between the notes"
        rows.append((f"{tempi:,}", where, f"{len(data) / 1e6:.2f}", f"{median * 1000:.2f}", f"{median / first:.2f}"))
    columns = ["tempo events", "they stand in", "MB", "ms a file", "times one tempo"]
    said = f"Files of {NOTES:,} notes, one core, warm, median of {arguments.readings} readings."
    publish(arguments, "Reading a tempo automation", said, table(columns, rows))


if __name__ == "__main__":
    main()
