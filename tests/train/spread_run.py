"""Trains on several processes; started by torchrun.

torchrun --nproc-per-node N spread_run.py replicate|shard FOLDER [CHECKPOINT]
"""

import dataclasses
import sys
from pathlib import Path

import torch
from small import make_model, train_in
from test_distributed import SPREAD

from partimento.train.distributed import joined
from partimento.train.settings import Machine

torch.set_num_threads(1)
ways, folder, checkpoint = sys.argv[1].split(","), Path(sys.argv[2]), (sys.argv[3:] or [None])[0]
with joined() as world:
    for way in ways:
        settings = dataclasses.replace(SPREAD, optimiser="muon" if "muon" in way else "adamw")
        train_in(
            folder / way,
            make_model(seed=5 if checkpoint is None else 99),
            settings,
            world,
            machine=Machine(shard="shard" in way, rows_at_once=1),
            resume=checkpoint and Path(checkpoint),
        )
