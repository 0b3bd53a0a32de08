"""What benchmarks share: the command line, listing and drawing files, timing, tables, and the page of results.

A benchmark is a module with `main(words)` that begins so and ends with `publish`:

    program = Program(__file__, __doc__, quick="{midi} --files 4")
    program.add_argument("folder", type=Path)
    arguments = program.parse_args(words)
    publish(arguments, "Parsing", f"{n} files.", table(["what", "rate"], rows))

`--quick` stands for other words: the same work, small, on music made up for it (`made_up.py` says what {midi} is). So
anyone sees in seconds that a benchmark runs; what it prints then says nothing about speed or quality.
"""

from __future__ import annotations

import argparse
import datetime
import os
import platform
import random
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from partimento.evaluate.tables import table
from partimento.files import replacing

__all__ = ["Program", "publish", "table"]

HERE = Path(__file__).parent
NOT_QUICK = 77
"""Exit status of --quick where there is no quick form."""
SUFFIXES = frozenset({".mid", ".midi"})


def name_of(file: str) -> str:
    """topic.program of a benchmark's file."""
    return ".".join(Path(file).resolve().relative_to(HERE.resolve()).with_suffix("").parts)


class Program(argparse.ArgumentParser):
    """The command line of a benchmark: its own words, and --quick, --load and --out, which all have.

    `quick` is what --quick stands for, `needs` says instead why there is no quick form.
    """

    def __init__(self, file: str, doc: str | None, *, quick: str | None = None, needs: str = "") -> None:
        super().__init__(
            prog=f"python -m benchmarks.{name_of(file)}",
            description=doc,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._quick, self._needs = quick, needs
        self.add_argument("--quick", action="store_true", help=f"run: {quick}" if quick else f"not here: {needs}")
        self.add_argument("--load", default="", help="what else the machine did, for the record")
        self.add_argument("-o", "--out", type=Path)

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> argparse.Namespace:
        words = list(sys.argv[1:] if args is None else args)
        command = f"{self.prog} {shlex.join(Path(word).name if '/' in word else word for word in words)}"
        if "--quick" in words:
            if self._quick is None:
                print(f"no quick form: {self._needs}")
                raise SystemExit(NOT_QUICK)
            from benchmarks.made_up import filled

            words.remove("--quick")
            words = [*filled(self._quick), *words]
        given = super().parse_args(words, namespace)
        given.command = command.rstrip()
        return given


# -- files ------------------------------------------------------------------------------------------------------------


def midi_files(folder: Path, suffixes: Iterable[str] = SUFFIXES) -> list[Path]:
    """The MIDI files in a folder and the folders in it, in the order of their names."""
    kinds = frozenset(suffixes)
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in kinds and path.is_file())


def drawn(folder: Path, count: int | None = None) -> list[Path]:
    """So many of a folder's MIDI files, or all of them, in an order drawn with seed 0."""
    files = midi_files(folder)
    return random.Random(0).sample(files, len(files) if count is None else min(count, len(files)))


def title_of(model: str) -> str:
    """What a model is called in a table: its folder's name where the file's says nothing."""
    path = Path(model)
    return path.parent.name if path.stem in ("model", "best") else path.stem


# -- processes and time -----------------------------------------------------------------------------------------------


def again(file: str, *words: object) -> list[str]:
    """The command that runs a benchmark, often this one, in a process of its own."""
    return [sys.executable, "-m", f"benchmarks.{name_of(file)}", *map(str, words)]


def output_of(command: Sequence[str], **environment: str) -> str:
    """What a program prints; it must end well."""
    done = subprocess.run(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def times(
    work: Callable[[], object], passes: int, *, clock: Callable[[], float] = time.process_time, warm_up: bool = True
) -> list[float]:
    """Seconds of each pass after one that is not counted; by default of the processor, not of the clock."""
    if warm_up:
        work()
    found = []
    for _ in range(passes):
        begun = clock()
        work()
        found.append(clock() - begun)
    return found


def median_rate(work: Callable[[], int], passes: int) -> float:
    """How many of what `work` counts are done in a second of the processor; median after a warm-up."""
    work()
    rates = []
    for _ in range(passes):
        begun = time.process_time()
        rates.append(work() / (time.process_time() - begun))
    return statistics.median(rates)


# -- pages ------------------------------------------------------------------------------------------------------------


def processor() -> str:
    """The processor's name as the system tells it, and how many cores there are."""
    facts, name = Path("/proc/cpuinfo"), ""
    if facts.is_file():
        lines = facts.read_text(encoding="utf-8").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{name or platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def machine(arguments: argparse.Namespace, *libraries: str) -> str:
    """How a page was made: command, day, processor, versions of Python and of libraries, what else the machine did."""
    named = [f"{name} {version(name)}" for name in (*libraries, *(["torch"] if "torch" in sys.modules else []))]
    threads = [f"{arguments.threads} thread(s)"] if getattr(arguments, "threads", None) else []
    facts = [processor(), *threads, f"Python {platform.python_version()}", *named, f"{datetime.date.today()}"]
    return f"`{arguments.command}`, {', '.join(facts)}. {arguments.load}".rstrip()


def percent(share: float, digits: int = 0) -> str:
    """0.125 as 12 %."""
    return f"{100 * share:.{digits}f} %"


def page(arguments: argparse.Namespace, title: str, *parts: str, libraries: Sequence[str] = ()) -> str:
    """A page of results as Markdown: its title, how it was made, and the parts that are not empty."""
    return "\n\n".join([f"# {title}", machine(arguments, *libraries), *filter(None, parts)]) + "\n"


def write(path: Path, text: str) -> None:
    """A file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def publish(arguments: argparse.Namespace, title: str, *parts: str, libraries: Sequence[str] = ()) -> None:
    """Prints the page of results, and writes it where --out says."""
    text = page(arguments, title, *parts, libraries=libraries)
    print(text)
    if arguments.out:
        write(arguments.out, text)
