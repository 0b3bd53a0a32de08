"""What a loader yields depends on its seed and position alone, and no id of any file is missing."""

import json
from itertools import islice, pairwise

import numpy as np
import pytest
from playable import noise, write

from partimento.corpus.loaders import PackedLoader
from partimento.corpus.store import NoteStore, build
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary

V = Vocabulary.piano()
FILES = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus")
    sources = [(write(path / "midi" / f"{i}.mid", noise(i, 30 + 25 * i)), "train") for i in range(FILES)]

    def refused(error):
        raise error

    build(sources, path / "store", refused=refused)
    return path


@pytest.fixture(scope="module")
def store(folder):
    return NoteStore(folder / "store")


def loader(store, *, length=64, batch=2, seed=3, augment=True):
    return PackedLoader(store, V, "train", length=length, batch=batch, seed=seed, augment=augment)


def rows_of(batches) -> list[list[int]]:
    """Each row's windows laid end to end, the id that two windows share counted once."""
    batches = list(batches)
    return [
        [int(batches[0][row, 0])] + [int(id) for batch in batches for id in batch[row, 1:]]
        for row in range(len(batches[0]))
    ]


def test_the_same_seed_gives_the_same_bytes(store):
    first, second = list(islice(loader(store), 30)), list(islice(loader(store), 30))
    assert all(batch.shape == (2, 65) and batch.dtype == np.int32 for batch in first)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, second, strict=True))
    other = list(islice(loader(store, seed=4), 30))
    assert any(a.tobytes() != b.tobytes() for a, b in zip(first, other, strict=True))


def test_windows_overlap_by_one_id(store):
    batches = list(islice(loader(store, length=17, batch=3), 100))
    for earlier, later in pairwise(batches):
        assert np.array_equal(earlier[:, -1], later[:, 0])


@pytest.mark.parametrize("length", [1, 7, 64, 1000])
def test_resuming_continues_at_the_exact_id(store, length):
    whole = loader(store, length=length)
    for steps in (1, 1, 3, 8):
        for _ in range(steps):
            next(whole)
        state = json.loads(json.dumps(whole.state_dict()))
        resumed = loader(store, length=length)
        resumed.load_state_dict(state)
        ahead = loader(store, length=length)
        ahead.load_state_dict(state)
        wanted = [next(ahead) for _ in range(5)]
        assert all(np.array_equal(next(resumed), batch) for batch in wanted)
    following = list(islice(whole, 5))
    assert all(np.array_equal(a, b) for a, b in zip(following, wanted, strict=True))


def test_window_length_changes_nothing_but_the_cuts(store):
    short, long = rows_of(islice(loader(store, length=10), 300)), rows_of(islice(loader(store, length=600), 5))
    assert short == long


@pytest.mark.parametrize("batch", [1, 2, 3])
def test_rows_are_whole_files_one_after_the_other(folder, store, batch):
    tokenizer = Tokenizer(V)
    encoded = {
        tuple(tokenizer.encode(Performance.from_midi(path), dim=True).tolist()): path.name
        for path in (folder / "midi").iterdir()
    }
    rows = rows_of(islice(loader(store, length=50, batch=batch, augment=False), 120))
    names = []
    for row in rows:
        ends = [i + 1 for i, id in enumerate(row) if id == V.end]
        pieces = [tuple(row[a:b]) for a, b in zip([0, *ends], ends, strict=False)]
        names.append([encoded[piece] for piece in pieces])
    in_order = [name for turn in zip(*names, strict=False) for name in turn]
    epochs = [in_order[i : i + FILES] for i in range(0, len(in_order) - FILES + 1, FILES)]
    assert len(epochs) >= 2
    assert all(sorted(epoch) == [f"{i}.mid" for i in range(FILES)] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_each_epoch_is_augmented_afresh(store):
    row = rows_of(islice(loader(store, batch=1), 150))[0]
    ends = [i + 1 for i, id in enumerate(row) if id == V.end]
    pieces = [tuple(row[a:b]) for a, b in zip([0, *ends], ends, strict=False)]
    assert len(pieces) > 2 * FILES and len(set(pieces)) == len(pieces)


def test_the_state_of_another_batch_size_is_refused(store):
    with pytest.raises(UserError, match="2 rows, this loader 3"):
        loader(store, batch=3).load_state_dict(loader(store, batch=2).state_dict())


def test_empty_windows_and_batches_are_refused(store):
    for wrong in ({"length": 0}, {"batch": 0}):
        with pytest.raises(UserError, match="at least 1"):
            loader(store, **wrong)
    with pytest.raises(UserError, match="no files in split"):
        PackedLoader(store, V, "heldout", length=8, batch=1, seed=0)
