"""Runs that kill their own process, as a power cut would.

python -m tests.train.killed_run FOLDER STEP...: one run in FOLDER/STEP for each, killed at the end of that step, or
while the checkpoint of that step is half written where STEP is like 15-saving.
"""

import os
import signal
import sys
from functools import partial
from pathlib import Path

import torch

from partimento.train import checkpoints
from partimento.train.loop import Trainer
from tests.train.forked import forked
from tests.train.small import make_model, train_in


def die(*_) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def run(folder: Path, last_step: int, *, saving: bool) -> None:
    steps_left = iter(range(last_step - 1, -1, -1))
    complete_step = Trainer.step

    def step(self, *arguments, **named):
        result = complete_step(self, *arguments, **named)
        if next(steps_left) == 0:
            if not saving:
                die()
            checkpoints.replacing = die
        return result

    Trainer.step = step
    train_in(folder, make_model())


torch.set_num_threads(1)
for when in sys.argv[2:]:
    step, _, saving = when.partition("-")
    (status,) = forked(partial(run, Path(sys.argv[1]) / when, int(step), saving=bool(saving)))
    assert os.WTERMSIG(status) == signal.SIGKILL, status
