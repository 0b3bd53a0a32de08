"""Twenty thousand broken files and a folder of odd ones: time, memory, refusals, and what other readers say.

    python -m benchmarks.robustness.run --folder ~/midi/odd --seeds ~/midi/performances

Every file is read in this process, under a watchdog that ends the run (with a traceback) if one hangs. Times are those
of the clock; so that a busy machine is not taken for a slow reader, a file that took too long is read five times more,
and its fastest reading counts. What is refused is shown to mido and symusic in a process of their own, and of the files
of `--folder` that mido can read, every note is compared with the slow reference reader of the test suite. Exits
with 1 where a promise was broken.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import random
import resource
import selectors
import struct
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.common import Program, again, midi_files, publish, table
from partimento.midi.performance import Performance
from tests.midi.mutations import SEEDS, Mutant, mutants, outcome

SECONDS_EACH = 1.0
MEGABYTES = 500
HANG_SECONDS = 20
READINGS = 5
ORACLE_SECONDS = 20.0
ORACLE_BYTES = 2**20  # mido takes a minute for what is larger
MUSIC = frozenset({".mid", ".midi", ".rmi", ".kar", ".smf"})


@dataclass(kw_only=True)
class Tally:
    """What was found in one collection of files."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    read_again: list[str] = field(default_factory=list)
    truncated: int = 0
    broken: list[str] = field(default_factory=list)
    # reason -> reader -> names of files it reads with notes, and of files it reads without any
    others_read: dict[str, dict[str, list[str]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    compared: Counter[str] = field(default_factory=Counter)
    differing: list[str] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)


class Oracle:
    """The other readers, in a process that is started again when it crashes or hangs."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[bytes] | None = None

    def ask(self, kind: str, data: bytes) -> dict[str, object]:
        if self.process is None:
            command = again(str(Path(__file__).with_name("oracle.py")))
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        line = b""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(kind.encode() + struct.pack(">I", len(data)) + data)
            self.process.stdin.flush()
            with selectors.DefaultSelector() as selector:
                selector.register(self.process.stdout, selectors.EVENT_READ)
                if selector.select(ORACLE_SECONDS):
                    line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.close()
        return {"error": "crashed or hung"}

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


def examine(files: Iterable[Mutant], oracle: Oracle, *, compare: bool) -> Tally:
    """Read every file; ask the others about what was refused and, with `compare`, about what was read."""
    tally = Tally()
    for file in files:
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        begin = time.perf_counter()
        try:
            verdict = outcome(file.data)
        except Exception as error:  # noqa: BLE001 - a crash is what this run is looking for
            verdict = f"CRASH {type(error).__name__}"
            tally.broken.append(f"{file.name}: {type(error).__name__}: {str(error)[:100]}")
        took = time.perf_counter() - begin
        faulthandler.cancel_dump_traceback_later()
        if took > SECONDS_EACH:
            first, took = took, fastest(file.data, READINGS)
            tally.read_again.append(f"{file.name}: {first:.2f} s, then {took:.2f} s")
        tally.outcomes[verdict] += 1
        tally.seconds.append(took)
        tally.slowest = max(tally.slowest, (took, file.name))
        if took > SECONDS_EACH:
            tally.broken.append(f"{file.name}: took {took:.2f} s")
        if verdict == "read":
            found = Performance.from_midi(file.data)
            tally.truncated += found.source.truncated
            if compare:
                _compare(file, len(found), oracle, tally)
        elif not verdict.startswith("CRASH") and len(file.data) < ORACLE_BYTES:
            for kind, reader in (("m", "mido"), ("s", "symusic")):
                notes = oracle.ask(kind, file.data).get("ok")
                if notes is not None:
                    tally.others_read[verdict][reader if notes else f"{reader}, no notes"].append(file.name)
    return tally


def fastest(data: bytes, readings: int) -> float:
    """Seconds of the fastest of some readings."""
    seconds = []
    for _ in range(readings):
        faulthandler.dump_traceback_later(HANG_SECONDS, exit=True)
        begin = time.perf_counter()
        outcome(data)
        seconds.append(time.perf_counter() - begin)
        faulthandler.cancel_dump_traceback_later()
    return min(seconds)


def _compare(file: Mutant, notes: int, oracle: Oracle, tally: Tally) -> None:
    answer = oracle.ask("r", file.data)
    result = str(answer.get("ok", "mido cannot read it"))
    tally.compared[result if result in ("same", "mido cannot read it") else "differs"] += 1
    if result not in ("same", "mido cannot read it"):
        tally.differing.append(f"{file.name}: {result}")
    if not notes:
        others = {
            reader: oracle.ask(kind, file.data).get("ok", "refused")
            for kind, reader in (("m", "mido"), ("s", "symusic"))
        }
        if any(others[reader] not in (0, "refused") for reader in others):
            tally.silent.append(f"{file.name}: " + ", ".join(f"{reader} {count}" for reader, count in others.items()))


def files_of(folder: Path) -> list[Mutant]:
    paths = midi_files(folder, MUSIC)
    return [Mutant(name=str(path.relative_to(folder)), data=path.read_bytes()) for path in paths]


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def section(title: str, tally: Tally) -> list[str]:
    times = sorted(tally.seconds)
    lines = [f"## {title}", ""]
    if not times:
        return [*lines, "No files.", ""]
    median, late = times[len(times) // 2] * 1000, times[len(times) * 99 // 100] * 1000
    lines += [
        f"{len(times):,} files, {tally.outcomes['read']:,} read ({tally.truncated:,} of them marked truncated).",
        f"Median {median:.2f} ms, 99th percentile {late:.1f} ms, slowest {tally.slowest[0] * 1000:.0f} ms",
        f"({tally.slowest[1]}).",
        "",
        *listing(f"Took more than {SECONDS_EACH:.0f} s, so read {READINGS} times more", tally.read_again),
    ]
    if tally.compared:
        counts = ", ".join(f"{count} {what}" for what, count in tally.compared.most_common())
        lines += [f"Notes and pedals beside the slow rules on mido's parsing: {counts}.", ""]
    refused = [
        (reason, f"{count:,}", *(len(tally.others_read.get(reason, {}).get(name, [])) for name in ("mido", "symusic")))
        for reason, count in sorted(tally.outcomes.items())
        if reason != "read"
    ]
    return [*lines, table(["refused", "files", "mido finds notes", "symusic finds notes"], refused), ""]


def listing(title: str, entries: list[str], most: int = 100) -> list[str]:
    if not entries:
        return []
    more = [f"- and {len(entries) - most} more"] if len(entries) > most else []
    return [f"{title}:", "", *(f"- {entry}" for entry in entries[:most]), *more, ""]


def main(words: Sequence[str] | None = None) -> int:
    parser = Program(__file__, __doc__, quick="--count 200 --largest 2000 --folder {midi}")
    parser.add_argument("--count", type=int, default=20_000, help="number of mutants")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--largest", type=int, default=4_000_000, help="most events in a hostile file")
    parser.add_argument("--folder", type=Path, help="a folder of odd files, every one of which is read")
    parser.add_argument(
        "--seeds", type=Path, help="a folder of files of which 50 are mutated beside the generated ones"
    )
    arguments = parser.parse_args(words)

    begin = time.perf_counter()
    for make in SEEDS:
        outcome(make(random.Random(0)))
    print(f"first call {time.perf_counter() - begin:.1f} s", flush=True)

    extra: list[bytes] = []
    if arguments.seeds:
        paths = [path for path in midi_files(arguments.seeds, MUSIC) if path.stat().st_size < 100_000]
        extra = [path.read_bytes() for path in random.Random(arguments.seed).sample(paths, min(50, len(paths)))]
    oracle = Oracle()
    made = mutants(arguments.count, seed=arguments.seed, extra=extra, largest=arguments.largest)
    mutated = examine(made, oracle, compare=False)
    memory = peak_megabytes()
    print(f"{arguments.count} mutants: {dict(mutated.outcomes)}; {memory:.0f} MB", flush=True)
    odd = examine(files_of(arguments.folder), oracle, compare=True) if arguments.folder else None
    oracle.close()
    memory = max(memory, peak_megabytes())

    broken = mutated.broken + (odd.broken if odd else [])
    if memory > MEGABYTES:
        broken.append(f"{memory:.0f} MB of memory")
    lines = [
        f"Limits: {SECONDS_EACH:.0f} s a file by the clock, {MEGABYTES} MB for the whole process.",
        f"Peak: {memory:.0f} MB.",
        f"Broken promises: {len(broken)}.",
        "",
        f"Refused files of up to {ORACLE_BYTES // 2**20} MiB were shown to mido and symusic.",
        "",
        *listing("Broken promises", broken),
        *section(f"Mutants (seed {arguments.seed}, hostile files of up to {arguments.largest:,} events)", mutated),
    ]
    if odd:
        lines += section("Odd files", odd)
        for reason, readers in sorted(odd.others_read.items()):
            for reader, names in sorted(readers.items()):
                lines += listing(f"Refused as {reason}, read by {reader}", names)
        lines += listing("Differing from the slow rules", odd.differing)
        lines += listing("Read without notes where others find some", odd.silent)
    libraries = ("numpy", "numba", "mido", "symusic")
    publish(arguments, "Robustness of the MIDI reader", "\n".join(lines).rstrip(), libraries=libraries)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
