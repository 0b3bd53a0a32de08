"""Fine-tunings that kill their own process, as a power cut would.

python -m tests.train.killed_finetuning FOLDER STORE BASE NAME:RANK:STEP...: one run in FOLDER/NAME for each, with
adapters of RANK (0: none), killed at the end of STEP.
"""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import torch

from partimento.train.loop import Trainer
from tests.train.forked import forked
from tests.train.small_finetuning import tune


def run(folder: Path, store: str, base: str, rank: int, last_step: int) -> None:
    steps_left = iter(range(last_step - 1, -1, -1))
    complete_step = Trainer.step

    def step(self, *arguments, **named):
        result = complete_step(self, *arguments, **named)
        if next(steps_left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    Trainer.step = step
    tune(store, folder, base, lora_rank=rank or None)


torch.set_num_threads(1)
folder, store, base, *runs = sys.argv[1:]
for described in runs:
    name, rank, last_step = described.split(":")
    (status,) = forked(partial(run, Path(folder) / name, store, base, int(rank), int(last_step)))
    assert os.WTERMSIG(status) == signal.SIGKILL, status
