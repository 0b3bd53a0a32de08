"""The cross entropy in chunks is torch's own, and no array of all logits ever exists."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from partimento.train.objectives.losses import cross_entropies, total_cross_entropy

N, V, D, IGNORED = 50, 37, 8, 2


def case(dtype=torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    hidden_ND = torch.randn(N, D, generator=generator, dtype=dtype)
    weight_VD = torch.randn(V, D, generator=generator, dtype=dtype)
    target_N = torch.randint(V, (N,), generator=generator)
    target_N[::7] = IGNORED
    return hidden_ND.requires_grad_(), weight_VD.requires_grad_(), target_N


def plain(hidden_ND: Tensor, weight_VD: Tensor, target_N: Tensor) -> Tensor:
    return F.cross_entropy(F.linear(hidden_ND, weight_VD).float(), target_N, ignore_index=IGNORED, reduction="sum")


@pytest.mark.parametrize("at_once", [1, 7 * V, 50 * V, None])
def test_values_and_gradients_are_those_of_the_whole(at_once):
    hidden_ND, weight_VD, target_N = case()
    logits_NV = hidden_ND @ weight_VD.T
    expected = F.cross_entropy(logits_NV, target_N, ignore_index=IGNORED, reduction="sum")
    wanted = torch.autograd.grad(3 * expected, (hidden_ND, weight_VD))
    total = total_cross_entropy(hidden_ND, weight_VD, target_N, ignored=IGNORED, at_once=at_once)
    found = torch.autograd.grad(3 * total, (hidden_ND, weight_VD))
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(found, wanted)
    losses_N = cross_entropies(hidden_ND, weight_VD, target_N, ignored=IGNORED, at_once=at_once)
    torch.testing.assert_close(
        losses_N, F.cross_entropy(logits_NV, target_N, ignore_index=IGNORED, reduction="none").detach()
    )


def test_gradients_agree_with_finite_differences():
    hidden_ND, weight_VD, target_N = case()
    few = hidden_ND[:5].detach().requires_grad_(), weight_VD[:9].detach().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda hidden, weight: total_cross_entropy(hidden, weight, target_N[:5] % 9, ignored=IGNORED, at_once=18), few
    )


def test_frozen_weights_and_a_batch_of_padding_only():
    hidden_ND, weight_VD, _ = case()
    nothing_N = torch.full((N,), IGNORED)
    total = total_cross_entropy(hidden_ND, weight_VD.detach(), nothing_N, ignored=IGNORED)
    total.backward()
    assert total.item() == 0
    assert not hidden_ND.grad.any()
    assert weight_VD.grad is None


def test_under_autocast_it_is_as_exact_as_the_plain_way():
    exact = plain(*case(torch.float32)).item()
    errors = []
    for loss in (plain, lambda h, w, t: total_cross_entropy(h, w, t, ignored=IGNORED, at_once=300)):
        hidden_ND, weight_VD, target_N = case(torch.float32)
        with torch.autocast("cpu", torch.bfloat16):
            total = loss(hidden_ND, weight_VD, target_N)
        gradients = torch.autograd.grad(total, (hidden_ND, weight_VD))
        assert total.dtype == torch.float32
        assert all(gradient.dtype == torch.float32 for gradient in gradients)
        errors.append(abs(total.item() / exact - 1))
    assert max(errors) < 5e-3


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation makes."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        found = [t.numel() for t in (out if isinstance(out, tuple | list) else [out]) if isinstance(t, Tensor)]
        self.elements = max([self.elements, *found])
        return out


def test_the_logits_are_never_whole():
    positions, vocabulary, at_once = 2048, 17_727, 2**18
    hidden_ND = torch.randn(positions, 4, requires_grad=True)
    weight_VD = torch.randn(vocabulary, 4, requires_grad=True)
    target_N = torch.randint(vocabulary, (positions,))
    with Largest() as largest:
        total_cross_entropy(hidden_ND, weight_VD, target_N, ignored=IGNORED, at_once=at_once).backward()
        cross_entropies(hidden_ND, weight_VD, target_N, ignored=IGNORED, at_once=at_once)
    assert largest.elements <= at_once < positions * vocabulary / 100
    few_N = target_N[:64]
    with Largest() as largest:
        plain(hidden_ND[:64], weight_VD, few_N).backward()
    assert largest.elements == 64 * vocabulary  # the measure does see logits that are whole


def test_the_loss_of_a_uniform_guess():
    hidden_ND, weight_VD, target_N = case()
    total = total_cross_entropy(torch.zeros_like(hidden_ND), weight_VD, target_N, ignored=IGNORED)
    assert total.item() == pytest.approx(int((target_N != IGNORED).sum()) * math.log(V))
