"""Contrastive learning: two views of one file near each other, away from all other files (paper, section 3.3).

Knows: the NT-Xent loss over the views of all processes, who may be whose negative (any other file, or any of another
piece), how
views are embedded in pieces without changing a gradient, and what is measured. Refuses to know: optimisers, how a model
makes a vector, where views come from.

    objective = Contrastive(vocabulary, temperature=0.1, micro_batch_size=8, activation_checkpointing=True)
    loss = objective.total_loss(embedder, batch) / objective.targets(batch)    # batch as ViewPairLoader makes it

A loss of one row depends on all rows, so the loop must not cut a batch: `micro_batch_size` is given to the objective,
which sorts the views by length before it cuts them, so that little is padded: of 128 views of 100 to 650 notes in one
piece 46 % of what is computed are padding, in pieces of 16 only 9 %. `activation_checkpointing` is gradient caching: of
each piece only the vectors are kept until the loss is known, and its activations are computed again when its gradients
are wanted. A batch of any size then needs the memory of one piece, for a third more time.

Shape legend: N pairs of this process, A = 2N its views (all first views, then all second ones), M views of all
processes, E channels, T tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from partimento.model.precision import whole_width
from partimento.tokens.vocabulary import Vocabulary
from partimento.train.distributed import ALONE, World

UNIFORMITY_SCALE: Final = 2.0
"""The t of Wang and Isola's uniformity (2020)."""


class Contrastive:
    """NT-Xent over vectors of unit length; batches are mappings `a`, `b` int [N, T] (views), `file`, `piece` int [N].

    Every view of another file is a negative (equation 2), so performances of one piece are told apart. With
    `mask_same_piece` files of one piece, so also copies of one performance, are never each other's negatives.
    """

    criterion = "loss"
    unit = "views"
    lengths_vary = True

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        temperature: float = 0.1,
        mask_same_piece: bool = False,
        micro_batch_size: int | None = None,
        activation_checkpointing: bool = False,
        world: World = ALONE,
    ) -> None:
        self._end = vocabulary.end
        self._temperature, self._world = temperature, world
        self._told_apart = "piece" if mask_same_piece else "file"
        self._micro_batch_size, self._activation_checkpointing = micro_batch_size, activation_checkpointing

    def targets(self, batch: Mapping[str, Tensor]) -> int:
        """Every view looks for its other one."""
        return 2 * len(batch["file"])

    def total_loss(self, model: Any, batch: Mapping[str, Tensor]) -> Tensor:
        """Sum over this process's views; its gradients reach the views of all processes (equation 2)."""
        similar_AM, partner_AM, other_AM = self._compared(model, batch)
        return nt_xent(similar_AM, partner_AM, other_AM, temperature=self._temperature).sum()

    def measure(self, model: Any, batch: Mapping[str, Tensor]) -> Tensor:
        """Sums and counts for `report`."""
        similar_AM, partner_AM, other_AM = self._compared(model, batch)
        losses_A = nt_xent(similar_AM, partner_AM, other_AM, temperature=self._temperature)
        nearest_A = similar_AM.masked_fill(~(partner_AM | other_AM), -math.inf).argmax(dim=1, keepdim=True)
        # Vectors of unit length: their squared distance is 2 - 2 cos.
        distance_AM = 2 - 2 * similar_AM.double()
        sums = (
            losses_A.sum(),
            distance_AM[partner_AM].sum(),
            partner_AM.gather(1, nearest_A).sum(),
            partner_AM.sum(),
            torch.exp(-UNIFORMITY_SCALE * distance_AM[other_AM]).sum(),
            other_AM.sum(),
        )
        return torch.stack([value.double() for value in sums])

    def report(self, sums: Tensor) -> dict[str, float]:
        """`loss` in nats a view; `top1`: share of views that are nearest to their other one, of it and their negatives.

        `alignment`: mean squared distance of the two views; `uniformity`: logarithm of the mean of exp(-2 d^2) over
        views and their negatives (Wang and Isola, 2020). Both are better the lower they are.
        """
        loss, aligned, found, views, spread, pairs = sums.tolist()
        return {
            "loss": loss / views,
            "alignment": aligned / views,
            "uniformity": math.log(spread / pairs) if pairs else 0.0,
            "top1": found / views,
        }

    def _compared(self, model: Any, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Cosines of this process's views with everybody's [A, M]; which of them are partners, and which negatives."""
        vectors_AE = self._embedded(model, torch.cat((batch["a"], batch["b"])))
        name_A = torch.cat((batch[self._told_apart], batch[self._told_apart]))
        views = len(name_A)
        with torch.autocast(vectors_AE.device.type, enabled=False):  # cosines near 1 are all alike in bfloat16
            own_AE = F.normalize(vectors_AE.to(torch.promote_types(vectors_AE.dtype, torch.float32)), dim=1)
            similar_AM = own_AE @ self._world.stack(own_AE).T
        other_AM = name_A[:, None] != self._world.stack(name_A)
        partner_A = torch.arange(views, device=name_A.device).roll(views // 2) + self._world.rank * views
        partner_AM = torch.zeros_like(other_AM).scatter_(1, partner_A[:, None], True)
        return similar_AM, partner_AM, other_AM

    def _embedded(self, model: Any, ids_AT: Tensor) -> Tensor:
        """Vectors [A, E], computed so many rows at once; neighbours in length go together, without their padding."""
        at_A = (ids_AT == self._end).int().argmax(dim=1)
        pieces = torch.split(at_A.argsort(), self._micro_batch_size or len(ids_AT))
        # All at once: to ask for each piece's own would leave a GPU without work in between.
        longest = (at_A[torch.stack([rows[-1] for rows in pieces])] + 1).tolist()
        found = []
        for rows, length in zip(pieces, longest, strict=True):
            at, ids = at_A[rows], ids_AT[rows, : whole_width(length)].long()
            if self._activation_checkpointing and torch.is_grad_enabled():
                found.append(checkpoint(model, ids, at, use_reentrant=False))
            else:
                found.append(model(ids, at))
        return torch.cat(found)[torch.cat(pieces).argsort()]


def nt_xent(similar_AM: Tensor, partner_AM: Tensor, other_AM: Tensor, *, temperature: float) -> Tensor:
    """-log softmax of each row's partner among its partner and its negatives, in nats [A] (equation 2).

    `similar_AM` are cosines; `partner_AM` is true once a row, `other_AM` where a view may be a negative.
    """
    scaled_AM = (similar_AM / temperature).masked_fill(~(partner_AM | other_AM), -math.inf)
    return scaled_AM.logsumexp(dim=1) - scaled_AM[partner_AM]


def expected_negatives(pieces: NDArray[np.int64], pairs: int) -> float:
    """How many negatives a view has on average in a batch of `pairs` different files with these piece numbers."""
    files = len(pieces)
    _, sizes = np.unique(pieces, return_counts=True)
    same = float((sizes * (sizes - 1)).sum()) / max(1, files * (files - 1))
    return 2 * (pairs - 1) * (1 - same)
