"""Classification: which label does a slice of a performance have (paper, section 4.1)?

Knows: that the label is read at <E>, the loss, and what is measured. Refuses to know: optimisers, what labels mean,
where slices come from.

    objective = Classification(vocabulary)
    loss = objective.total_loss(classifier, batch) / objective.targets(batch)    # batch as LabelledLoader makes it

Shape legend: B slices, T tokens, N classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from partimento.model.precision import whole_width
from partimento.tokens.vocabulary import Vocabulary


class Classification:
    """Cross entropy of one label a slice, in nats; batches are mappings `ids` int [B, T] and `label` int [B]."""

    criterion = "error"
    unit = "slices"
    lengths_vary = True

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._end = vocabulary.end

    def targets(self, batch: Mapping[str, Tensor]) -> int:
        """One label a slice."""
        return len(batch["label"])

    def total_loss(self, model: Any, batch: Mapping[str, Tensor]) -> Tensor:
        """Sum over the slices."""
        return F.cross_entropy(self._logits(model, batch), batch["label"], reduction="sum")

    def measure(self, model: Any, batch: Mapping[str, Tensor]) -> Tensor:
        """Sum of losses, number of wrong labels, number of slices [3]."""
        logits_BN, label_B = self._logits(model, batch), batch["label"]
        loss = F.cross_entropy(logits_BN, label_B, reduction="sum")
        wrong = (logits_BN.argmax(dim=1) != label_B).sum()
        return torch.stack([value.double() for value in (loss, wrong, torch.ones_like(label_B).sum())])

    def report(self, sums: Tensor) -> dict[str, float]:
        """`error`: share of the slices with a wrong label; `loss` in nats a slice."""
        loss, wrong, slices = sums.tolist()
        return {"error": wrong / slices, "loss": loss / slices}

    def _logits(self, model: Any, batch: Mapping[str, Tensor]) -> Tensor:
        at_B = (batch["ids"] == self._end).int().argmax(dim=1)
        # What all rows have behind their <E> is padding that nothing reads.
        return model(batch["ids"][:, : whole_width(int(at_B.max()) + 1)].long(), at_B).float()
