"""Heads read the right hidden state, and a vector at position 0 acts as it must for the published weights."""

import pytest
import torch

from partimento.errors import UserError
from partimento.model.config import ModelConfig
from partimento.model.heads import Classifier, ConditionedTransformer, Embedder
from partimento.model.transformer import KVCache

CONFIG = ModelConfig(vocab_size=211, d_model=48, n_heads=3, n_layers=3, d_ff=80, context=96)
TOLERANCE = {"atol": 1e-4, "rtol": 1e-4}


def lively(model):
    """Weights large enough that a wrong attention shows."""
    generator = torch.Generator().manual_seed(9)
    for name, parameter in model.named_parameters():
        torch.nn.init.normal_(parameter, 1.0 if "norm" in name and "weight" in name else 0.0, 0.2, generator)
    return model.eval()


@pytest.fixture
def conditioned() -> ConditionedTransformer:
    return lively(ConditionedTransformer(CONFIG, size=20))


@pytest.fixture
def vector_BE() -> torch.Tensor:
    return torch.randn(3, 20, generator=torch.Generator().manual_seed(10))


@pytest.mark.parametrize(("make", "head"), [(Embedder, "emb_head"), (Classifier, "class_head")])
@torch.inference_mode()
def test_each_row_is_read_where_it_ends_whatever_pads_it(make, head, ids_BT):
    model = lively(make(CONFIG, size=5))
    at_B = torch.tensor([59, 17, 30])
    read_BN = model(ids_BT, at_B)
    assert read_BN.shape == (3, 5)
    for row, at in enumerate(at_B.tolist()):
        alone_TD = model.model(ids_BT[row : row + 1, : at + 1])[0]
        torch.testing.assert_close(read_BN[row], getattr(model, head).weight @ alone_TD[-1], **TOLERANCE)


@torch.inference_mode()
def test_ids_follow_a_vector_as_they_would_follow_an_id(conditioned, ids_BT, vector_BE):
    # An id whose embedding is the adapted vector must have the same effect at position 0.
    adapted_BD = vector_BE @ conditioned.embedding_adapter.weight.T
    conditioned.model.tok_embeddings.weight[[7, 8, 9]] = adapted_BD
    stand_in_BS = torch.cat((torch.tensor([[7], [8], [9]]), ids_BT), dim=1)
    torch.testing.assert_close(conditioned.after(vector_BE, ids_BT), conditioned(stand_in_BS), **TOLERANCE)


@torch.inference_mode()
def test_a_hidden_vector_changes_nothing_and_positions_are_relative(conditioned, ids_BT, vector_BE):
    unseen_B = torch.tensor([True, False, True])
    logits_BSV = conditioned.after(vector_BE, ids_BT, unseen_B=unseen_B)
    # Rotary attention knows distances only, so a hidden position 0 is as if the ids began there.
    torch.testing.assert_close(logits_BSV[[0, 2], 1:], conditioned(ids_BT)[[0, 2]], **TOLERANCE)
    torch.testing.assert_close(logits_BSV[1], conditioned.after(vector_BE, ids_BT)[1], **TOLERANCE)
    assert (logits_BSV[1, 1:] - conditioned(ids_BT)[1]).abs().max() > 0.1


@torch.inference_mode()
def test_guided_rows_decode_step_by_step_as_at_once(conditioned, ids_BT, vector_BE):
    unseen_B = torch.tensor([False, True, False])
    whole_BSV = conditioned.after(vector_BE, ids_BT, unseen_B=unseen_B)
    cache = KVCache(CONFIG, batch=3, capacity=61)
    parts = [conditioned.after(vector_BE, ids_BT[:, :10], cache, unseen_B=unseen_B)]
    parts.append(conditioned(ids_BT[:, 10:40], cache))
    parts += [conditioned(ids_BT[:, t : t + 1], cache) for t in range(40, 60)]
    torch.testing.assert_close(torch.cat(parts, dim=1), whole_BSV, **TOLERANCE)
    cache.rollback(21)
    torch.testing.assert_close(conditioned(ids_BT[:, 20:], cache), whole_BSV[:, 21:], **TOLERANCE)


@torch.inference_mode()
def test_hidden_stays_hidden_in_copies(conditioned, ids_BT, vector_BE):
    pair = KVCache(CONFIG, batch=2, capacity=61)
    unseen_B = torch.tensor([False, True])
    conditioned.after(vector_BE[:1].expand(2, -1), ids_BT[:1, :30].expand(2, -1), pair, unseen_B=unseen_B)
    four = pair.take([0, 0, 1, 1])
    rest_BT = torch.cat((ids_BT[:2, 30:], ids_BT[:2, 30:]))
    begun_BT = ids_BT[:1, :30].expand(4, -1)
    whole_BSV = conditioned.after(
        vector_BE[:1].expand(4, -1), torch.cat((begun_BT, rest_BT), dim=1), unseen_B=unseen_B.repeat_interleave(2)
    )
    torch.testing.assert_close(conditioned(rest_BT, four), whole_BSV[:, 31:], **TOLERANCE)


@torch.inference_mode()
def test_the_vector_comes_first_or_not_at_all(conditioned, ids_BT, vector_BE):
    cache = KVCache(CONFIG, batch=3, capacity=96)
    conditioned(ids_BT, cache)
    with pytest.raises(ValueError, match="already holds 60"):
        conditioned.after(vector_BE, ids_BT, cache)
    assert conditioned.after(vector_BE, ids_BT[:, :0]).shape == (3, 1, 211)


@pytest.mark.parametrize("make", [Embedder, Classifier, ConditionedTransformer])
def test_heads_of_no_size_are_refused(make):
    with pytest.raises(UserError, match="give 1 or more"):
        make(CONFIG, size=0)


def test_dropout_rises_with_depth_and_only_in_training(ids_BT):
    torch.manual_seed(0)
    model = lively(Classifier(CONFIG, size=4))
    at_B = torch.tensor([59, 59, 59])
    exact = model(ids_BT, at_B)
    model.model.drop_residuals(0.2)
    assert [block.dropout for block in model.model.encode_layers] == pytest.approx([0.0, 0.1, 0.2])
    assert torch.equal(model(ids_BT, at_B), exact)
    assert not torch.equal(model.train()(ids_BT, at_B), exact)
