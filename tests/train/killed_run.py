"""Trains in a folder and kills its own process at the end of the step given, as a power cut would.

python killed_run.py FOLDER STEP
"""

import os
import signal
import sys
from pathlib import Path

import torch
from test_loop import make_model, train_in

from partimento.train import loop

folder, last_step = Path(sys.argv[1]), int(sys.argv[2])
steps_left = iter(range(last_step - 1, -1, -1))
complete_step = loop.optimiser_step


def optimiser_step(*arguments):
    result = complete_step(*arguments)
    if next(steps_left) == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return result


torch.set_num_threads(1)
loop.optimiser_step = optimiser_step
train_in(folder, make_model())
