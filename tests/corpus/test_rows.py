"""Every block is worked on once, no more is under way than is allowed, and rows are kept in whole parts."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partimento.corpus.rows import UNDER_WAY, Parts, blocks, processors, spread

SCHEMA = pa.schema([("number", pa.int64())], metadata={"made by": "a test"})


def table(*numbers: int) -> pa.Table:
    return pa.table({"number": pa.array(numbers, pa.int32())})


@given(st.lists(st.integers()), st.integers(1, 9))
def test_blocks_are_the_items_in_order_and_all_full_but_the_last(items, size):
    found = blocks(items, size)
    assert [item for block in found for item in block] == items
    assert all(len(block) == size for block in found[:-1]) and all(0 < len(block) <= size for block in found[-1:])
    arrow = blocks(table(*range(len(items))), size)
    assert [len(block) for block in arrow] == [len(block) for block in found]


def test_two_processes_do_what_one_does_and_take_no_block_early():
    taken = 0

    def counting() -> Iterator[str]:
        nonlocal taken
        for word in words:
            taken += 1
            yield word

    words = ["a" * length for length in range(20)]
    assert list(spread(len, words)) == list(range(20))
    done = []
    for length in spread(len, counting(), workers=2):
        done.append(length)
        assert taken - len(done) <= UNDER_WAY * 2
    assert sorted(done) == list(range(20))


def test_what_the_work_raises_comes_through():
    for workers in (1, 2):
        with pytest.raises(TypeError):
            list(spread(len, [1, 2, 3], workers=workers))
    assert processors() >= 1


def test_parts_gather_rows_and_go_on_where_they_ended(tmp_path):
    parts = Parts(tmp_path / "parts", SCHEMA)
    kept = parts.keep((table(i, i) for i in range(5)), rows_per_part=4)
    assert next(kept).num_rows == 2 and parts.paths == []  # a kill now costs these two rows
    assert [rows.num_rows for rows in kept] == [2] * 4
    assert [pq.read_table(part)["number"].to_pylist() for part in parts.paths] == [[0, 0, 1, 1], [2, 2, 3, 3], [4, 4]]
    (tmp_path / "parts" / ".part-000003.parquet.1-0.part").write_bytes(b"half of a part")
    Parts(tmp_path / "parts", SCHEMA).add(table(9))
    assert [part.name for part in parts.paths] == [f"part-{number:06}.parquet" for number in range(4)]
    assert pq.read_table(parts.paths[-1]).schema.equals(SCHEMA, check_metadata=True)
