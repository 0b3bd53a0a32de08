"""Generative fine-tuning with a vector at position 0: the next token, in the manner of what the vector is of.

Knows: that the vector comes before the first id and predicts nothing that counts, that rows which do not see it learn
to do without, and that both are to be measured, since guidance is made of their difference. Refuses to know: where
vectors come from (`conditions.py`), optimisers.

    objective = ConditionedContinuation(vocabulary)
    loss = objective.total_loss(model, batch) / objective.targets(batch)

Shape legend: as in `pretrain.py`; a batch is `ids` [B, W], `vector` [B, E] and `unseen` [B], which is true in rows that
do not see their vector; for measuring it also has `seen` (`continuation.py`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from partimento.tokens.vocabulary import Kind
from partimento.train.objectives.pretraining import Pretraining


class ConditionedContinuation(Pretraining):
    """Next-token cross entropy in nats behind a vector, measured as `Continuation` does, and without vectors too.

    The criterion is the loss on what is held out, with vectors.
    """

    def total_loss(self, model: Any, batch: Any) -> Tensor:
        """Sum over all targets."""
        return super().total_loss(_Behind(model, batch["vector"], batch["unseen"]), batch)

    def measure(self, model: Any, batch: Any) -> Tensor:
        """Sum of losses and number of targets by kind of token [3, 2, K]: held out, seen, held out unconditioned."""
        seen_B = batch["seen"]
        sums = torch.zeros(3, 2, len(Kind), dtype=torch.float64, device=seen_B.device)
        for number, (rows_B, unseen) in enumerate(((~seen_B, False), (seen_B, False), (~seen_B, True))):
            if rows_B.any():
                behind = _Behind(model, batch["vector"][rows_B], torch.full_like(rows_B[rows_B], unseen))
                sums[number] = super().measure(behind, batch["ids"][rows_B])
        return sums

    def report(self, sums: Tensor) -> dict[str, float]:
        """As `Continuation` does, and `unconditioned_nats_per_token` of what is held out without vectors."""
        held_out, *others = (super(ConditionedContinuation, self).report(side) for side in sums)
        names = ("seen_nats_per_token", "unconditioned_nats_per_token")
        return held_out | {name: side["nats_per_token"] for name, side in zip(names, others, strict=True)}


class _Behind:
    """A conditioned model with a batch's vectors: from outside, a language model."""

    def __init__(self, model: Any, vector_BE: Tensor, unseen_B: Tensor) -> None:
        self._model, self._vector_BE = model, vector_BE
        self._unseen_B = unseen_B if unseen_B.any() else None  # without a mask attention has a faster way
        self.lm_head = model.lm_head

    def hidden(self, ids_BT: Tensor) -> Tensor:
        """Hidden states [B, T, D] of the tokens."""
        return self._model.hidden_after(self._vector_BE, ids_BT, unseen_B=self._unseen_B)[:, 1:]
