"""What a new GPU is worth, and what this project wants from one, in one call that is given so many minutes.

    python -m benchmarks.train.gpu --base PRETRAINED --stores FOLDER --minutes 9 -o OUT
    python -m benchmarks.train.gpu --quick                 # the same with made-up music, on a processor in minutes

In the order of importance, each part with its share of the time and what others have left over:
1. continuation: `--base` fine-tuned on FOLDER/finetune, one pass;
2. embedding: `--base` learns from pairs of views of FOLDER/contrastive, as many epochs of 25 as a trial says will fit;
3. classifiers: of every task for which there is FOLDER/<task>, from all labels and from few, judged on its test files;
4. lines: steps, waiting, decoding, utilisation (`gpu_lines.py`), each in a process of its own.

`OUT/gpu.md` is written anew after every figure, so that nothing is lost when time is up; commands leave their output in
`OUT/logs` and their runs beside it. What fails says how, and the next one begins. `recipes/gpu.sh` packs what is needed
for a machine without network, and what comes back.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.common import Program, write
from benchmarks.train.gpu_lines import LINES
from partimento.corpus.store.note_store import MANIFEST, NoteStore
from partimento.errors import UserError
from partimento.evaluate.finetuned import METRICS
from partimento.evaluate.outcomes import by_store
from partimento.evaluate.tasks import TASKS, task
from partimento.train.log import read_log

PARTS = {"continuation": 0.17, "embedding": 0.4, "classifiers": 0.2, "lines": 0.23}
EPOCHS = 25
FEW = {"composer": [100], "form": [100], "pianist8": [100, 200], "genre": [100, 200, 500, 1000]}
"""Of the other tasks there are too few files of the rarest class (recipes/table2.sh)."""


class Session:
    """The clock, the commands, and what has been found so far."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.base, self.stores, self.out, self.toy = arguments.base, arguments.stores, arguments.out, arguments.toy
        self.begun = time.monotonic()
        self.deadline = self.begun + 60 * arguments.minutes
        self.part_ends = self.deadline
        self._rows: list[str] = []
        (self.out / "logs").mkdir(parents=True, exist_ok=True)
        self.device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"

    def left(self) -> float:
        """Seconds of the part that is under way."""
        return self.part_ends - time.monotonic()

    def say(self, what: str, figure: str) -> None:
        """A row of the table, at once on disk."""
        row = f"| {time.monotonic() - self.begun:.0f} s | {what} | {figure.replace('|', '/')} |"
        self._rows.append(row)
        print(row, flush=True)
        day = datetime.datetime.now(tz=datetime.UTC).date()
        title = "Made-up music and toy models: shows that everything runs, not how fast." if self.toy else ""
        head = [
            "# One call on a GPU",
            "",
            f"{self.device}, torch {torch.__version__}, {day}. {title}".strip(),
            "",
            "| at | what | figure |",
            "|---|---|---|",
        ]
        write(self.out / "gpu.md", "\n".join([*head, *self._rows, ""]))

    def run(self, name: str, command: list[str], *, compiled: bool = False) -> str | None:
        """Standard output of a program, or None after saying how it failed. `compiled`: again without, if that fails.

        What is under way when the part's time is up is ended.
        """
        words = [*command, *(["--machine.compile"] if compiled and not self.toy else [])]
        log = self.out / "logs" / f"{'-'.join(re.findall('[a-z0-9]+', name.lower()))}.txt"
        if self.left() < 5:
            self.say(name, "no time")
            return None
        begun = time.monotonic()
        try:
            done = subprocess.run(
                [sys.executable, *words], capture_output=True, text=True, check=False, timeout=self.left()
            )
        except subprocess.TimeoutExpired as expired:
            log.write_bytes((expired.stdout or b"") + (expired.stderr or b""))
            self.say(name, f"not done after {time.monotonic() - begun:.0f} s, ended")
            return None
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
        if done.returncode == 0:
            return done.stdout
        why = [line for line in done.stderr.splitlines() if line and not line.startswith(" ")][-1:]
        self.say(name, f"failed: {' '.join(why)[:160]}")
        return self.run(f"{name}, not compiled", command) if compiled and not self.toy else None

    def partimento(self, name: str, *words: str | Path, compiled: bool = True) -> str | None:
        """`run` of one of the package's own commands."""
        return self.run(name, ["-m", "partimento", *map(str, words)], compiled=compiled)


