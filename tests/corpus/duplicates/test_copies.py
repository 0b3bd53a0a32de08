"""Stretches whose places are known, in music that is otherwise somebody's own."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.corpus.duplicates.chains import FURTHEST, RUBATO, SLACK_MS, chains
from partimento.corpus.duplicates.copies import copies
from partimento.corpus.duplicates.fingerprints import PASSAGE_NOTES, WINDOW, fingerprint, passages
from partimento.corpus.duplicates.index import PassageIndex
from partimento.tokens.notes import Notes
from tests.corpus.melodies import blurred, notes_of, piece, retimed, rubato, transposed


def built(path, files) -> PassageIndex:
    return PassageIndex.build([(f"{k}.mid", f"{k:064x}", fingerprint(notes)) for k, notes in enumerate(files)], path)


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> PassageIndex:
    return built(tmp_path_factory.mktemp("index") / "index", [piece(0), piece(1), piece(2), rubato(piece(1), 5)])


def between(own: Notes, stolen: Notes, at: int = 120) -> Notes:
    """Somebody's own music with something in it."""
    onset = np.concatenate([own.onset_ms[:at], own.onset_ms[at - 1] + 300 + stolen.onset_ms - stolen.onset_ms[0]])
    onset = np.concatenate([onset, onset[-1] + 300 + own.onset_ms[at:] - own.onset_ms[at]])
    return notes_of(onset, np.concatenate([own.pitch[:at], stolen.pitch, own.pitch[at:]]))


def test_all_passages_hold_those_that_are_kept():
    notes = piece(3, 200)
    every, kept = passages(notes), fingerprint(notes)
    assert len(every) == 200 - PASSAGE_NOTES + 1
    at = np.searchsorted(every.note, kept.note)
    for name in ("hash", "onset_ms", "pitch"):
        assert np.array_equal(getattr(every, name)[at], getattr(kept, name))


def test_slower_is_another_way_to_hear_chords_and_changes_no_times():
    pitch = [60, 67, 62, 71, 65, 50, 77, 58, 64, 81, 55, 69]
    uneven = notes_of([0, 50, 400, 450, 800, 850, 1200, 1250, 1600, 1650, 2000, 2050], pitch)
    quick, slow = passages(uneven), passages(uneven, 1.4)
    assert slow.onset_ms.tolist() == [0, 50, 400] and quick.onset_ms.tolist() == [0, 0, 400]


def test_a_stretch_is_found_where_it_stands(index):
    stolen = transposed(retimed(piece(1).slice(250, 330), 1.1), 5)
    copy, *others = copies(between(piece(9, 300), stolen), index)
    assert copy.name == "1.mid" and copy.transposition == 5 and copy.tempo == pytest.approx(1 / 1.1, abs=0.01)
    # What is copied is 120 to 199; at either end a passage may not have been kept.
    assert 120 <= copy.first_note < 120 + WINDOW and 200 - WINDOW < copy.last_note <= 200
    assert copy.file_ms == pytest.approx(
        (piece(1).onset_ms[250 + copy.first_note - 120], piece(1).onset_ms[249 + copy.last_note - 120]), abs=60
    )
    assert copy.different == copy.notes == copy.last_note - copy.first_note
    assert np.all(np.diff(copy.anchors, axis=0) >= 0) and copy.seconds > 15
    assert [other.name for other in others] == ["3.mid"] and not copy.same_performance(others[0])


def test_files_can_be_left_out(index):
    notes = piece(1).slice(100, 300)
    assert [copy.file for copy in copies(notes, index, without=[1])] == [3]
    assert copies(notes, index, without=[1, 3]) == []


def test_two_files_of_one_performance_are_told_from_two_performances(tmp_path):
    again = retimed(transposed(piece(1), 2), 1.05)
    same, other = copies(piece(1).slice(100, 300), built(tmp_path / "index", [piece(1), again]))
    assert same.same_performance(other) and other.same_performance(same)


@pytest.mark.parametrize("length", [PASSAGE_NOTES, 17, 60, 200])
def test_short_quotations_are_not_told_of_and_long_ones_are(index, length):
    found = copies(between(piece(5, 200), piece(1).slice(100, 100 + length)), index)
    assert bool(found) == (length >= 60)


def test_a_stretch_goes_on_over_changed_and_lost_notes_but_not_over_most(index):
    stolen = blurred(piece(1).slice(100, 300), 1, ms=15, lost=0.05)
    copy = copies(stolen, index)[0]
    assert copy.name == "1.mid" and copy.last_note - copy.first_note > 0.8 * len(stolen)
    scattered = copies(blurred(piece(1).slice(100, 300), 1, ms=0, lost=0.4), index)
    assert all(copy.different < 60 for copy in scattered)


def test_a_figure_that_returns_counts_once(tmp_path):
    figure = np.tile([48, 60, 64, 67, 52, 59, 65, 62], 40)
    notes = notes_of(np.arange(len(figure)) * 150, figure)
    found = copies(notes, built(tmp_path / "index", [notes]))
    assert all(copy.notes > 10 * copy.different for copy in found)


def test_nothing_in_common_is_nothing_found(index, tmp_path):
    for notes in (piece(3), notes_of([], []), notes_of([0], [60])):
        assert copies(notes, index) == []
    assert copies(piece(1), PassageIndex.build([], tmp_path / "empty")) == []


@settings(max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 200), st.integers(0, 9000), st.integers(0, 9000)), max_size=25)
)
def test_chains_are_the_longest_there_are(hits):
    """Beside plain recursion over everything that may follow everything."""
    file, note, query, there = np.array(sorted(hits), np.int64).reshape(-1, 4).T
    query = np.sort(query)

    @cache
    def longest(i: int) -> int:
        best = PASSAGE_NOTES
        for j in range(i):
            here, away = query[i] - query[j], there[i] - there[j]
            follows = away >= 0 and away <= RUBATO * here + SLACK_MS and here <= RUBATO * away + SLACK_MS
            if file[j] == file[i] and note[i] - note[j] <= FURTHEST and follows:
                best = max(best, longest(j) + min(note[i] - note[j], PASSAGE_NOTES))
        return best

    covered, before = chains(file, np.zeros(len(file), np.int64), note, query, there)
    assert covered.tolist() == [longest(i) for i in range(len(file))]
    assert all(b < i for i, b in enumerate(before))
