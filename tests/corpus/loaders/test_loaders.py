"""What a loader yields depends on its seed and position alone, and no id of any file is missing."""

import json
from itertools import islice, pairwise

import numpy as np
import pytest

from partimento.corpus.loaders.order import merge_states
from partimento.corpus.loaders.packed import PackedLoader
from partimento.corpus.store.note_store import NoteStore
from partimento.errors import UserError
from partimento.midi.performance import Performance
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary
from tests.corpus.playable import noise, store_of

V = Vocabulary.piano()
FILES = 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("corpus")
    store_of(path, [noise(i, 30 + 25 * i) for i in range(FILES)], files_per_shard=2)
    return path


@pytest.fixture(scope="module")
def store(folder):
    return NoteStore(folder / "store")


def loader(store, *, length=64, batch=2, seed=3, augment=True, **more):
    return PackedLoader(store, V, "train", length=length, batch=batch, seed=seed, augment=augment, **more)


def rows_of(batches) -> list[list[int]]:
    """Each row's windows laid end to end, the id that two windows share counted once."""
    batches = list(batches)
    return [
        [int(batches[0][row, 0])] + [int(id) for batch in batches for id in batch[row, 1:]]
        for row in range(len(batches[0]))
    ]


def same(a, b) -> bool:
    a, b = list(a), list(b)
    return len(a) == len(b) and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_the_same_seed_gives_the_same_bytes(store):
    first = list(islice(loader(store), 30))
    assert all(batch.shape == (2, 65) and batch.dtype == np.int32 for batch in first)
    assert same(first, islice(loader(store), 30))
    assert not same(first, islice(loader(store, seed=4), 30))


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
        resumed = loader(store, length=length)
        resumed.load_state_dict(json.loads(json.dumps(whole.state_dict())))
        wanted = list(islice(resumed, 5))
    assert same(islice(whole, 5), wanted)


def test_window_length_changes_nothing_but_the_cuts(store):
    short, long = rows_of(islice(loader(store, length=10), 300)), rows_of(islice(loader(store, length=600), 5))
    assert short == long


@pytest.mark.parametrize("pedal", [False, True])
@pytest.mark.parametrize("batch", [1, 2, 3])
def test_rows_are_whole_files_one_after_the_other(folder, store, batch, pedal):
    tokenizer = Tokenizer(V)
    encoded = {
        tuple(tokenizer.encode(Performance.from_midi(path), dim=True, pedal_tokens=pedal).tolist()): path.name
        for path in (folder / "midi").iterdir()
    }
    rows = rows_of(islice(loader(store, length=50, batch=batch, augment=False, pedal=pedal), 120))
    names = []
    for row in rows:
        ends = [i + 1 for i, id in enumerate(row) if id == V.end]
        pieces = [tuple(row[a:b]) for a, b in pairwise([0, *ends])]
        names.append([encoded[piece] for piece in pieces])
    in_order = [row[turn] for turn in range(min(map(len, names))) for row in names]
    epochs = [in_order[i : i + FILES] for i in range(0, len(in_order) - FILES + 1, FILES)]
    assert len(epochs) >= 2
    assert all(sorted(epoch) == [f"{i:02}.mid" for i in range(FILES)] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_each_epoch_is_augmented_afresh(store):
    row = rows_of(islice(loader(store, batch=1), 150))[0]
    ends = [i + 1 for i, id in enumerate(row) if id == V.end]
    pieces = [tuple(row[a:b]) for a, b in pairwise([0, *ends])]
    assert len(pieces) > 2 * FILES and len(set(pieces)) == len(pieces)


def test_processes_share_the_rows_and_one_may_follow_many(store):
    alone = loader(store, batch=6)
    three = [loader(store, batch=6, rank=rank, world=3) for rank in range(3)]
    for _ in range(40):
        assert np.array_equal(next(alone), np.concatenate([next(part) for part in three]))
    merged = json.loads(json.dumps(merge_states([part.state_dict() for part in three])))
    assert merged == alone.state_dict()
    two = [loader(store, batch=6, rank=rank, world=2) for rank in range(2)]
    for part in two:
        part.load_state_dict(merged)
    for _ in range(10):
        assert np.array_equal(next(alone), np.concatenate([next(part) for part in two]))


def test_streams_of_a_row_are_the_rows_of_a_larger_batch_taken_in_turn(store):
    several, wide = loader(store, batch=2, streams=3), loader(store, batch=6)
    for _ in range(20):
        expected = next(wide)
        for n in range(3):
            assert np.array_equal(next(several), expected[2 * n : 2 * n + 2])
    next(several)
    halves = [loader(store, batch=2, streams=3, rank=rank, world=2) for rank in range(2)]
    for half in halves:
        half.load_state_dict(json.loads(json.dumps(several.state_dict())))
    for _ in range(20):
        assert np.array_equal(next(several), np.concatenate([next(half) for half in halves]))
    assert merge_states([half.state_dict() for half in halves]) == several.state_dict()
    with pytest.raises(UserError, match="6 streams; this loader reads 2 of 2"):
        loader(store).load_state_dict(several.state_dict())


def test_a_transform_sees_every_window_with_numbers_of_its_own(store):
    def shuffled(ids, rng):
        return rng.permutation(ids)

    plain, changed = loader(store), loader(store, transform=shuffled)
    pairs = [(next(plain), next(changed)) for _ in range(20)]
    assert all(np.array_equal(np.sort(a), np.sort(b)) and not np.array_equal(a, b) for a, b in pairs)
    seen = []
    deaf = loader(store, batch=3, transform=lambda ids, rng: seen.append(rng.random()) or ids)
    assert same(islice(deaf, 40), islice(loader(store, batch=3), 40))
    assert len(set(seen)) == len(seen) == 120
    resumed = loader(store, transform=shuffled)
    resumed.load_state_dict(plain.state_dict())
    assert same(islice(resumed, 3), islice(changed, 3))


def test_states_of_other_batches_are_refused(store):
    with pytest.raises(UserError, match="2 streams; this loader reads 3 of 3"):
        loader(store, batch=3).load_state_dict(loader(store, batch=2).state_dict())
    with pytest.raises(UserError, match="1 streams"):
        loader(store, rank=1, world=2).load_state_dict(loader(store, rank=0, world=2).state_dict())
    with pytest.raises(UserError, match="0 streams"):
        loader(store).load_state_dict({"examples": 7})
    with pytest.raises(UserError, match="examples is 7 in one and 8 in another"):
        merge_states([{"examples": 7}, {"examples": 8}])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"length": 0}, "at least 1"),
        ({"batch": 0}, "at least 1"),
        ({"streams": 0}, "streams of at least 1"),
        ({"batch": 3, "world": 2}, "batch of 3 rows cannot be shared evenly by 2"),
        ({"rank": 2, "world": 2}, r"rank is 2; it must lie in 0\.\.1"),
    ],
)
def test_impossible_settings_are_refused(store, wrong, message):
    with pytest.raises(UserError, match=message):
        loader(store, **wrong)


def test_what_is_not_there_is_refused(store):
    with pytest.raises(UserError, match="no files in split"):
        PackedLoader(store, V, "validation", length=8, batch=1, seed=0)
    with pytest.raises(UserError, match="no pedal tokens"):
        PackedLoader(store, Vocabulary.aria(), "train", length=8, batch=1, seed=0, pedal=True)
