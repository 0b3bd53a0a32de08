"""Trains in a folder and kills its own process, as a power cut would.

python killed_run.py FOLDER STEP [saving]: at the end of that step, or while its checkpoint is half written.
"""

import os
import signal
import sys
from pathlib import Path

import torch
from small import make_model, train_in

from partimento.train import checkpoints
from partimento.train.loop import Trainer

folder, last_step, saving = Path(sys.argv[1]), int(sys.argv[2]), "saving" in sys.argv
steps_left = iter(range(last_step - 1, -1, -1))
complete_step = Trainer.step


def step(self, *arguments, **named):
    result = complete_step(self, *arguments, **named)
    if next(steps_left) == 0:
        if not saving:
            die()
        checkpoints.replacing = die
    return result


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


torch.set_num_threads(1)
Trainer.step = step
train_in(folder, make_model())
