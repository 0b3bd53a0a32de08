"""Pretraining: predict each next token of performances (paper, section 3.2).

Knows: which tokens of a batch are targets, their loss, and how it is reported by kind of token. Refuses to know:
optimisers, schedules, where batches come from.

    objective = Pretraining(vocabulary)
    loss = objective.total_loss(model, ids_BW) / objective.targets(ids_BW)

Shape legend: B batch, W = T + 1 tokens in a row, T predicted positions, N = B * T, D channels, K kinds of token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from partimento.model.precision import whole_width
from partimento.tokens.vocabulary import Kind, Vocabulary
from partimento.train.objectives.losses import cross_entropies, total_cross_entropy

Batch = Tensor | Mapping[str, Tensor]


class Pretraining:
    """Next-token cross entropy in nats; padding is never a target.

    Batches are tokens [B, W], or mappings of `ids` [B, W] and, where some tokens are given and not to be predicted,
    `given` bool [B, W].
    """

    criterion = "nats_per_token"
    unit = "tokens"
    lengths_vary = False

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._pad = vocabulary.pad
        self._kind_of_V = torch.from_numpy(np.array(vocabulary.kind_of, dtype=np.int64))

    def targets(self, batch: Batch) -> int:
        """How many tokens of the batch are predicted."""
        return int((self._split(batch)[1] != self._pad).sum())

    def total_loss(self, model: Any, batch: Batch) -> Tensor:
        """Sum over all targets, so that batches of unequal padding can be added before dividing."""
        hidden_ND, target_N = self._predicted(model, batch)
        return total_cross_entropy(hidden_ND, model.lm_head.weight, target_N, ignored=self._pad)

    def measure(self, model: Any, batch: Any) -> Tensor:
        """Sum of losses and number of targets of each kind of token [2, K]."""
        hidden_ND, target_N = self._predicted(model, batch)
        losses_N = cross_entropies(hidden_ND, model.lm_head.weight, target_N, ignored=self._pad)
        kind_N = self._kind_of_V.to(target_N.device)[target_N]
        sums_2K = torch.zeros(2, len(Kind), dtype=torch.float64, device=target_N.device)
        sums_2K[0].index_add_(0, kind_N, losses_N.double())
        sums_2K[1].index_add_(0, kind_N, (target_N != self._pad).double())
        return sums_2K

    def report(self, sums: Tensor) -> dict[str, float]:
        """Loss in nats: per token, per note (all tokens, divided by the notes among them), and by kind of token."""
        nats_K, count_K = sums
        notes = count_K[Kind.NOTE] + count_K[Kind.DRUM]
        report = {
            "tokens": float(count_K.sum()),
            "notes": float(notes),
            "nats_per_token": float(nats_K.sum() / count_K.sum()),
            "nats_per_note": float(nats_K.sum() / notes),
        }
        by_kind = {f"nats_{kind.name.lower()}": float(nats_K[kind] / count_K[kind]) for kind in Kind if count_K[kind]}
        return report | by_kind

    def _predicted(self, model: Any, batch: Batch) -> tuple[Tensor, Tensor]:
        """Hidden states [N, D] and the target of each [N]."""
        ids_BT, target_BT = self._split(batch)
        if ids_BT.device.type == "cpu":  # a GPU would have to wait for the answer, and compile for every width
            counted_T = (target_BT != self._pad).any(dim=0)
            used = whole_width(int(counted_T.nonzero().max()) + 1 if counted_T.any() else 1)
            ids_BT, target_BT = ids_BT[:, :used], target_BT[:, :used]
        return model.hidden(ids_BT).flatten(0, 1), target_BT.flatten()

    def _split(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What is read and what follows each of it, <P> where that is no target [B, T]."""
        ids_BW = (batch if isinstance(batch, Tensor) else batch["ids"]).long()
        target_BT = ids_BW[:, 1:]
        if not isinstance(batch, Tensor) and "given" in batch:
            target_BT = target_BT.masked_fill(batch["given"][:, 1:], self._pad)
        return ids_BW[:, :-1], target_BT
