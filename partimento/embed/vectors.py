"""Vectors beside each other: their length, and the nearest of many, exactly.

Knows blocks, and that of equally near vectors found the first comes first. Refuses to know what a vector is of, and
models: nothing here loads torch.

    index, distance = nearest(unit(vectors), unit(queries), 10)           # both [m, 10], the nearest first

Shape legend: n vectors, m queries, b queries of a block, E numbers of a vector.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]

_BLOCK_BYTES: Final = 128 * 2**20


def unit(vectors: Floats) -> Floats:
    """The same vectors [n, E] of length 1; a vector of length 0 stays as it is."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def nearest(
    vectors_nE: Floats, queries_mE: Floats, k: int, *, itself: bool = True
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Indices and Euclidean distances [m, k] of the k vectors nearest to each query, the nearest first.

    All vectors have length 1 (`unit`), so that the order is that of the angles. Without `itself`, queries are the
    vectors, and none is its own neighbour. Raises ValueError if there are fewer than k vectors.
    """
    there = len(vectors_nE) - (not itself)
    if not 1 <= k <= there:
        raise ValueError(f"k is {k}, but there are {there} vectors: give 1 to {there}")
    index_mk = np.empty((len(queries_mE), k), np.int64)
    cosine_mk = np.empty((len(queries_mE), k), np.float64)
    rows = max(1, _BLOCK_BYTES // (4 * len(vectors_nE)))
    for first in range(0, len(queries_mE), rows):
        cosine_bn = queries_mE[first : first + rows] @ vectors_nE.T
        block = np.arange(len(cosine_bn))
        if not itself:
            cosine_bn[block, first + block] = -np.inf
        chosen_bk = np.sort(np.argpartition(-cosine_bn, k - 1, axis=1)[:, :k], axis=1)
        of_chosen_bk = np.take_along_axis(cosine_bn, chosen_bk, axis=1)
        order_bk = np.argsort(-of_chosen_bk, axis=1, kind="stable")
        index_mk[first + block] = np.take_along_axis(chosen_bk, order_bk, axis=1)
        cosine_mk[first + block] = np.take_along_axis(of_chosen_bk, order_bk, axis=1)
    return index_mk, np.sqrt(np.maximum(2 - 2 * cosine_mk, 0))
