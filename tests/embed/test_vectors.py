"""The nearest of many vectors, beside scikit-learn's."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from partimento.embed import vectors
from partimento.embed.vectors import nearest, unit


@pytest.mark.parametrize("bytes_at_once", [1, 4000, 2**27])
def test_the_nearest_are_those_that_scikit_learn_finds(bytes_at_once, monkeypatch):
    monkeypatch.setattr(vectors, "_BLOCK_BYTES", bytes_at_once)
    random = np.random.default_rng(0)
    x, queries = (unit(random.normal(size=(n, 16))) for n in (90, 7))
    oracle = NearestNeighbors(n_neighbors=12, algorithm="brute").fit(x)
    for index, distance, found in [
        (*nearest(x, queries, 12), oracle.kneighbors(queries)),
        (*nearest(x, x, 12, itself=False), oracle.kneighbors()),
    ]:
        np.testing.assert_array_equal(index, found[1])
        np.testing.assert_allclose(distance, found[0], atol=1e-7)


def test_of_equally_near_vectors_the_first_come_first():
    x = unit(np.array([[1.0, 0], [0, 1], [1, 0], [1, 0], [0, 1]]))
    index, distance = nearest(x, x, 4, itself=False)
    assert index[3].tolist() == [0, 2, 1, 4]
    np.testing.assert_allclose(distance[3], [0, 0, np.sqrt(2), np.sqrt(2)])


def test_more_neighbours_than_there_are_is_refused():
    x = np.eye(3)
    with pytest.raises(ValueError, match="give 1 to 2"):
        nearest(x, x, 3, itself=False)
    assert (unit(np.zeros((1, 3))) == 0).all()
