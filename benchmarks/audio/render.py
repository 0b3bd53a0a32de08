"""How fast a dense performance becomes sound, beside fluidsynth.

    python benchmarks/audio/render.py [--soundfont FILE.sf2] [--runs 5] [-o benchmarks/audio/render.md]

Ten minutes, twelve notes a second over six octaves, the pedal changed every two seconds. Each run decodes the
recordings anew and renders all of it; times are processor time of one process with one thread, which does not count
what else the machine does. fluidsynth plays a soundfont, with its reverb and chorus, and writes a file, which ours does
not.
"""

from __future__ import annotations

import argparse
import datetime
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from partimento import Performance
from partimento.audio.samples import recording

MINUTES, NOTES_PER_S = 10, 12


def main() -> None:
    """Time all that can be had here, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soundfont", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--machine", default=f"{os.cpu_count()} cores")
    parser.add_argument("-o", "--out", type=Path, default=Path(__file__).with_suffix(".md"))
    arguments = parser.parse_args()
    performance = dense()
    performance.slice_time(0, 2).render()  # compiles
    with tempfile.TemporaryDirectory() as folder:
        midi, sound = Path(folder) / "dense.mid", Path(folder) / "dense.wav"
        performance.write_midi(midi)

        def ours() -> None:
            recording.cache_clear()
            performance.render()

        def fluidsynth() -> None:
            options = ["-q", "-n", "-i", "-r", "48000", "-F", str(sound)]
            subprocess.run(["fluidsynth", *options, str(arguments.soundfont), str(midi)], check=True)

        ways: dict[str, Callable[[], None]] = {"partimento": ours}
        if arguments.soundfont is not None:
            ways["fluidsynth"] = fluidsynth
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(arguments.runs):
            for name, way in ways.items():  # by turns, so that all meet the same machine
                seconds[name].append(spent(way))
                print(name, f"{seconds[name][-1]:.2f} s", flush=True)
    arguments.out.write_text(page(performance, seconds, arguments), encoding="utf-8")


def dense() -> Performance:
    """Ten minutes of notes by chance, seed 0."""
    random = np.random.default_rng(0)
    n = MINUTES * 60 * NOTES_PER_S
    return Performance.from_notes(
        pitch=random.integers(28, 100, n),
        velocity=random.integers(20, 110, n),
        onset=np.sort(random.uniform(0, MINUTES * 60, n)).round(3),
        duration=random.uniform(0.1, 0.6, n).round(3),
        pedal=[(2 * k, 2 * k + 1.8) for k in range(MINUTES * 30)],
    )


def spent(way: Callable[[], None]) -> float:
    """Processor time of this process and of those that it starts."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.process_time()
    way()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() - began + after.ru_utime - children.ru_utime + after.ru_stime - children.ru_stime


def page(performance: Performance, seconds: dict[str, list[float]], arguments: argparse.Namespace) -> str:
    """The table."""
    own = statistics.median(seconds["partimento"])
    rows = "\n".join(
        f"| {name} | {(middle := statistics.median(times)):.2f} ({min(times):.2f} to {max(times):.2f}) | "
        f"{performance.seconds / middle:.0f} | {middle / own:.2f} |"
        for name, times in seconds.items()
    )
    with_font = "" if arguments.soundfont is None else f" Soundfont of fluidsynth: {arguments.soundfont.name}."
    lasting = performance.sounding_duration().mean() / 1e9
    return f"""# A dense performance as sound

{len(performance):,} notes in {MINUTES} minutes, sounding for {lasting:.1f} s on average. Medians of
{arguments.runs} runs by turns, least and most in brackets; processor time of one thread.{with_font}

| | seconds | times real time | ratio of medians to ours |
|---|---|---|---|
{rows}

{arguments.machine}, {datetime.date.today()}. `python benchmarks/audio/render.py --soundfont FILE.sf2`
"""


if __name__ == "__main__":
    main()
