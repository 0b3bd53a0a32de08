"""What one file says of its work holds for those that sound like it, by the majority and never against a file's own."""

import numpy as np
import pytest

from partimento.corpus.selection.works import IDENTIFIERS, spread
from tests.corpus.manifests import table


def known(rows: list[tuple[str | None, str | None, str | None]], group: list[int]) -> list[tuple]:
    given = table(*(dict(zip(IDENTIFIERS, row, strict=True)) for row in rows))
    found = spread(given, np.array(group, np.int32))
    assert found.column_names == given.column_names
    return list(zip(*(found[name].to_pylist() for name in IDENTIFIERS), strict=True))


CHOPIN, NOBODY = ("chopin", None, None), (None, None, None)
BALLADE = ("chopin", "op. 23", None)
CASES = {
    "one of many": ([BALLADE, CHOPIN, CHOPIN, NOBODY], [BALLADE] * 4),
    "nobody knows": ([CHOPIN, NOBODY], [CHOPIN, CHOPIN]),
    "an even split spreads nothing": (
        [("chopin", "op. 10", "4"), ("chopin", "op. 25", "1"), CHOPIN],
        [("chopin", "op. 10", "4"), ("chopin", "op. 25", "1"), CHOPIN],
    ),
    "the majority, and the others keep their own": (
        [("grieg", "op. 65", "6"), ("grieg", "op. 65", "6"), ("grieg", "op. 65", "1"), ("grieg", None, None)],
        [("grieg", "op. 65", "6"), ("grieg", "op. 65", "6"), ("grieg", "op. 65", "1"), ("grieg", "op. 65", "6")],
    ),
    "half a pair is completed by its own work only": (
        [("schubert", "op. 90", "3"), ("schubert", "op. 90", None), ("schubert", "D. 899", None)],
        [("schubert", "op. 90", "3"), ("schubert", "op. 90", "3"), ("schubert", "D. 899", None)],
    ),
    "a medley's opus spreads where its numbers differ": (
        [("chopin", "op. 28", "6"), ("chopin", "op. 28", "11"), CHOPIN],
        [("chopin", "op. 28", "6"), ("chopin", "op. 28", "11"), ("chopin", "op. 28", None)],
    ),
    "another composer's number is not taken": (
        [("sinding", "op. 32", "3"), ("moszkowski", None, None), NOBODY],
        [("sinding", "op. 32", "3"), ("moszkowski", None, None), NOBODY],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_group_knows(case):
    rows, expected = CASES[case]
    elsewhere = ("bach", "BWV 1", "1")
    assert known([elsewhere, *rows, NOBODY], [1, *[0] * len(rows), 2]) == [elsewhere, *expected, NOBODY]


def test_an_empty_manifest_and_unknown_values_written_as_empty_text():
    assert known([], []) == []
    assert known([("chopin", "", None), ("chopin", "op. 1", "")], [0, 0]) == [("chopin", "op. 1", None)] * 2
