"""The same run on several processes in every way, and taken over by more of them.

python -m tests.train.spread_run FOLDER: on two processes in FOLDER/WAY, then on four from halfway in
FOLDER/WAY-on-four.
"""

import dataclasses
import sys
from pathlib import Path

import torch

from partimento.train.distributed import joined
from partimento.train.settings import Machine
from tests.train.forked import forked
from tests.train.small import make_model, train_in
from tests.train.test_distributed import HALFWAY, SPREAD, WAYS

folder = Path(sys.argv[1])


def begin() -> None:
    with joined() as world:
        for way in WAYS:
            settings = dataclasses.replace(SPREAD, optimiser="muon" if "muon" in way else "adamw")
            machine = Machine(shard="shard" in way, activation_checkpointing=way == "shard", micro_batch_size=1)
            train_in(folder / way, make_model(), settings, world, machine=machine)


def take_over() -> None:
    with joined() as world:
        for way, taken_over in (("replicate", "shard"), ("shard", "replicate")):
            machine = Machine(shard=way == "shard")
            run = folder / f"{way}-on-four"
            train_in(run, make_model(seed=99), SPREAD, world, machine=machine, resume=folder / taken_over / HALFWAY)


if __name__ == "__main__":
    torch.set_num_threads(1)
    assert forked(begin, processes=2) == [0, 0]
    assert forked(take_over, processes=4) == [0, 0, 0, 0]
