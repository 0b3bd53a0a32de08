"""What travels in a small folder comes out as stores that teach the same."""

import numpy as np
import pytest

from benchmarks.train.carry import main
from partimento.corpus.loaders.packed import PackedLoader
from partimento.corpus.store.note_store import MANIFEST, NoteStore, digest
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary
from tests.corpus.playable import noise, store_of


def carry(*words) -> None:
    main([str(word) for word in words])


@pytest.fixture(scope="module")
def carried(tmp_path_factory):
    """Two stores of which one has files of the other in another order, and the folder they came out in."""
    folder = tmp_path_factory.mktemp("carry")
    performances = [noise(seed, 40 + 90 * seed) for seed in range(6)]
    stores = {
        "all": store_of(folder / "a", performances, files_per_shard=4),
        "some": store_of(folder / "b", [performances[4], performances[1], noise(9, 77)]),
    }
    carry("pack", folder / "box", *(f"{name}={store.path}" for name, store in stores.items()))
    carry("unpack", folder / "box", folder / "out")
    return stores, folder


@pytest.mark.parametrize("name", ["all", "some"])
def test_stores_teach_the_same_ids_and_are_known_again(carried, name):
    stores, folder = carried
    before, after = stores[name], NoteStore(folder / "out" / name)
    assert len(after) == len(before) and len(after.shards) == {"all": 2, "some": 1}[name]
    assert digest(after.path / MANIFEST) == digest(before.path / MANIFEST)
    assert list(after.files) == list(before.files)
    for index in range(len(before)):
        theirs, ours = before.packed(index).notes, after.packed(index).notes
        for column in ("gap_ms", "sounding_ms", "pitch"):
            np.testing.assert_array_equal(ours[column], theirs[column])
        plain = [Tokenizer(Vocabulary.piano()).encode_notes(store.notes(index)) for store in (before, after)]
        np.testing.assert_array_equal(*plain)
    loaders = [PackedLoader(store, Vocabulary.piano(), "train", 200, 2, 5) for store in (before, after)]
    for _ in range(8):
        np.testing.assert_array_equal(*map(next, loaders))


def test_a_file_of_two_stores_travels_once(carried, tmp_path):
    stores, folder = carried
    alone, together = ((folder / "box"), tmp_path / "box")
    carry("pack", together, *(f"{name}={stores['all'].path}" for name in ("one", "two", "three")))
    sizes = [sum(file.stat().st_size for file in box.glob("*.xz")) for box in (alone, together)]
    assert sizes[1] < sizes[0]


def test_other_words_get_the_instructions(capsys):
    with pytest.raises(SystemExit, match="2"):
        carry("pack", "box", "store")
    assert "unpack BOX FOLDER" in capsys.readouterr().err
