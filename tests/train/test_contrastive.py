"""The contrastive loss is the paper's, pair by pair; memory, processes and padding change nothing of it."""

import math
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch

from partimento.model.parallel import place
from partimento.train.distributed import ALONE
from partimento.train.loop import Trainer
from partimento.train.objectives.contrastive import Contrastive, expected_negatives
from partimento.train.settings import Machine
from tests import programs
from tests.train.small import SETTINGS
from tests.train.views import PIECES, V, gradients, make_embedder, tensors, views


def vectors(model, batch) -> list[list[float]]:
    """Each view's vector, computed alone and without padding: first views, then second ones."""
    found = []
    for row in np.concatenate([batch["a"], batch["b"]]):
        ids = row[: row.tolist().index(V.end) + 1]
        found.append(model(torch.from_numpy(ids[None]).long(), torch.tensor([len(ids) - 1]))[0].tolist())
    return found


def cosine(x, y) -> float:
    return sum(a * b for a, b in zip(x, y, strict=True)) / (math.hypot(*x) * math.hypot(*y))


def brute_force(model, batch, temperature: float, *, masked: bool) -> dict[str, float]:
    """Everything from the definitions, in plain loops."""
    z, n = vectors(model, batch), len(batch["piece"])
    names = [*batch["piece" if masked else "file"].tolist()] * 2
    losses, aligned, spread, found = [], [], [], 0
    for i in range(2 * n):
        j = (i + n) % (2 * n)
        candidates = [k for k in range(2 * n) if k == j or names[k] != names[i]]
        weights = [math.exp(cosine(z[i], z[k]) / temperature) for k in candidates]
        losses.append(-math.log(math.exp(cosine(z[i], z[j]) / temperature) / sum(weights)))
        found += max(candidates, key=lambda k: cosine(z[i], z[k])) == j
        aligned.append(2 - 2 * cosine(z[i], z[j]))
        spread += [math.exp(-2 * (2 - 2 * cosine(z[i], z[k]))) for k in candidates if k != j]
    return {
        "loss": sum(losses) / (2 * n),
        "alignment": sum(aligned) / (2 * n),
        "uniformity": math.log(sum(spread) / len(spread)),
        "top1": found / (2 * n),
    }


@pytest.mark.parametrize("temperature", [0.05, 0.1, 0.5])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("pieces", [PIECES, (0, 1, 2, 3)])
@torch.no_grad()
def test_loss_and_measurements_are_those_of_plain_loops(pieces, masked, temperature):
    batch, model = views(pieces), make_embedder()
    objective = Contrastive(V, temperature=temperature, mask_same_piece=masked)
    expected = brute_force(model, batch, temperature, masked=masked)
    assert objective.targets(tensors(batch)) == 2 * len(pieces)
    loss = objective.total_loss(model, tensors(batch)) / objective.targets(tensors(batch))
    assert loss.item() == pytest.approx(expected["loss"], rel=1e-5)
    assert objective.report(objective.measure(model, tensors(batch))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("pieces", "masked"), [(range(5), True), (range(5), False), ((7, 7, 7, 8, 8), False)])
def test_the_loss_is_equation_2_over_all_others_whatever_their_piece_unless_it_is_masked(pieces, masked):
    batch, model = tensors(views(pieces)), make_embedder()
    z = torch.nn.functional.normalize(torch.tensor(vectors(model, views(pieces))), dim=1)
    logits = (z @ z.T / 0.1).fill_diagonal_(-math.inf)
    partner = torch.arange(10).roll(5)
    expected = torch.nn.functional.cross_entropy(logits, partner, reduction="sum")
    found = Contrastive(V, mask_same_piece=masked).total_loss(model, batch)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)


def test_gradients_are_the_losss_slopes():
    batch, model = tensors(views()), make_embedder()
    objective = Contrastive(V)
    objective.total_loss(model, batch).backward()
    found, rng = gradients(model), torch.Generator().manual_seed(3)
    parameters = list(model.parameters())
    direction = [torch.randn(p.shape, generator=rng, dtype=torch.float64) for p in parameters]
    losses = []
    with torch.no_grad():
        for step in (1e-4, -2e-4):
            for parameter, way in zip(parameters, direction, strict=True):
                parameter.add_(way, alpha=step)
            losses.append(objective.total_loss(model, batch).item())
    slope = (found * torch.cat([way.flatten() for way in direction])).sum().item()
    assert (losses[0] - losses[1]) / 2e-4 == pytest.approx(slope, rel=1e-3)


def mean_loss(objective: Contrastive) -> tuple[float, torch.Tensor]:
    """The mean loss of a batch, and its gradients."""
    batch, model = tensors(views()), make_embedder()
    loss = objective.total_loss(model, batch) / objective.targets(batch)
    loss.backward()
    return loss.item(), gradients(model)


