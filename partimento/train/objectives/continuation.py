"""Generative fine-tuning: the loss of pretraining, watched on music that is held out and on music that is learned from.

Knows: that a model which overfits becomes better on what it was shown than on anything else, and how that is
measured: both losses, on examples that are not augmented, each time the validation loss is asked for. Refuses to know:
what follows from it (`finetune.py`), optimisers, where examples come from.

    validation = BothSides(held_out=StretchLoader(..., "validation"), seen=StretchLoader(..., "train"))
    objective = Continuation(vocabulary)

Shape legend: as in `pretrain.py`; a batch for measuring is `ids` [B, W] and `seen` [B], true in rows of the training
split.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from partimento.tokens.vocabulary import Kind
from partimento.train.objectives.pretraining import Pretraining
from partimento.train.prefetch import Loader


class Continuation(Pretraining):
    """Next-token cross entropy in nats, measured on two sides; the criterion is that of what is held out."""

    def measure(self, model: Any, batch: Any) -> Tensor:
        """Sum of losses and number of targets of each kind of token [2 sides, 2, K]: held out, then seen."""
        ids_BW, seen_B = batch["ids"], batch["seen"]
        sums = torch.zeros(2, 2, len(Kind), dtype=torch.float64, device=ids_BW.device)
        for side, rows_B in enumerate((~seen_B, seen_B)):
            if rows_B.any():
                sums[side] = super().measure(model, ids_BW[rows_B])
        return sums

    def report(self, sums: Tensor) -> dict[str, float]:
        """All measurements of what is held out, and `seen_nats_per_token` of what is learned from."""
        held_out, seen = (super(Continuation, self).report(side) for side in sums)
        return held_out | {"seen_nats_per_token": seen["nats_per_token"]}


class BothSides:
    """Batches whose first half comes from one loader and whose second half from another."""

    def __init__(self, *, held_out: Loader, seen: Loader) -> None:
        self._held_out, self._seen = held_out, seen

    def __iter__(self) -> Iterator[dict[str, NDArray]]:
        for held_out, seen in zip(self._held_out, self._seen, strict=True):
            sides = [side if isinstance(side, Mapping) else {"ids": side} for side in (held_out, seen)]
            batch = {name: np.concatenate([side[name] for side in sides]) for name in sides[0]}
            yield batch | {"seen": np.repeat([False, True], [len(side["ids"]) for side in sides])}

    def state_dict(self) -> dict[str, Any]:
        """The positions of both."""
        return {"held_out": self._held_out.state_dict(), "seen": self._seen.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes to what `state_dict` said."""
        self._held_out.load_state_dict(state["held_out"])
        self._seen.load_state_dict(state["seen"])


def overfitting(measured: Mapping[str, float], before: Mapping[str, float]) -> float:
    """By how many nats a token what was seen has become easier than what was held out, since `before`.

    The difference between the sides before training, when nothing was seen, says only that one of them is the harder.
    """
    held_out, seen = (measured[name] - before[name] for name in ("nats_per_token", "seen_nats_per_token"))
    return held_out - seen
