"""Which weights are moved by what, and Muon against a singular value decomposition."""

import dataclasses

import pytest
import torch

from partimento.train.checkpoints import read_header
from partimento.train.loop import CHECKPOINTS
from partimento.train.optimiser import Muon, make_optimisers, orthogonalised
from tests.train.small import SETTINGS, make_model, newest, records, train_in


def names(model, parameters) -> set[str]:
    of = {id(parameter): name for name, parameter in model.named_parameters()}
    return {of[id(parameter)] for parameter in parameters}


def test_only_matrices_decay():
    model = make_model()
    (adamw,) = make_optimisers(model, SETTINGS)
    decayed, kept = adamw.param_groups
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)
    assert all("norm" in name for name in names(model, kept["params"]))
    assert not any("norm" in name for name in names(model, decayed["params"]))
    assert len(kept["params"]) + len(decayed["params"]) == len(list(model.parameters()))
    everything = make_optimisers(model, dataclasses.replace(SETTINGS, decay_vectors=True))[0]
    assert [group["weight_decay"] for group in everything.param_groups] == [0.1, 0.1]


def test_muon_takes_the_matrices_of_the_blocks():
    model = make_model()
    adamw, muon = make_optimisers(model, dataclasses.replace(SETTINGS, optimiser="muon"))
    of_muon = names(model, muon.param_groups[0]["params"])
    of_adamw = names(model, [p for group in adamw.param_groups for p in group["params"]])
    assert of_muon == {n for n, p in model.named_parameters() if "encode_layers" in n and p.ndim == 2}
    assert of_adamw == dict(model.named_parameters()).keys() - of_muon


@pytest.mark.parametrize("shape", [(8, 8), (24, 8), (8, 24)])
def test_an_orthogonalised_matrix_keeps_its_singular_vectors(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).float()
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ orthogonalised(matrix) @ right.T
    assert turned.diagonal().min() > 0.6 and turned.diagonal().max() < 1.3
    assert values.max() / values.min() > 2  # it was far from orthogonal
    torch.testing.assert_close(turned, turned.diagonal().diag(), atol=1e-4, rtol=0)
    assert not orthogonalised(torch.zeros(shape)).any()


def test_matrices_are_orthogonalised_together_as_they_are_alone_and_nearly_so_in_bfloat16():
    matrices = torch.randn((3, 16, 40), generator=torch.Generator().manual_seed(3))
    together = orthogonalised(matrices)
    for matrix, turned in zip(matrices, together, strict=True):
        torch.testing.assert_close(turned, orthogonalised(matrix))
    coarse = torch.linalg.svdvals(orthogonalised(matrices, torch.bfloat16))
    assert coarse.min() > 0.6 and coarse.max() < 1.3


def test_muons_steps_are_as_long_as_adamws():
    weight = torch.nn.Parameter(torch.zeros(64, 32))
    weight.grad = torch.randn(64, 32, generator=torch.Generator().manual_seed(2))
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    assert weight.detach().square().mean().sqrt().item() == pytest.approx(0.1 * 0.2, rel=0.2)
    weight.grad = torch.zeros(64, 32)
    before = weight.detach().clone()
    Muon([weight], lr=0.1, weight_decay=0.5).step()
    torch.testing.assert_close(weight.detach(), before * 0.95)


def test_muon_resumes_to_the_same_bits_too(tmp_path):
    settings = dataclasses.replace(SETTINGS, optimiser="muon", steps=12)
    measured = train_in(tmp_path / "whole", make_model(), settings)
    longer = train_in(tmp_path / "halves", make_model(), dataclasses.replace(settings, checkpoint_every=7))
    for step in (8, 9, 10, 11, 12):
        for path in (tmp_path / "halves" / CHECKPOINTS).glob(f"step-*{step:02d}"):
            path.rename(path.with_name(f"away-{step}"))
    assert read_header(newest(tmp_path / "halves"))["step"] == 7
    assert train_in(tmp_path / "halves", make_model(seed=9), settings) == measured == longer
    assert records(tmp_path / "halves") == records(tmp_path / "whole")
    assert measured["nats_per_token"] < 6  # of ln 2675 = 7.9, in 12 steps