@pytest.mark.parametrize("activation_checkpointing", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 5, 12])
def test_pieces_have_the_gradients_of_the_whole(rows, activation_checkpointing):
    (loss, expected), (their_loss, found) = (
        mean_loss(objective)
        for objective in (
            Contrastive(V),
            Contrastive(V, micro_batch_size=rows, activation_checkpointing=activation_checkpointing),
        )
    )
    assert their_loss == pytest.approx(loss, rel=1e-6)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_compiled_pieces_have_the_gradients_of_views_one_by_one():
    """In float32, as on a GPU; a view alone has no padding at all."""
    batch, results = tensors(views(range(8))), []
    for micro_batch_size, compiled in ((1, False), (5, True)):
        model, objective = make_embedder().float(), Contrastive(V, micro_batch_size=micro_batch_size)
        place(model, compiled=compiled, dynamic=objective.lengths_vary, backend="eager")
        loss = objective.total_loss(model, batch) / objective.targets(batch)
        loss.backward()
        results.append((loss.item(), gradients(model)))
    (loss, expected), (their_loss, found) = results
    assert their_loss == pytest.approx(loss, rel=1e-6)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-6)  # sums in another order


def test_pieces_keep_no_more_activations_than_one_of_them():
    """What autograd holds when the loss is known: vectors and tokens, whatever the number of rows."""

    def held(rows: int | None, pieces) -> int:
        sizes: list[int] = []

        def keep(tensor):
            sizes.append(tensor.numel())
            return tensor

        model = make_embedder()
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            objective = Contrastive(V, micro_batch_size=rows, activation_checkpointing=rows is not None)
            objective.total_loss(model, tensors(views(pieces)))
        weights = sum(parameter.numel() for parameter in model.parameters())
        return sum(size for size in sizes if size < weights)

    whole, cached = held(None, range(32)), held(2, range(32))
    assert cached < whole / 20


def test_a_view_alone_among_its_piece_has_nothing_to_learn_from():
    model = make_embedder()
    loss = Contrastive(V, mask_same_piece=True).total_loss(model, tensors(views((7, 7, 7))))
    loss.backward()
    assert loss.item() == 0
    assert gradients(model).abs().max() == 0


def test_files_of_one_piece_push_each_other_apart_unless_it_is_masked():
    batch = tensors(views((0, 1, 1)))
    for masked, negatives in ((True, [4, 2, 2, 4, 2, 2]), (False, [4] * 6)):
        with torch.no_grad():
            objective = Contrastive(V, mask_same_piece=masked)
            similar, partner, other = objective._compared(make_embedder(), batch)
        assert similar.shape == (6, 6)
        assert not (partner & other).any() and (partner.sum(1) == 1).all()
        assert other.sum(1).tolist() == negatives


def test_a_file_that_comes_twice_in_a_batch_is_not_its_own_negative():
    batch = tensors(views((0, 1, 1)) | {"file": np.array([0, 1, 1])})
    with torch.no_grad():
        _, _, other = Contrastive(V)._compared(make_embedder(), batch)
    assert other.sum(1).tolist() == [4, 2, 2, 4, 2, 2]


def test_bfloat16_multiplies_vectors_in_full_precision():
    batch, model = tensors(views()), make_embedder().float()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        similar, _, _ = Contrastive(V)._compared(model, batch)
    assert similar.dtype == torch.float32
    torch.testing.assert_close(similar.diagonal(), torch.ones(12), atol=1e-6, rtol=0)


@pytest.fixture(scope="module")
def spread(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("spread")
    programs.run("tests.train.spread_views", folder)
    return folder


@pytest.mark.posix
@pytest.mark.parametrize("way", ["at-once", "pieces"])
def test_two_processes_have_the_gradients_of_one(spread, way):
    loss, expected = mean_loss(Contrastive(V))
    with torch.no_grad():
        measured = Contrastive(V).measure(make_embedder(), tensors(views()))
    for rank in (0, 1):
        their_loss, their_gradients, their_measured = torch.load(spread / f"{way}-{rank}", weights_only=True)
        assert their_loss.item() == pytest.approx(loss, rel=1e-6)
        torch.testing.assert_close(their_gradients, expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(their_measured, measured, atol=1e-5, rtol=1e-5)


@pytest.mark.posix
def test_two_processes_that_share_the_weights_take_the_steps_of_one(spread):
    trainer = Trainer(make_embedder(), Contrastive(V), SETTINGS, Machine(), ALONE)
    expected = torch.tensor([trainer.step(views(), rate=1e-2) for _ in range(3)])
    for rank in (0, 1):
        torch.testing.assert_close(torch.load(spread / f"shard-{rank}"), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("sizes", [(1,) * 6, (3, 1, 2), (2, 2, 1, 1), (6,)])
def test_expected_negatives_are_the_mean_over_all_batches(sizes):
    pieces = np.repeat(np.arange(len(sizes)), sizes)
    counted = [
        2 * sum(pieces[i] != pieces[j] for j in batch) for batch in combinations(range(len(pieces)), 3) for i in batch
    ]
    assert expected_negatives(pieces, 3) == pytest.approx(np.mean(counted))