def pace(run: Path) -> str:
    """Steps, their time and what they waited for, out of a run's log."""
    steps = [line for line in read_log(run) if "loss" in line]
    later = steps[len(steps) // 2 :]
    seconds, waits = ([line[name] for line in later] for name in ("seconds", "loader_seconds"))
    return (
        f"{len(steps)} steps, first {steps[0]['seconds']:.1f} s, median {1000 * statistics.median(seconds):.1f} ms, "
        f"waiting for the loader {1000 * statistics.median(waits):.2f} ms (most {1000 * max(waits):.2f})"
    )


def measured(run: Path, *names: str) -> str:
    """Measurements before the first step and after the last."""
    found = [line["validation"] for line in read_log(run) if "validation" in line]
    return ", ".join(f"{name} {found[0][name]:.3f} -> {found[-1][name]:.3f}" for name in names)


def continuation(session: Session) -> None:
    """True endings from a pretrained model, in one pass."""
    run = session.out / "finetuned"
    size = ["--batch", 4, "--loop.steps", 6, "--loop.warmup-steps", 1] if session.toy else ["--batch", 16]
    settings = ["--loop.peak-lr", "3e-4", "--loop.optimiser", "muon", "--measurements", 2]
    command = ["finetune", "continuation", session.stores / "finetune", "--from", session.base, "-o", run]
    if session.partimento("continuation", *command, *size, *settings, "--loop.keep-checkpoints", 1) is not None:
        session.say("continuation: steps", pace(run))
        session.say("continuation: held out", measured(run, "nats_per_token", "nats_per_note"))


def embedding(session: Session) -> None:
    """A trial of some steps says how many epochs fit."""
    run, trial = session.out / "embedding", session.out / "trial"
    pairs = 4 if session.toy else 64
    size = ["--length", 128, "--candidates", 4] if session.toy else ["--length", 2048, "--candidates", 512]
    command = ["finetune", "contrastive", session.stores / "contrastive", "--recipe", "contrastive-small"]
    command += ["--from", session.base, "--batch", pairs, *size, "--machine.micro-batch-size", pairs // 4]
    few = ["--loop.steps", 4 if session.toy else 16, "--loop.warmup-steps", 1]
    if session.partimento("embedding: trial", *command, *few, "-o", trial) is None:
        return
    session.say("embedding: trial", pace(trial))
    seconds = [line["seconds"] for line in read_log(trial) if "loss" in line]
    steps = math.ceil(len(NoteStore(session.stores / "contrastive").split("train")) / pairs)
    an_epoch = steps * statistics.median(seconds[len(seconds) // 2 :])
    fitting = (session.left() - min(40, session.left() / 3)) / (1.1 * an_epoch)  # starting and measuring take time too
    epochs = max(1, min(EPOCHS, math.floor(fitting)))
    session.say("embedding: epochs that fit", f"{epochs} of {EPOCHS}, {an_epoch:.1f} s each")
    if session.partimento("embedding", *command, "--epochs", 2 if session.toy else epochs, "-o", run) is not None:
        session.say("embedding: steps", pace(run))
        session.say("embedding: held out", measured(run, "loss", "top1", "alignment", "uniformity"))


def classifiers(session: Session) -> None:
    """From all labels of each task, then from few."""
    there = [name for name in TASKS if (session.stores / name / MANIFEST).is_file()]
    if not there:
        session.say("classifiers", f"no store of a task in {session.stores}")
    runs = [*((name, None) for name in there), *((name, few) for name in there for few in FEW.get(name, []))]
    for name, labels in runs:
        classifier(session, name, labels)


def classifier(session: Session, name: str, few: int | None) -> None:
    run = session.out / "ft" / (name if few is None else f"{name}-{few}")
    epochs = 2 if session.toy else 20 if name != "genre" else 2 if few is None else 5
    size = ["--length", 128, "--batch", 4] if session.toy else ["--length", 1024, "--batch", 16]
    command = ["finetune", "classifier", "--recipe", "classifier-small", "--task", name, "--from", session.base]
    command += ["--data", session.stores / name, "-o", run, "--epochs", epochs, *size]
    command += [] if few is None else ["--labelled", 8 if session.toy else few]
    said = f"classifier {run.name}"
    if session.partimento(said, *command, compiled=False) is None:
        return
    try:
        score = by_store(task(name), NoteStore(session.stores / name), run, device=device()).score()
        figure = f"accuracy {score.accuracy:.3f}, macro-F1 {score.macro_f1:.3f} of {score.examples} test files"
    except UserError as error:  # made-up music is of no task
        figure = f"validation {json.loads((run / METRICS).read_text())['validation']['error']:.3f} wrong; {error}"
    session.say(said, f"{figure}; {pace(run)}")


def lines(session: Session) -> None:
    """Whatever there is time for."""
    for name in LINES:
        where = ["--base", str(session.base), "--stores", str(session.stores), *(["--toy"] if session.toy else [])]
        found = session.run(name, ["-m", "benchmarks.train.gpu_lines", name, *where])
        if found is not None:
            figures = json.loads(found.splitlines()[-1])
            session.say(name, ", ".join(f"{key}: {value}" for key, value in figures.items()))


def device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def main(words: Sequence[str] | None = None) -> int:
    """Everything there is time for."""
    quick = "--toy --base {model} --stores {stores} --minutes 4 -o {work}"
    parser = Program(__file__, __doc__, quick=quick)
    parser.add_argument("--base", type=Path, help="the pretrained model")
    parser.add_argument("--stores", type=Path, help="folder with the note stores finetune, contrastive and of tasks")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS), help="these parts share the time")
    parser.add_argument("--toy", action="store_true", help="models and steps small enough for a processor")
    arguments = parser.parse_args(words)
    if arguments.base is None or arguments.stores is None or arguments.out is None:
        parser.error("give --base, --stores and --out, or --quick")
    if not (arguments.toy or torch.cuda.is_available()):
        print("No GPU here; --quick shows that everything runs.")
        return 1
    session = Session(arguments)
    work = {"continuation": continuation, "embedding": embedding, "classifiers": classifiers, "lines": lines}
    open_shares = sum(PARTS[name] for name in arguments.only)
    for name in [part for part in PARTS if part in arguments.only]:
        session.part_ends = time.monotonic() + (session.deadline - time.monotonic()) * PARTS[name] / open_shares
        open_shares -= PARTS[name]
        work[name](session)
    session.say("done", f"{(session.deadline - time.monotonic()) / 60:.1f} minutes left")
    return 0


if __name__ == "__main__":
    sys.exit(main())
