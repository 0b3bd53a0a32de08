"""What belongs together over any number of steps: connected components, by scipy.

Knows numbers alone; refuses to know files and why two of them belong together.

    >>> connected(4, [0, 3], [3, 2]).tolist()
    [0, 1, 0, 0]
    >>> components([np.array([7, 7, -1, -1]), np.array([-1, 5, 5, -1])]).tolist()
    [0, 0, 0, 3]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def connected(n: int, one: npt.ArrayLike, other: npt.ArrayLike) -> Ints:
    """Of n nodes, and edges from each of `one` to each of `other`: every node's component by its first node, [n]."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(np.asarray(one)), np.bool_), (one, other)), shape=(n, n))
    _, numbers = connected_components(graph, directed=False)
    _, first, component = np.unique(numbers, return_index=True, return_inverse=True)
    return first[component]


def components(groups: Sequence[npt.NDArray[np.integer]]) -> Ints:
    """Of n rows, each row's component by its first row, int64 [n].

    `groups` [n] each: rows of one number >= 0 belong together; -1 belongs with nobody.
    """
    n = nodes = len(groups[0])
    edges = [np.empty((2, 0), np.int64)]
    for group in groups:  # each of its numbers is a node too, behind the rows
        rows = np.flatnonzero(np.asarray(group) >= 0)
        edges.append(np.stack([rows, np.asarray(group, np.int64)[rows] + nodes]))
        nodes = int(edges[-1][1].max(initial=nodes - 1)) + 1
    return connected(nodes, *np.concatenate(edges, axis=1))[:n]
