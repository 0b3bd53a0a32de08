"""Groups are found among distinct contents, handed to their rows, and found again only when the corpus has changed."""

import numpy as np
import pyarrow as pa
import pytest

from partimento.corpus.duplicates.fingerprints import fingerprint
from partimento.corpus.duplicates.relations import relations
from partimento.corpus.selection import groups
from partimento.corpus.selection.groups import relate
from partimento.corpus.survey import manifest
from partimento.tokens.notes import Notes
from tests.corpus.manifests import REFUSED, sha256, table
from tests.corpus.playable import noise


def heard(seed, n, name=None):
    """A row of a performance of its own by `seed`, n notes long."""
    made = fingerprint(Notes.from_performance(noise(seed, n)))
    return {"notes": n, "fingerprint": made.to_bytes(), "sha256": sha256(name or f"{seed} {n}")}


ROWS = (
    {**heard(1, 300), "path": "a"},
    {**REFUSED, "path": "b"},
    {**heard(1, 400), "path": "c"},  # `noise` of more notes is another performance
    {**heard(1, 300, "the same, written otherwise"), "path": "d"},
    {**heard(2, 300), "path": "e"},
    {**heard(2, 300), "path": "f"},
)


@pytest.fixture
def corpus(tmp_path):
    with manifest.open_for_writing(tmp_path) as writer:
        writer.parts.add(table(*ROWS[4:]))  # parts come in the order in which files were surveyed
        writer.parts.add(table(*ROWS[:4]))
    return tmp_path


def rows_of(corpus):
    return manifest.read_manifest(corpus, ["sha256", "verdict", "notes"])


def test_rows_are_grouped_as_their_contents_are(corpus):
    found = relate(corpus, rows_of(corpus))
    assert found.performance_group.tolist() == [0, 1, 2, 0, 4, 4]
    assert found.performance_group.dtype == found.piece_group.dtype == np.int32
    contents = ((1, 300), (1, 400), (1, 300), (2, 300))
    distinct = [fingerprint(Notes.from_performance(noise(seed, n))) for seed, n in contents]
    direct = relations(distinct, [300, 400, 300, 300])
    places = np.array([0, 2, 3, 4])
    assert found.piece_group[places].tolist() == places[direct.piece_group].tolist()


def test_they_are_found_once_for_a_corpus(corpus, monkeypatch):
    first = relate(corpus, rows_of(corpus))
    assert [path.name for path in sorted(corpus.iterdir())] == ["manifest", groups.FILE]

    def again(*arguments):
        raise AssertionError("computed a second time")

    monkeypatch.setattr(groups, "relations", again)
    second = relate(corpus, rows_of(corpus))
    assert (first.performance_group == second.performance_group).all()
    assert (first.piece_group == second.piece_group).all()


def test_what_was_kept_and_cannot_be_read_is_found_again(corpus):
    first = relate(corpus, rows_of(corpus))
    (corpus / groups.FILE).write_bytes(b"not Parquet")
    assert (relate(corpus, rows_of(corpus)).piece_group == first.piece_group).all()
    assert (corpus / groups.FILE).read_bytes()[:4] == b"PAR1"


def test_a_file_that_comes_later_is_grouped_too(corpus):
    before = relate(corpus, rows_of(corpus))
    with manifest.open_for_writing(corpus) as writer:
        writer.parts.add(table({**heard(3, 200), "path": "g"}, {**heard(1, 400, "once more"), "path": "h"}))
    after = relate(corpus, rows_of(corpus))
    assert len(before.performance_group) == 6
    assert after.performance_group.tolist() == [0, 1, 2, 0, 4, 4, 6, 2]


def test_a_corpus_without_a_readable_file_has_no_groups_to_find(tmp_path):
    with manifest.open_for_writing(tmp_path) as writer:
        writer.parts.add(table({**REFUSED, "path": "a"}, {**REFUSED, "path": "b", "sha256": None}))
    found = relate(tmp_path, rows_of(tmp_path))
    assert found.performance_group.tolist() == found.piece_group.tolist() == [0, 1]
    assert isinstance(rows_of(tmp_path), pa.Table)
