"""Stretches whose notes are known: where they end, and which notes are one another's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.corpus.duplicates.copies import Copy, copies
from partimento.corpus.duplicates.fingerprints import PASSAGE_NOTES, fingerprint
from partimento.corpus.duplicates.index import PassageIndex
from partimento.corpus.duplicates.note_by_note import PARTNER_MS, compared, on_the_clock_of_the_music
from partimento.tokens.notes import Notes
from tests.corpus.melodies import blurred, notes_of, piece, retimed, transposed

SOURCE = piece(1)
FIRST, LAST = 200, 260


@pytest.fixture(scope="module")
def index(tmp_path_factory) -> PassageIndex:
    path = tmp_path_factory.mktemp("index") / "index"
    return PassageIndex.build([("1.mid", "", fingerprint(SOURCE))], path)


def found(music: Notes, index: PassageIndex) -> Copy:
    copy = compared(copies(music, index, fewest=PASSAGE_NOTES)[0], music, SOURCE)
    assert copy is not None
    return copy


def among_others(stolen: Notes, seed: int = 0) -> tuple[Notes, int]:
    """The notes behind low ones and before low ones, so that nothing else fits by chance; and how many stand before."""
    other = np.random.default_rng(seed).integers(0, 20, 60)
    onset = [200 * np.arange(30), 6000 + stolen.onset_ms, 6300 + stolen.onset_ms[-1] + 200 * np.arange(30)]
    return notes_of(np.concatenate(onset), np.concatenate([other[:30], stolen.pitch, other[30:]])), 30


@pytest.mark.parametrize("change", [lambda notes: notes, lambda notes: transposed(retimed(notes, 1.2), -4)])
def test_a_stretch_ends_with_its_last_note(index, change):
    music, at = among_others(change(SOURCE.slice(FIRST, LAST)))
    copy = found(music, index)
    assert (copy.first_note, copy.last_note, copy.alone) == (at, at + LAST - FIRST, 0)
    assert copy.pairs.tolist() == [[at + k, FIRST + k] for k in range(LAST - FIRST)]
    assert copy.notes == copy.different == copy.score == LAST - FIRST
    assert copy.file_ms == (SOURCE.onset_ms[FIRST], SOURCE.onset_ms[LAST - 1])
    assert copy.query_ms == (music.onset_ms[at], music.onset_ms[at + LAST - FIRST - 1])


def test_notes_that_only_one_has_are_counted(index):
    stolen = SOURCE.slice(FIRST, LAST)
    onset, pitch = np.delete(stolen.onset_ms, [20, 40]), np.delete(stolen.pitch, [20, 40])
    music, _ = among_others(notes_of(onset, np.concatenate([pitch[:30], [127], pitch[31:]])))
    copy = found(music, index)
    missing = {FIRST + 20, FIRST + 31, FIRST + 40}  # the note that became another one is the source's and the music's
    assert set(range(FIRST, LAST)) - set(copy.pairs[:, 1].tolist()) == missing
    assert copy.notes == LAST - FIRST - 3 and copy.alone == 4 and copy.last_note - copy.first_note == LAST - FIRST - 2


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_partners_are_of_one_pitch_near_each_other_and_each_has_one(index, seed):
    music, _ = among_others(blurred(SOURCE.slice(FIRST, LAST + 40), seed, lost=0.03), seed)
    copy = found(music, index)
    here, there = copy.pairs.T
    assert np.array_equal(music.pitch[here], SOURCE.pitch[there])
    assert len(set(here.tolist())) == len(set(there.tolist())) == copy.notes
    moved = on_the_clock_of_the_music(SOURCE.onset_ms[there], copy.anchors)
    assert np.abs(moved - music.onset_ms[here]).max() <= PARTNER_MS
    assert copy.alone >= copy.last_note - copy.first_note - copy.notes


def test_a_passage_that_nothing_follows_is_all_there_is(index):
    music, at = among_others(SOURCE.slice(FIRST, FIRST + 17))
    copy = found(music, index)
    assert (copy.first_note, copy.last_note) == (at, at + 17)


def test_a_figure_that_returns_counts_once(tmp_path):
    figure = np.tile([48, 60, 64, 67, 52, 59, 65, 62], 40)
    notes = notes_of(np.arange(len(figure)) * 150, figure)
    index = PassageIndex.build([("a.mid", "", fingerprint(notes))], tmp_path / "index")
    copy = compared(copies(notes, index, fewest=PASSAGE_NOTES)[0], notes, notes)
    assert copy is not None and copy.notes > 100 and copy.different == 8 + PASSAGE_NOTES - 1


def test_what_the_notes_do_not_bear_out_is_no_stretch(index):
    music, _ = among_others(SOURCE.slice(FIRST, LAST))
    copy = copies(music, index)[0]
    assert compared(copy, music, notes_of([], [])) is None
    assert compared(copy, music, notes_of(SOURCE.onset_ms, np.full(len(SOURCE), 127))) is None


def test_the_clock_runs_on_beyond_what_is_known():
    anchors = np.array([[1000, 5000], [2000, 6200], [3000, 7400]])
    there = np.array([3800, 5000, 5600, 7400, 9800])
    assert on_the_clock_of_the_music(there, anchors).tolist() == [0, 1000, 1500, 3000, 5000]
    assert on_the_clock_of_the_music(there, anchors[:1]).tolist() == [-200, 1000, 1600, 3400, 5800]
