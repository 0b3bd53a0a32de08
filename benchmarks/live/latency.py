"""A duet's latency: from the sign to the first note, with each sign, and whether the model keeps up.

python -m benchmarks.live.latency ~/midi --files 12 -o latency.md

Each file plays the human in virtual time for a minute and hands over every ten seconds; answers last eight seconds. The
model's work counts as long as it took: in seconds of the clock, and in seconds of the processor, which another program
on the machine hardly changes.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import Program, drawn, publish, table
from partimento.generate.engine import Engine
from partimento.live.duet import Duet, Rules, Turn
from partimento.live.hand_over import HandOver, Sign
from partimento.live.partner import LEADS_S, Partner
from partimento.live.rehearsal import FileHuman, VirtualClock, latencies, rehearse
from partimento.midi.performance import Performance

EVERY_S, ANSWER_S = 10.0, 8.0
HEADER = [
    "sign", "timed by", "candidates", "answers", "known, median s", "known, 95 %", "sounds, median s", "sounds, 95 %",
    "late answers", "worst lateness, s", "notes", "left out",
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A row of the table."""

    sign: Sign
    candidates: int
    timer: Callable[[], float] = time.process_time


def main(words: Sequence[str] | None = None) -> None:
    program = Program(__file__, __doc__, quick="{midi} --files 1 --model {model} --seconds 25")
    program.add_argument("folder", type=Path)
    program.add_argument("--files", type=int, default=12)
    program.add_argument("--model", default="bundled")
    program.add_argument("--seconds", type=float, default=60.0, help="of each file")
    arguments = program.parse_args(words)
    engine = Engine.load(arguments.model)
    files = [
        music for path in drawn(arguments.folder) if (music := Performance.from_midi(path)).seconds >= arguments.seconds
    ]
    music = [one.slice_time(0, arguments.seconds) for one in files[: arguments.files]]
    before = os.getloadavg()
    rows = [
        row_of(engine, music, case)
        for case in (
            Case(sign="pedal", candidates=4, timer=time.perf_counter),
            Case(sign="pedal", candidates=4),
            Case(sign="pedal", candidates=1),
            Case(sign="silence", candidates=4),
            Case(sign="bars", candidates=4),
        )
    ]
    load = f"Load averages before and after: {before[0]:.1f}, {os.getloadavg()[0]:.1f}."
    said = (
        f"{len(music)} files of {arguments.seconds:g} s, a hand-over every {EVERY_S:g} s, answers of {ANSWER_S:g} s, "
        f"which begin {LEADS_S[0]:g} s after the sign or within 0.4 s of that. {load}"
    )
    notes = "Known: the first note is decided. Late: the music of an answer had to wait for its notes."
    publish(arguments, "From the sign to the first note", said, table(HEADER, rows), notes, libraries=("onnxruntime",))


def row_of(engine: Engine, music: Sequence[Performance], case: Case) -> list[object]:
    """All files with one sign."""
    turns: list[Turn] = []
    how = HandOver(sign=case.sign, silence_s=1.0, tempo=96.0)
    partner = Partner(engine, candidates=case.candidates)
    for one in music:
        moments = () if case.sign == "bars" else np.arange(EVERY_S, one.seconds, EVERY_S).tolist()
        duet = Duet(Rules(hand_over=how, seconds=ANSWER_S, lead_s=LEADS_S[0]))
        partner.rehearse()
        partner.version = 0
        rehearse(duet, partner, FileHuman(one, hand_overs=moments, how=how), VirtualClock(), timer=case.timer)
        turns += duet.turns
    facts = latencies(turns)
    late = [turn.slips_s for turn in turns if turn.slips_s > 0.05]
    keys = ("known_median_s", "known_p95_s", "first_note_median_s", "first_note_p95_s")
    figures = [f"{facts.get(key, math.nan):.2f}" for key in keys]
    timer = "clock" if case.timer is time.perf_counter else "processor"
    notes = sum(turn.notes for turn in turns)
    worst = f"{max(late, default=0.0):.2f}"
    return [case.sign, timer, case.candidates, len(turns), *figures, len(late), worst, notes, facts["left_out"]]


if __name__ == "__main__":
    sys.exit(main())
