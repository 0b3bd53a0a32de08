"""Cross entropy over a vocabulary without ever holding all logits.

Knows: the loss of a linear head and its exact gradients, a few positions at a time. Refuses to know: what tokens mean,
which model the hidden states come from. The logits of 16 rows of 8,192 positions over 17,727 are 9 GB in float32,
and a plain backward pass holds several such arrays; here the largest has `LOGITS_AT_ONCE` elements.

    total = total_cross_entropy(hidden_ND, model.lm_head.weight, target_N, ignored=vocabulary.pad)

The gradients are formed in the forward pass, where the logits of a chunk are at hand, so nothing is computed twice.

Shape legend: N positions, C positions of a chunk, D channels, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

LOGITS_AT_ONCE = {"cpu": 2**22, "cuda": 2**26}
"""Elements of the largest array: what stays in a processor's cache, or keeps a GPU busy (256 MiB in float32)."""


def total_cross_entropy(
    hidden_ND: Tensor, weight_VD: Tensor, target_N: Tensor, *, ignored: int, at_once: int | None = None
) -> Tensor:
    """Sum of -log softmax(hidden @ weight.T)[target] in nats over the targets that are not `ignored`; differentiable.

    Equals `F.cross_entropy(..., ignore_index=ignored, reduction="sum")` of the logits, computed in autocast's dtype for
    products and at least in float32 for everything else.
    """
    total: Tensor = _TotalCrossEntropy.apply(hidden_ND, weight_VD, target_N, ignored, at_once)  # type: ignore[no-untyped-call]
    return total


@torch.no_grad()
def cross_entropies(
    hidden_ND: Tensor, weight_VD: Tensor, target_N: Tensor, *, ignored: int, at_once: int | None = None
) -> Tensor:
    """The summands of `total_cross_entropy` [N], 0 where ignored; for measuring, not differentiable."""
    weight_VD = weight_VD.to(_dtype(hidden_ND))
    parts = [
        _losses(hidden_ND[chunk].to(weight_VD.dtype), weight_VD, target_N[chunk], ignored)[0]
        for chunk in _chunks(target_N, len(weight_VD), at_once)
    ]
    return torch.cat(parts)


class _TotalCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0917 - torch hands them over by position
        ctx: Any, hidden_ND: Tensor, weight_VD: Tensor, target_N: Tensor, ignored: int, at_once: int | None
    ) -> Tensor:
        cast_VD = weight_VD.to(_dtype(hidden_ND))
        exact = torch.promote_types(cast_VD.dtype, torch.float32)
        total = torch.zeros((), dtype=exact, device=hidden_ND.device)
        want_hidden, want_weight = ctx.needs_input_grad[:2]
        hidden_grad_ND = torch.empty_like(hidden_ND) if want_hidden else None
        weight_grad_VD = torch.zeros_like(weight_VD, dtype=exact) if want_weight else None
        for chunk in _chunks(target_N, len(weight_VD), at_once):
            hidden_CD, target_C = hidden_ND[chunk].to(cast_VD.dtype), target_N[chunk]
            losses_C, logits_CV, norm_C = _losses(hidden_CD, cast_VD, target_C, ignored)
            total += losses_C.sum()
            # The gradient is softmax minus one at the target. An infinite norm makes it 0 where nothing is counted.
            counted_C = target_C != ignored
            norm_C = norm_C.masked_fill(~counted_C, torch.inf)
            softmax_CV = logits_CV.sub_(norm_C[:, None]).exp_()
            grad_CV = softmax_CV.scatter_add_(1, target_C[:, None], -counted_C[:, None].to(exact)).to(cast_VD.dtype)
            if hidden_grad_ND is not None:
                hidden_grad_ND[chunk] = grad_CV @ cast_VD
            if weight_grad_VD is not None:
                weight_grad_VD += grad_CV.T @ hidden_CD
        ctx.save_for_backward(hidden_grad_ND, weight_grad_VD)
        ctx.weight_dtype = weight_VD.dtype
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        hidden_grad_ND, weight_grad_VD = ctx.saved_tensors
        return (
            None if hidden_grad_ND is None else hidden_grad_ND * grad,
            None if weight_grad_VD is None else (weight_grad_VD * grad).to(ctx.weight_dtype),
            None,
            None,
            None,
        )


def _losses(hidden_CD: Tensor, weight_VD: Tensor, target_C: Tensor, ignored: int) -> tuple[Tensor, Tensor, Tensor]:
    """Losses [C], logits [C, V] and the logarithm of the sum of their exponentials [C], at least in float32."""
    logits_CV = hidden_CD @ weight_VD.T
    # Sums of exponentials over a vocabulary lose too much in bfloat16.
    logits_CV = logits_CV.to(torch.promote_types(logits_CV.dtype, torch.float32))
    norm_C = logits_CV.logsumexp(dim=1)
    losses_C = (norm_C - logits_CV.gather(1, target_C[:, None])[:, 0]).masked_fill(target_C == ignored, 0)
    return losses_C, logits_CV, norm_C


def _chunks(target_N: Tensor, vocabulary: int, at_once: int | None) -> Iterator[slice]:
    rows = max(1, (at_once or LOGITS_AT_ONCE.get(target_N.device.type, LOGITS_AT_ONCE["cpu"])) // vocabulary)
    return (slice(first, first + rows) for first in range(0, len(target_N), rows))


def _dtype(hidden_ND: Tensor) -> torch.dtype:
    device = hidden_ND.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else hidden_ND.dtype
