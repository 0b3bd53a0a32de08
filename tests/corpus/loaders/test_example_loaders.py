"""One row of one file: views that do not overlap, labels that are the files' own; what all such loaders promise."""

import json
from collections import Counter
from functools import cache
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partimento.corpus.loaders.examples import (
    LabelledLoader,
    ViewPairLoader,
    balanced,
    one_slice,
    two_slices,
)
from partimento.corpus.loaders.sequences import StretchLoader, WholeFileLoader
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.tokens.notes import Notes
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Kind, Vocabulary
from tests.corpus.playable import noise, store_of

V = Vocabulary.piano()
COUNTS = (30, 60, 150, 250, 420, 900)
COMPOSERS = ("bach", "satie", "bach", "satie", "bach", "")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    labels = {
        f"{i:02}.mid": {"split": "train"} | ({"composer": name} if name else {}) for i, name in enumerate(COMPOSERS)
    }
    return store_of(tmp_path_factory.mktemp("corpus"), [noise(i, n) for i, n in enumerate(COUNTS)], labels)


def make(kind, store, **more):
    settings = {"length": 512, "batch": 4, "seed": 3} | ({"label": "composer"} if kind is LabelledLoader else {})
    return kind(store, V, "train", **settings | more)


def arrays(batch) -> dict:
    return batch if isinstance(batch, dict) else {"ids": batch}


def assert_same(a, b) -> None:
    a, b = arrays(a), arrays(b)
    assert a.keys() == b.keys()
    assert all(np.array_equal(a[name], b[name]) for name in a)


