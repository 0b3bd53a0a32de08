"""Pretraining: predict each next id of performances (paper, section 4.2).

Knows: which ids of a batch are targets, their loss, and how held-out loss is reported. Refuses to know: optimisers,
schedules, where batches come from.

    objective = Pretraining(vocabulary)
    loss = objective.total_loss(model, ids_BW) / objective.targets(ids_BW)

Shape legend: B batch, W = T + 1 ids in a row, T predicted positions, N = B * T, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from partimento.tokens.vocabulary import Kind, Vocabulary


class Pretraining:
    """Next-id cross-entropy in nats; padding is never a target."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._pad = vocabulary.pad
        self._kind_of_V = torch.from_numpy(np.array(vocabulary.kind_of, dtype=np.int64))

    def targets(self, ids_BW: Tensor) -> int:
        """How many ids of the batch are predicted."""
        return int((ids_BW[:, 1:] != self._pad).sum())

    def total_loss(self, model: nn.Module, ids_BW: Tensor) -> Tensor:
        """Sum over all targets, so that batches of unequal padding can be added before dividing."""
        return self._losses(model, ids_BW).sum()

    @torch.no_grad()
    def evaluate(self, model: nn.Module, batches: Iterable[Tensor]) -> dict[str, float]:
        """Held-out loss in nats: per token, per note (all ids, divided by the notes among them), and by kind of id."""
        nats_K, count_K = (torch.zeros(len(Kind), dtype=torch.float64) for _ in range(2))
        for ids_BW in batches:
            target_N = ids_BW[:, 1:].flatten().long().cpu()
            kind_N = self._kind_of_V[target_N]
            counted_N = (target_N != self._pad).double()
            nats_K.index_add_(0, kind_N, self._losses(model, ids_BW).double().cpu())
            count_K.index_add_(0, kind_N, counted_N)
        notes = count_K[Kind.NOTE] + count_K[Kind.DRUM]
        report = {
            "tokens": float(count_K.sum()),
            "notes": float(notes),
            "nats_per_token": float(nats_K.sum() / count_K.sum()),
            "nats_per_note": float(nats_K.sum() / notes),
        }
        by_kind = {f"nats_{kind.name.lower()}": float(nats_K[kind] / count_K[kind]) for kind in Kind if count_K[kind]}
        return report | by_kind

    def _losses(self, model: nn.Module, ids_BW: Tensor) -> Tensor:
        """Loss of each position [N], 0 where the target is padding."""
        ids_BW = ids_BW.long()
        logits_NV = model(ids_BW[:, :-1]).flatten(0, 1)
        # Sums of exponentials over a vocabulary lose too much in bfloat16.
        return F.cross_entropy(logits_NV.float(), ids_BW[:, 1:].flatten(), ignore_index=self._pad, reduction="none")
