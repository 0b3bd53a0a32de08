"""Kill a training run at random steps and see whether anybody could tell afterwards.

    python benchmarks/train/kill.py STORE [--kills 10] [--seed 1] [-o benchmarks/train/kill.md]

The command `partimento pretrain` runs once undisturbed. Then the same command runs in another folder and is sent
SIGKILL when its log reaches a random step, again and again, each time begun anew with the same arguments. The two logs
must agree in every number but the times, and the two models in every byte of their tensors.
"""

from __future__ import annotations

import argparse
import datetime
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from partimento.train.checkpoints import Checkpoints
from partimento.train.distributed import ALONE
from partimento.train.log import LOG_FILE, read_log

STEPS = 300
FLAGS = (
    f"--recipe debug --length 256 --loop.steps {STEPS} --loop.warmup-steps 20 --loop.eval-every 50 "
    "--loop.checkpoint-every 20 --loop.eval-batches 4"
).split()


def start(store: Path, run: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "partimento", "pretrain", str(store), "-o", str(run), *FLAGS]
    return subprocess.Popen(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def newest(run: Path) -> Path | None:
    return Checkpoints(run / "checkpoints", keep=1, world=ALONE).newest()


def reached(run: Path) -> int:
    return read_log(run)[-1]["step"] if (run / LOG_FILE).exists() and read_log(run) else 0


def without_times(run: Path) -> list[dict[str, Any]]:
    return [{key: value for key, value in line.items() if "seconds" not in key} for line in read_log(run)]


def main() -> int:
    """Run, kill, compare, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path)
    arguments = parser.parse_args()
    moments = sorted(random.Random(arguments.seed).sample(range(1, STEPS), arguments.kills))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        assert start(arguments.store, whole).wait() == 0
        for moment in moments:
            process = start(arguments.store, killed)
            while reached(killed) < moment and process.poll() is None:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            assert process.wait() == -signal.SIGKILL
            checkpoint = newest(killed)
            rows.append((moment, reached(killed), checkpoint.name if checkpoint else "none: begun anew"))
            print(*rows[-1], flush=True)
        assert start(arguments.store, killed).wait() == 0
        same_log = without_times(killed) == without_times(whole)
        ours, theirs = (load_file(run / "model.safetensors") for run in (killed, whole))
        same_model = ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
        lines = len(read_log(whole))
    verdict = "all of them equal" if same_log else "NOT equal"
    text = "\n".join(
        [
            "# Killed and resumed",
            "",
            f"`partimento pretrain STORE {' '.join(FLAGS)}`, sent SIGKILL at {arguments.kills} random steps (seed "
            f"{arguments.seed}) and begun again with the same command. {os.cpu_count()} processor cores, torch "
            f"{torch.__version__}, {datetime.datetime.now(tz=datetime.UTC).date()}.",
            "",
            "| to be killed at step | log ended at step | resumed from |",
            "|---|---|---|",
            *(f"| {moment} | {at} | {name} |" for moment, at, name in rows),
            "",
            f"Loss, gradient norm, rate and validation of {lines} lines beside those of an uninterrupted run: "
            f"{verdict} to the last bit. Tensors of the final models: {'equal' if same_model else 'NOT equal'}.",
            "",
        ]
    )
    print(text)
    if arguments.out:
        arguments.out.write_text(text)
    return 0 if same_log and same_model else 1


if __name__ == "__main__":
    sys.exit(main())
