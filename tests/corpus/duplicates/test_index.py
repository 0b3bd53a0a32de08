"""The index on disk beside hits found the plain way."""

from __future__ import annotations

import json
from collections import defaultdict

import numpy as np
import pytest

from partimento.corpus.duplicates import alignment
from partimento.corpus.duplicates import index as passages
from partimento.corpus.duplicates.among import matches_among
from partimento.corpus.duplicates.fingerprints import Fingerprint, fingerprint
from partimento.corpus.duplicates.index import PassageIndex
from partimento.errors import UserError
from tests.corpus.melodies import copies, notes_of, piece, retimed, rubato, transposed


def built(path, files) -> PassageIndex:
    return PassageIndex.build([(f"{k}.mid", f"{k:064x}", fingerprint(notes)) for k, notes in enumerate(files)], path)


def test_a_query_finds_what_comparing_with_every_file_finds(tmp_path):
    files = []
    for k in range(5):
        files += [piece(k, 250), rubato(piece(k, 250), k), *copies(piece(k, 250), k)[::4]]
    prints = [fingerprint(notes) for notes in files]
    index = built(tmp_path / "index", files)
    for query in prints[::3]:
        expected = {}
        for number, other in enumerate(prints):
            places = defaultdict(list)
            for j, hashed in enumerate(other.hash.tolist()):
                places[hashed].append(j)
            i, j = np.array(
                [(i, j) for i, hashed in enumerate(query.hash.tolist()) for j in places[hashed]], np.int64
            ).reshape(-1, 2).T  # fmt: skip
            found = alignment.matches(
                query.hash[i],
                np.zeros(len(i), np.int64),
                other.pitch[j].astype(np.int64) - query.pitch[i],
                query.onset_ms[i].astype(np.int64),
                other.onset_ms[j].astype(np.int64),
                alignment.cells(query.onset_ms),
                len(query),
                np.array([alignment.cells(other.onset_ms)]),
                np.array([len(other)]),
                False,
            )
            if len(found):
                same = found[0]["relation"] == alignment.SAME_PERFORMANCE
                expected[number] = (bool(same), int(found[0]["transposition"]))
        said = {match.file: (match.same_performance, match.transposition) for match in index.query(query)}
        assert said == expected and len(said) >= 5


def test_files_at_hand_are_judged_as_the_index_judges_them(tmp_path):
    files = [piece(1), rubato(piece(1), 5), notes_of([], []), piece(2), *copies(piece(1), 3)[::3], piece(3)]
    prints = [fingerprint(notes) for notes in files]
    index = built(tmp_path / "index", files)
    for query in prints:
        assert matches_among(query, prints, index.names) == index.query(query)
    assert len(matches_among(prints[0], prints, index.names)) >= 4
    assert matches_among(prints[0], [], []) == [] and matches_among(prints[2], prints, index.names) == []


def test_matches_tell_the_file_its_key_and_its_time(tmp_path):
    files = [piece(k) for k in range(4)]
    index = built(tmp_path / "index", files)
    query = retimed(transposed(files[2].slice(100, 400), 4), 1.15)
    [match] = index.query(fingerprint(query))
    assert match.name == "2.mid" and index.sha256[match.file] == f"{2:064x}" and match.same_performance
    assert match.transposition == -4 and match.scale == pytest.approx(1 / 1.15, abs=1e-3)
    assert match.shift_ms == pytest.approx(files[2].onset_ms[100], abs=50)
    assert match.covered == 1 and match.file_ms[0] >= files[2].onset_ms[100] > match.query_ms[0]


def test_nothing_in_common_is_nothing_found(tmp_path):
    index = built(tmp_path / "index", [piece(1), piece(2), notes_of([], [])])
    for notes in (piece(3), notes_of([], []), notes_of([0], [60])):
        assert index.query(fingerprint(notes)) == []
    assert len(index) == 3
    empty = PassageIndex.build([], tmp_path / "empty")
    assert len(empty) == 0 and empty.query(fingerprint(piece(1))) == []


def test_of_places_of_one_passage_the_first_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(passages, "MOST_PLACES", 3)
    index = built(tmp_path / "index", [piece(1)] * 5)
    assert {match.file for match in index.query(fingerprint(piece(1)))} == {0, 1, 2}


def test_postings_are_those_of_the_fingerprints(tmp_path):
    """Many small files at once, so that ranges and blocks have edges; every hash stands sorted, with its own."""
    rng = np.random.default_rng(0)
    count = 11_003
    prints = [
        Fingerprint(
            hash=rng.integers(0, 2**32 - 1, n, np.uint32),
            onset_ms=np.arange(n, dtype=np.uint32),
            pitch=rng.integers(0, 128, n, np.uint8),
            note=np.arange(n, dtype=np.uint32),
        )
        for n in rng.integers(0, 4, count)
    ]
    index = PassageIndex.build(((str(k), "", kept) for k, kept in enumerate(prints)), tmp_path / "index")
    rows = sorted(
        (int(h), k, int(t), int(p))
        for k, kept in enumerate(prints)
        for h, t, p in zip(kept.hash, kept.onset_ms, kept.pitch, strict=True)
    )
    columns = [
        np.fromfile(tmp_path / "index" / f"postings.{name}", dtype)
        for name, dtype in (("hash", "<u4"), ("file", "<u4"), ("onset_ms", "<u4"), ("pitch", "u1"))
    ]
    assert list(zip(*(column.tolist() for column in columns), strict=True)) == rows
    assert index.names == [str(k) for k in range(count)]


def test_an_index_appears_whole_and_refuses_to_be_replaced(tmp_path):
    def breaking():
        yield "0.mid", "", fingerprint(piece(1))
        raise UserError("lost")

    with pytest.raises(UserError, match="lost"):
        PassageIndex.build(breaking(), tmp_path / "index")
    assert not (tmp_path / "index").exists()
    built(tmp_path / "index", [piece(1)])
    with pytest.raises(UserError, match="exists already"):
        built(tmp_path / "index", [piece(1)])


@pytest.mark.parametrize("damage", ["missing", "short", "rule", "json", "table"])
def test_damaged_and_foreign_indexes_are_refused(tmp_path, damage):
    path = tmp_path / "index"
    built(path, [piece(1)])
    if damage == "missing":
        (path / "postings.hash").unlink()
    elif damage == "short":
        (path / "postings.file").write_bytes(b"")
    elif damage == "rule":
        about = json.loads((path / "index.json").read_text())
        (path / "index.json").write_text(json.dumps(about | {"chord_ms": 5}))
    elif damage == "json":
        (path / "index.json").write_text("[]")
    else:
        (path / "files.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="index"):
        PassageIndex(path)