def joined(parts) -> dict:
    parts = [arrays(part) for part in parts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def sequence(row) -> list[int]:
    """A row up to its padding, in which there is nothing else."""
    ids = row.tolist()
    end = ids.index(V.pad) if V.pad in ids else len(ids)
    assert set(ids[end:]) <= {V.pad}
    return ids[:end]


@cache
def played(index: int) -> Performance:
    return Performance.from_midi(noise(index, COUNTS[index]).to_midi())


KINDS = pytest.mark.parametrize("kind", [WholeFileLoader, StretchLoader, ViewPairLoader, LabelledLoader])


@KINDS
def test_the_same_seed_gives_the_same_bytes_and_another_others(kind, store):
    first, second, other = make(kind, store), make(kind, store), make(kind, store, seed=4)
    differs = False
    for _ in range(8):
        batch, others = arrays(next(first)), arrays(next(other))
        assert_same(batch, next(second))
        differs |= any(not np.array_equal(batch[name], others[name]) for name in batch)
    assert differs


@KINDS
def test_processes_share_the_batch_and_one_may_follow_many(kind, store):
    alone, two = make(kind, store), [make(kind, store, rank=rank, world=2) for rank in range(2)]
    for _ in range(5):
        assert_same(next(alone), joined(next(part) for part in two))
    state = json.loads(json.dumps(alone.state_dict()))
    assert all(part.state_dict() == state for part in two)
    four = [make(kind, store, rank=rank, world=4) for rank in range(4)]
    for part in four:
        part.load_state_dict(state)
    for _ in range(5):
        assert_same(next(alone), joined(next(part) for part in four))


@KINDS
def test_every_file_comes_once_in_an_epoch_and_differently_in_the_next(kind, store):
    loader = make(kind, store, batch=1)
    epochs = [
        [tuple(sequence(next(iter(arrays(batch).values()))[0])) for batch in islice(loader, loader.examples_per_epoch)]
        for _ in range(3)
    ]
    assert (
        loader.examples_per_epoch == {WholeFileLoader: 6, StretchLoader: 18, ViewPairLoader: 5, LabelledLoader: 5}[kind]
    )
    assert len({row for epoch in epochs for row in epoch}) == 3 * loader.examples_per_epoch


@KINDS
def test_states_of_other_loaders_and_lengths_without_room_are_refused(kind, store):
    with pytest.raises(UserError, match="it has rows"):
        make(kind, store).load_state_dict({"rows": {}})
    with pytest.raises(UserError, match="length is 5"):
        make(kind, store, length=5)


# -- views ------------------------------------------------------------------------------------------------------------


@given(st.integers(50, 3000), st.integers(0, 10_000))
def test_two_slices_never_overlap(count, seed):
    views = two_slices(count, np.random.default_rng(seed))
    (begin, middle), (after, end) = sorted(views)
    assert 0 <= begin < middle <= after < end <= count
    for first, last in views:
        assert min(100, count // 2) <= last - first <= min(650, count // 2)


def test_slices_are_everywhere_and_of_every_length():
    rng = np.random.default_rng(0)
    drawn = [two_slices(1400, rng) for _ in range(20_000)]
    assert {last - first for pair in drawn for first, last in pair} == set(range(100, 651))
    assert sum(a < b for a, b in drawn) / len(drawn) == pytest.approx(0.5, abs=0.02)
    heard = np.zeros(1400)
    for pair in drawn:
        for first, last in pair:
            heard[first:last] += 1
    assert (heard > 0).all() and heard[300:1100].max() / heard[300:1100].min() < 1.5
    assert {two_slices(120, rng) for _ in range(100)} == {((0, 60), (60, 120)), ((60, 120), (0, 60))}


@given(st.integers(1, 2000), st.integers(0, 10_000))
def test_one_slice_lies_within_the_file(count, seed):
    first, last = one_slice(count, np.random.default_rng(seed))
    assert 0 <= first < last <= count
    assert min(100, count) <= last - first <= 650


def pitches(ids: list[int]) -> list[int]:
    return [int(V.pitch_of[id]) for id in ids if V.kind_of[id] == Kind.NOTE]


def place_in(file: int, ids: list[int]) -> tuple[int, int]:
    """First and last + 1 of the notes of a file that a view says, found by looking everywhere."""
    notes, said = Notes.from_performance(played(file)), pitches(ids)
    heard, count = notes.pitch.tolist(), len(said)
    for first in range(len(notes) - count + 1):
        if heard[first : first + count] == said:
            body = Tokenizer(V).encode_notes(notes.slice(first, first + count))
            if body.tolist() == ids[2:-1]:
                return first, first + count
    raise AssertionError("not notes of this file")


def test_views_are_slices_of_their_file(store):
    loader = make(ViewPairLoader, store, length=4096, batch=5, augment=False)
    for batch in islice(loader, 4):
        assert {name: (array.shape, array.dtype) for name, array in batch.items()} == {
            "a": ((5, 4096), np.int32),
            "b": ((5, 4096), np.int32),
            "file": ((5,), np.int64),
            "piece": ((5,), np.int64),
        }
        assert sorted(batch["file"].tolist()) == [1, 2, 3, 4, 5]
        for file, piece, a, b in zip(batch["file"], batch["piece"], batch["a"], batch["b"], strict=True):
            assert piece == store.file(file).piece
            (begin, middle), (after, end) = sorted(place_in(file, sequence(view)) for view in (a, b))
            assert middle <= after
            assert min(100, COUNTS[file] // 2) <= middle - begin and min(100, COUNTS[file] // 2) <= end - after
            assert V.dim not in a and V.dim not in b


def test_the_views_of_a_file_are_augmented_independently(store):
    half = COUNTS[1] // 2
    halves = [np.sort(played(1).pitch[part].astype(int)) for part in (slice(0, half), slice(half, None))]
    drawn = set()
    for batch in islice(make(ViewPairLoader, store, length=2048, batch=5), 40):
        row = batch["file"].tolist().index(1)
        views = [np.sort(pitches(sequence(batch[name][row]))) for name in ("a", "b")]
        shifts = [
            {int(moved) for moved in set(view - other) if len(set(view - other)) == 1}
            for view in views
            for other in halves
        ]
        drawn.add(tuple(shift for found in shifts for shift in found))
    assert all(len(pair) == 2 and max(map(abs, pair)) <= 5 for pair in drawn)
    assert len(drawn) > 25 and len({pair[0] - pair[1] for pair in drawn}) > 10


def test_views_that_are_too_long_end_with_their_end(store):
    batch = next(make(ViewPairLoader, store, length=64, batch=5))
    for name in ("a", "b"):
        assert (batch[name][:, -1] == V.end).all()
        assert (batch[name][:, :-1] != V.end).all()


# -- labels -----------------------------------------------------------------------------------------------------------


def test_labels_are_those_of_the_files(store):
    loader = make(LabelledLoader, store)
    assert loader.classes == ("bach", "satie")
    batch = next(loader)
    assert [COMPOSERS[file] for file in batch["file"]] == [loader.classes[label] for label in batch["label"]]
    assert {file for batch in islice(loader, 10) for file in batch["file"]} == {0, 1, 2, 3, 4}
    only = make(LabelledLoader, store, classes=("satie", "bach"), batch=2, labelled=4)
    assert only.examples_per_epoch == 4
    assert Counter(int(label) for batch in islice(only, 2) for label in batch["label"]) == {0: 2, 1: 2}


def test_subsets_are_balanced_and_contain_each_other():
    labels = np.random.default_rng(0).integers(-1, 3, 400)
    classes = ("a", "b", "c")
    subsets = [balanced(labels, classes, n, seed=1) for n in (1, 3, 20, 100, 200)]
    for n, subset in zip((1, 3, 20, 100, 200), subsets, strict=True):
        counts = np.bincount(labels[subset], minlength=3)
        assert len(set(subset.tolist())) == n == counts.sum() and counts.max() - counts.min() <= 1
    for smaller, larger in pairwise(subsets):
        assert set(smaller) < set(larger)
    assert set(balanced(labels, classes, 100, seed=2)) != set(subsets[3])


def test_what_the_labels_cannot_give_is_refused(store):
    with pytest.raises(UserError, match="6 labels need 3 files of class 'satie', there are 2"):
        make(LabelledLoader, store, labelled=6)
    with pytest.raises(UserError, match="0 labels"):
        make(LabelledLoader, store, labelled=0)
    with pytest.raises(UserError, match="no label 'opus'"):
        make(LabelledLoader, store, label="opus")
    with pytest.raises(UserError, match="no file in split 'train' has a label 'composer' among the classes"):
        make(LabelledLoader, store, classes=("liszt",))


def test_a_store_of_short_files_has_no_views(tmp_path):
    with pytest.raises(UserError, match="has 50 notes or more"):
        make(ViewPairLoader, store_of(tmp_path, [noise(0, 49)]))
