"""Where CUDA graphs can be had the music is the same; where they cannot, it is said and the music is the same too."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.generate.backends.backend import TorchBackend
from partimento.model.config import ModelConfig
from partimento.model.heads import ConditionedTransformer

CONFIG = ModelConfig(vocab_size=50, d_model=64, n_heads=2, n_layers=2, d_ff=64, context=128)
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def model(device: str = "cpu") -> ConditionedTransformer:
    torch.manual_seed(3)
    return ConditionedTransformer(CONFIG, size=4).to(device)


def read_all(backend: TorchBackend, ids: list[int]) -> np.ndarray:
    """A prompt, single ids, a step back, copies of a row that go their own ways in a larger cache, and two at once."""
    cache = backend.cache(batch=1, capacity=60)
    logits = [backend.read([ids[:5]], cache)]
    logits += [backend.read([[id_]], cache) for id_ in ids[5:15]]
    cache.rollback(9)
    logits += [backend.read([[id_]], cache) for id_ in ids[15:20]]
    rows = cache.take([0, 0], capacity=100)
    for one, other in zip(ids[20:30], ids[30:40], strict=True):
        logits += list(backend.read([[one], [other]], rows)[:, None])
    logits += [backend.read([[id_]], cache) for id_ in ids[40:44]]
    logits.append(backend.read([ids[44:47]], cache))
    return np.concatenate([of_one.reshape(1, -1) for of_one in logits])


def test_without_a_gpu_graphs_are_not_thought_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backend = TorchBackend(model())
        read_all(backend, list(range(47)))
    assert backend.description == "torch, float32 on cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="only a machine without a GPU refuses them")
def test_graphs_that_cannot_be_had_are_missed_aloud_once_and_nothing_else_changes():
    ids = [(7 * n) % 50 for n in range(47)]
    backend = TorchBackend(model(), graphs=True)
    with pytest.warns(RuntimeWarning, match="decoding without CUDA graphs") as heard:
        found = read_all(backend, ids)
    assert len(heard) == 1
    assert backend.description == "torch, float32 on cpu"
    np.testing.assert_array_equal(found, read_all(TorchBackend(model()), ids))


@pytest.mark.parametrize("graphs", [False, True])
def test_a_full_cache_is_refused(graphs):
    backend = TorchBackend(model(), graphs=graphs)
    cache = backend.cache(batch=1, capacity=4)
    backend.read([[1, 2, 3, 4]], cache)
    with pytest.raises(ValueError, match="holds 4 of 4"):
        backend.read([[5]], cache)
    assert cache.length == 4


@on_a_gpu
@settings(max_examples=10)
@given(ids=st.lists(st.integers(0, 49), min_size=47, max_size=47))
def test_recorded_passes_give_the_logits_of_plain_ones(ids):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        backend = TorchBackend(model("cuda"))
        assert backend.description == "torch, float32 on cuda:0, CUDA graphs"
        found = read_all(backend, ids)
    expected = read_all(TorchBackend(model("cuda"), graphs=False), ids)
    np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


@on_a_gpu
def test_a_recorded_pass_dies_with_its_cache():
    backend = TorchBackend(model("cuda"))
    read_all(backend, list(range(47)))
    assert not len(backend._graph_of)
