"""A duet for ten minutes in real time: how late messages leave, whether that drifts, memory, cables that are pulled.

python -m benchmarks.live.soak -o soak.md

All threads as in `partimento duet`, over ports within the process. The examples, again and again, play the human and
hand over every eight seconds; every third minute the cable is pulled for two seconds. Beside it a process that does
nothing but wait says how late this machine wakes anybody. Run it on an idle machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import Program, publish, table
from partimento.generate.engine import Engine
from partimento.live.duet import Duet, Rules, State
from partimento.live.hand_over import HandOver
from partimento.live.partner import Partner
from partimento.live.ports import MemoryPorts, Message
from partimento.live.rehearsal import FileHuman, latencies
from partimento.live.stage import MonotonicClock, Stage
from partimento.midi.performance import Performance

EXAMPLES = Path(__file__).parents[2] / "examples"
EVERY_S, ANSWER_S, PULLED_S = 8.0, 8.0, 2.0
SLICES = 5
WAITER = """
import sys, time
late, until = [], time.perf_counter() + float(sys.argv[1])
while (due := time.perf_counter() + 0.05) < until:
    time.sleep(0.05)
    late.append(time.perf_counter() - due)
print(f"{1000 * sorted(late)[int(0.99 * len(late))]:.2f}")
"""


class Receiver:
    """What is at the other end: keys that are down, and how many were struck."""

    def __init__(self) -> None:
        self.down: set[int] = set()
        self.strikes = self.twice = 0

    def take(self, message: Message) -> None:
        if message.kind == "on":
            self.twice += message.number in self.down
            self.down.add(message.number)
            self.strikes += 1
        elif message.kind == "off":
            self.down.discard(message.number)


def main(words: Sequence[str] | None = None) -> None:
    program = Program(__file__, __doc__, quick="--minutes 0.2 --model {model}")
    program.add_argument("--minutes", type=float, default=10.0)
    program.add_argument("--model", default="bundled")
    arguments = program.parse_args(words)
    seconds = 60 * arguments.minutes
    music = tiled([Performance.from_midi(path) for path in sorted(EXAMPLES.glob("*.mid"))], seconds)
    partner = Partner(Engine.load(arguments.model))
    duet = Duet(Rules(hand_over=HandOver(), seconds=ANSWER_S, lead_s=partner.rehearse()))
    human = FileHuman(music, hand_overs=np.arange(EVERY_S, music.seconds, EVERY_S).tolist(), how=HandOver())
    receiver, clock = Receiver(), MonotonicClock()
    ports = MemoryPorts(wire=receiver.take)
    loads, memory, pulls = [os.getloadavg()[0]], [], 0
    wall = time.time()
    waiter = subprocess.Popen([sys.executable, "-c", WAITER, str(seconds)], stdout=subprocess.PIPE, text=True)
    with Stage(duet, partner, ports, clock, human=human) as stage:
        while (now := clock.now()) < seconds:
            threading.Event().wait(min(10.0, seconds - now))
            stage.watch()
            memory.append(resident_mb())
            if clock.now() // 180 > pulls:
                pulls += 1
                ports.plugged = False
                stage.watch()
                assert duet.state is State.UNPLUGGED
                threading.Event().wait(PULLED_S)
                ports.plugged = True
                stage.watch()
                assert not receiver.down
        errors_ms = 1000 * np.array(stage.errors_s or [0.0])
    waited_ms = waiter.communicate()[0].strip()
    drift_ms = 1000 * (time.time() - wall - clock.now())
    loads.append(os.getloadavg()[0])
    rows = [
        [len(part), *(f"{value:.2f}" for value in np.percentile(part, [50, 95, 99, 100]))]
        for part in np.array_split(errors_ms, SLICES)
        if len(part)
    ]
    facts = latencies(duet.turns)
    median_s, p95_s = (facts.get(f"first_note_{what}_s", float("nan")) for what in ("median", "p95"))
    first = f"{median_s:.2f} s median, {p95_s:.2f} s for 95 %"
    kept = memory[len(memory) // SLICES :]
    said = [
        f"{clock.now() / 60:.1f} minutes, {len(duet.turns)} answers of {ANSWER_S:g} s, {receiver.strikes} keys struck. "
        f"Load averages before and after: {loads[0]:.1f}, {loads[1]:.1f}.",
        f"From the sign to the first note: {first}; the lead was {duet.rules.lead_s:.2f} s. Answers whose music "
        f"waited: {sum(turn.slips_s > 0.05 for turn in duet.turns)}, the worst by {facts['slips_s']:.2f} s in all.",
        f"Keys still down at the end: {len(receiver.down)}; struck while down: {receiver.twice}; cables pulled: "
        f"{pulls}. The clock and the time of day parted by {drift_ms:.1f} ms. Resident, MB: {kept[0]:.0f} after the "
        f"first fifth, {kept[-1]:.0f} at the end, {max(kept):.0f} at most.",
        f"How late messages left, ms, in {SLICES} parts of the time:",
        table(["messages", "median", "95 %", "99 %", "worst"], rows),
        f"All of it: 99 % within {np.percentile(errors_ms, 99):.2f} ms. The process that only waited woke 99 % of the "
        f"time within {waited_ms} ms.",
    ]
    publish(arguments, "Ten minutes of a duet", *said, libraries=("onnxruntime",))


def tiled(pieces: Sequence[Performance], seconds: float) -> Performance:
    """One after the other, with half a second between them, until so many seconds are full."""
    whole, at = pieces[0], 0
    while whole.seconds < seconds:
        at += 1
        whole = whole.merge(pieces[at % len(pieces)].shift(whole.seconds + 0.5))
    return whole


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    sys.exit(main())
