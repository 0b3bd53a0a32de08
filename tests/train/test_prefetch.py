"""Batches made ahead are the loader's own, each with its own position; nothing outlives whoever uses them."""

import threading
import traceback
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.train.log import read_log
from partimento.train.loop import train
from partimento.train.prefetch import AHEAD, Prefetcher, as_tensors
from tests.train.cycling import CyclingLoader
from tests.train.small import SETTINGS, loader, make_model, objective, train_in


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("batches")]


@settings(max_examples=20)
@given(used=st.integers(0, 12), further=st.integers(1, 5))
def test_batches_and_positions_are_those_of_the_loader_alone(used, further):
    alone, behind = loader(), loader()
    expected = [(batch, alone.state_dict()) for batch in islice(iter(alone), used + further)]
    with Prefetcher(behind) as batches:
        found = list(islice(batches, used))
    for (batch, position), (expected_batch, expected_position) in zip(found, expected[:used], strict=True):
        assert np.array_equal(batch.numpy(), expected_batch)
        assert position == expected_position
    if used:  # the last position leads on to the very next batch, however far the thread had gone
        resumed = loader()
        resumed.load_state_dict(found[-1][1])
        for batch, (expected_batch, _) in zip(islice(iter(resumed), further), expected[used:], strict=True):
            assert np.array_equal(batch, expected_batch)


class Counting:
    """Batches 1, 2, 3, ...; breaks at one of them, and says when one has been made."""

    def __init__(self, *, breaks_at: int | None = None) -> None:
        self.position, self.breaks_at = 0, breaks_at
        self.made = threading.Semaphore(0)

    def __iter__(self):
        while True:
            if self.position + 1 == self.breaks_at:
                self._break()
            self.position += 1
            self.made.release()
            yield {"n": np.array([self.position])}

    def _break(self):
        raise OSError("the disk is gone")

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.position = state["position"]


def test_so_many_are_made_before_anybody_asks_and_no_more():
    counting = Counting()
    with Prefetcher(counting) as batches:
        for _ in range(AHEAD):
            assert counting.made.acquire(timeout=30)
        assert not counting.made.acquire(timeout=0.05)
        next(batches)
        assert counting.made.acquire(timeout=30)
    assert counting.position == AHEAD + 1


def test_an_error_comes_in_its_turn_with_the_loaders_traceback():
    with Prefetcher(Counting(breaks_at=4)) as batches:
        assert [int(batch["n"]) for batch, _ in islice(batches, 3)] == [1, 2, 3]
        with pytest.raises(OSError, match="the disk is gone") as caught:
            next(batches)
    assert "_break" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert not threads()


def test_a_loader_that_ends_ends_the_batches():
    class Two(Counting):
        def __iter__(self):
            return islice(super().__iter__(), 2)

    with Prefetcher(Two()) as batches:
        assert [int(batch["n"]) for batch, _ in batches] == [1, 2]


def test_leaving_early_for_whatever_reason_leaves_no_thread():
    with Prefetcher(Counting()) as batches:
        next(batches)
        assert threads()
    assert not threads()

    def interrupted():
        with Prefetcher(Counting()):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not threads()


def test_the_loop_says_how_long_it_waited_and_leaves_no_thread(tmp_path):
    train_in(tmp_path, make_model())
    assert not threads()
    waited = [(line["loader_seconds"], line["seconds"]) for line in read_log(tmp_path) if "loss" in line]
    assert all(0 <= wait < whole for wait, whole in waited)


def test_a_loader_that_breaks_stops_the_loop_where_it_broke(tmp_path):
    class Breaking(CyclingLoader):
        def __iter__(self):
            yield from islice(super().__iter__(), 7)
            raise OSError("the disk is gone")

    broken = loader()
    broken.__class__ = Breaking
    with pytest.raises(OSError, match="the disk is gone"):
        train(
            make_model(),
            objective(),
            loader=broken,
            validation=loader(batch=4),
            settings=SETTINGS,
            folder=tmp_path,
        )
    assert [line["step"] for line in read_log(tmp_path) if "loss" in line] == list(range(1, 8))
    assert not threads()


def test_tensors_share_the_arrays_memory_and_stay_what_they_are():
    array = np.arange(3)
    made = as_tensors({"x": array, "y": torch.ones(2)})
    array[0] = 7
    assert made["x"].tolist() == [7, 1, 2]
    assert as_tensors(made)["x"].data_ptr() == made["x"].data_ptr()
