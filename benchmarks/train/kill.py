"""Kill a training run at random steps and see whether anybody could tell afterwards.

    python -m benchmarks.train.kill STORE [--kills 10] [--seed 1] [-o benchmarks/train/kill.md]

The command `partimento pretrain` runs once undisturbed. Then the same command runs in another folder and is sent
SIGKILL when its log reaches a random step, again and again, each time begun anew with the same arguments. The two logs
must agree in every number but the times, and the two models in every byte of their tensors.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from benchmarks.common import Program, publish, table
from partimento.train.checkpoints import Checkpoints
from partimento.train.distributed import ALONE
from partimento.train.log import LOG_FILE, read_log

FLAGS = [
    "--recipe",
    "debug",
    "--length",
    "256",
    "--loop.warmup-steps",
    "20",
    "--loop.eval-every",
    "50",
    "--loop.checkpoint-every",
    "20",
    "--loop.eval-batches",
    "4",
]


def start(store: Path, run: Path, steps: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "partimento", "pretrain", str(store), "-o", str(run), *FLAGS]
    command += ["--loop.steps", str(steps)]
    return subprocess.Popen(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def newest(run: Path) -> Path | None:
    return Checkpoints(run / "checkpoints", keep=1, world=ALONE).newest()


def reached(run: Path) -> int:
    return read_log(run)[-1]["step"] if (run / LOG_FILE).exists() and read_log(run) else 0


def without_times(run: Path) -> list[dict[str, Any]]:
    return [{key: value for key, value in line.items() if "seconds" not in key} for line in read_log(run)]


def main(words: Sequence[str] | None = None) -> int:
    """Run, kill, compare, write the table."""
    parser = Program(__file__, __doc__, quick="{store} --kills 1 --steps 40")
    parser.add_argument("store", type=Path)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(words)
    moments = sorted(random.Random(arguments.seed).sample(range(1, arguments.steps), arguments.kills))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        assert start(arguments.store, whole, arguments.steps).wait() == 0
        for moment in moments:
            process = start(arguments.store, killed, arguments.steps)
            while reached(killed) < moment and process.poll() is None:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
            checkpoint = newest(killed)
            rows.append((moment, reached(killed), checkpoint.name if checkpoint else "none: begun anew"))
            print(*rows[-1], flush=True)
        assert start(arguments.store, killed, arguments.steps).wait() == 0
        same_log = without_times(killed) == without_times(whole)
        ours, theirs = (load_file(run / "model.safetensors") for run in (killed, whole))
        same_model = ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
        lines = len(read_log(whole))
    verdict = "all of them equal" if same_log else "NOT equal"
    publish(
        arguments,
        "Killed and resumed",
        f"`partimento pretrain STORE {' '.join(FLAGS)} --loop.steps {arguments.steps}`, sent SIGKILL at "
        f"{arguments.kills} random steps (seed {arguments.seed}) and begun again with the same command.",
        table(["to be killed at step", "log ended at step", "resumed from"], rows),
        f"Loss, gradient norm, rate and validation of {lines} lines beside those of an uninterrupted run: {verdict} to "
        f"the last bit. Tensors of the final models: {'equal' if same_model else 'NOT equal'}.",
    )
    return 0 if same_log and same_model else 1


if __name__ == "__main__":
    sys.exit(main())
