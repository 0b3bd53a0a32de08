"""Gradients of one contrastive batch on two processes, written to FOLDER/<way>-<rank>.

python -m tests.train.spread_views FOLDER
"""

import sys
from pathlib import Path

import torch
from torch.nn.parallel import DistributedDataParallel

from partimento.train.distributed import joined
from partimento.train.loop import Learner, Trainer
from partimento.train.objectives.contrastive import Contrastive
from partimento.train.settings import Machine
from tests.train.forked import forked
from tests.train.small import SETTINGS
from tests.train.views import V, gradients, make_embedder, tensors, views

folder = Path(sys.argv[1])


def begin() -> None:
    with joined() as world:
        batch = tensors(views())
        share = slice(world.rank * 3, world.rank * 3 + 3)
        mine = {name: rows[share] for name, rows in batch.items()}
        for way, rows in (("at-once", None), ("pieces", 2)):
            objective, model = (
                Contrastive(V, micro_batch_size=rows, activation_checkpointing=rows is not None, world=world),
                make_embedder(),
            )
            targets = world.sum(torch.tensor(objective.targets(mine)))
            learner = DistributedDataParallel(Learner(model, objective)).train()
            loss = learner(mine) / targets
            (loss * world.size).backward()
            measured = world.sum(objective.measure(model, mine))
            torch.save((world.sum(loss.detach()), gradients(model), measured), folder / f"{way}-{world.rank}")
        objective = Contrastive(V, micro_batch_size=2, activation_checkpointing=True, world=world)
        trainer = Trainer(make_embedder(), objective, SETTINGS, Machine(shard=True), world)
        steps = [trainer.step({name: rows.numpy() for name, rows in mine.items()}, rate=1e-2) for _ in range(3)]
        torch.save(torch.tensor(steps), folder / f"shard-{world.rank}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    assert forked(begin, processes=2) == [0, 0]
