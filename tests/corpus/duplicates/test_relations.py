"""Groups of made-up corpora whose copies and performances are known, and lines laid through known points."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.corpus.duplicates import alignment
from partimento.corpus.duplicates.fingerprints import Fingerprint, fingerprint
from partimento.corpus.duplicates.relations import Relations, relations
from tests.corpus.melodies import blurred, copies, notes_of, piece, retimed, rubato, transposed


def grouped(files) -> Relations:
    return relations([fingerprint(notes) for notes in files], [len(notes) for notes in files])


def judged(query: Fingerprint, file: Fingerprint) -> np.void:
    """The verdict on two files, their hits found the plain way; all zeros if they are not related."""
    places = defaultdict(list)
    for j, hashed in enumerate(file.hash.tolist()):
        places[hashed].append(j)
    pairs = [(i, j) for i, hashed in enumerate(query.hash.tolist()) for j in places[hashed]]
    i, j = np.array(pairs, np.int64).reshape(-1, 2).T
    found = alignment.matches(
        query.hash[i],
        np.zeros(len(i), np.int64),
        file.pitch[j].astype(np.int64) - query.pitch[i],
        query.onset_ms[i].astype(np.int64),
        file.onset_ms[j].astype(np.int64),
        alignment.cells(query.onset_ms),
        len(query),
        np.array([alignment.cells(file.onset_ms)]),
        np.array([len(file)]),
        False,
    )
    return found[0] if len(found) else np.zeros(1, alignment.MATCH)[0]


@given(st.integers(0, 10_000))
@settings(max_examples=8)
def test_every_kind_of_copy_joins_its_original_and_no_other(seed):
    originals = [piece(seed * 10 + k) for k in range(4)]
    files, source = [], []
    for k, original in enumerate(originals):
        for notes in (original, *copies(original, seed + k)):
            files.append(notes)
            source.append(k)
    order = np.random.default_rng(seed).permutation(len(files))
    found = grouped([files[i] for i in order])
    source = np.array(source)[order]
    for k in range(4):
        mine = found.performance_group[source == k]
        assert len(set(mine.tolist())) == 1 and source[mine[0]] == k
    assert found.piece_group.tolist() == found.performance_group.tolist()


@given(st.integers(0, 10_000))
@settings(max_examples=8)
def test_other_performances_are_one_piece_but_not_one_performance(seed):
    scores = [piece(seed * 10 + k) for k in range(3)]
    files = [rubato(score, seed + 17 * player) for score in scores for player in range(4)]
    found = grouped(files)
    assert found.performance_group.tolist() == list(range(12))
    assert [len(set(found.piece_group[4 * k : 4 * k + 4].tolist())) for k in range(3)] == [1, 1, 1]
    assert len(set(found.piece_group.tolist())) == 3


def test_strict_players_of_a_short_piece_are_two():
    """Two who hardly leave the beat stay near one line, though never as near as a copy; nor do they for minutes."""
    short = piece(5, notes=300)
    strict = notes_of(np.maximum(0, short.onset_ms + np.random.default_rng(1).uniform(-60, 60, 300)), short.pitch)
    verdict = judged(fingerprint(short), fingerprint(strict))
    assert verdict["line_hits"] >= alignment.LINE_SHARE * verdict["run_hits"] >= 40
    assert verdict["relation"] == alignment.SAME_PIECE
    assert judged(fingerprint(short), fingerprint(blurred(short, 1)))["relation"] == alignment.SAME_PERFORMANCE
    long = piece(6, notes=1500)
    unsteady = notes_of(np.maximum(0, long.onset_ms + np.random.default_rng(2).uniform(-60, 60, 1500)), long.pitch)
    assert judged(fingerprint(long), fingerprint(unsteady))["relation"] == alignment.SAME_PERFORMANCE


def test_leaders_have_the_most_notes_and_lead_themselves():
    whole = piece(1)
    files = [whole.slice(0, 400), whole, retimed(whole, 1.1), piece(2, 300), rubato(whole.slice(0, 500), 5)]
    found = grouped(files)
    assert found.performance_group.tolist() == [1, 1, 1, 3, 4]
    assert found.piece_group.tolist() == [1, 1, 1, 3, 1]


def test_groups_agree_with_comparing_every_pair():
    """Against the leaders' way: all pairs, and whoever is related to anyone in a group belongs to it."""
    rng = np.random.default_rng(0)
    files = []
    for k in range(6):
        score = piece(k, int(rng.integers(150, 500)))
        files += [score, rubato(score, k), transposed(rubato(score, k + 50), 2), *copies(score, k)[::3]]
    order = np.argsort([-len(notes) for notes in files], kind="stable")
    prints = [fingerprint(files[i]) for i in order]
    performance, made = np.arange(len(files)), np.arange(len(files))
    for i in range(len(files)):
        for j in range(i):
            relation = judged(prints[i], prints[j])["relation"]
            if relation == alignment.SAME_PERFORMANCE:
                performance[performance == performance[i]] = performance[j]
            if relation != alignment.UNRELATED:
                made[made == made[i]] = made[j]
    found = relations(prints, [len(files[i]) for i in order])

    def together(groups):
        return np.asarray(groups)[:, None] == np.asarray(groups)

    assert (together(found.performance_group) == together(performance)).all()
    assert (together(found.piece_group) == together(made)).all()
    assert len(set(performance)) == 18 and len(set(made)) == 6


def test_a_medley_ties_its_pieces_together():
    a, b = piece(1, 300), piece(2, 300)
    medley = notes_of(
        np.concatenate([a.onset_ms, b.onset_ms + a.onset_ms[-1] + 500]), np.concatenate([a.pitch, b.pitch])
    )
    found = grouped([rubato(a, 1), rubato(b, 2), piece(3), medley])
    assert found.piece_group.tolist() == [3, 3, 2, 3]
    assert found.performance_group.tolist() == [0, 1, 2, 3]


def test_files_without_passages_stand_alone():
    still = notes_of([0, 100], [60, 64])
    found = grouped([still, notes_of([], []), piece(1), still])
    assert found.performance_group.tolist() == found.piece_group.tolist() == [0, 1, 2, 3]
    assert grouped([]).performance_group.tolist() == []


def test_a_pattern_that_only_repeats_is_no_sign_of_a_common_piece():
    alberti = [48, 55, 52, 55, 50, 57, 53, 57]
    one = np.concatenate([piece(1, 300).pitch, np.tile(alberti, 40)])
    other = np.concatenate([np.tile(alberti, 40), piece(2, 300).pitch])
    gaps = np.random.default_rng(0).uniform(0.95, 1.05, len(one)) * 200
    found = grouped([notes_of(np.cumsum(gaps).round(), one), notes_of(np.arange(len(other)) * 200, other)])
    assert found.piece_group.tolist() == [0, 1]


def test_numbers_of_notes_must_be_as_many_as_files():
    with pytest.raises(ValueError, match="note_counts has 1"):
        relations([fingerprint(piece(1)), fingerprint(piece(2))], [600])


@given(st.integers(0, 10_000), st.floats(0.76, 1.32), st.integers(-200_000, 900_000), st.floats(0, 0.5))
@settings(max_examples=40)
def test_the_line_is_found_among_hits_that_mean_nothing(seed, scale, shift, noise):
    rng = np.random.default_rng(seed)
    query = np.sort(rng.integers(0, 400_000, 120))
    file = scale * query + shift + rng.normal(0, 15, 120)
    stray = rng.random(120) < noise
    file[stray] = rng.uniform(file.min(), file.max(), stray.sum())
    file_ms = np.round(file - min(0, file.min())).astype(np.int64)
    offset = -min(0, file.min())
    zeros = np.zeros(120, np.int64)
    [verdict] = alignment.matches(
        np.arange(120, dtype=np.uint32), zeros, zeros, query, file_ms, 41, 120, zeros[:1] + 60, zeros[:1] + 120, False
    )
    assert abs(verdict["scale"] - scale) < 0.001
    middle = query.mean()
    assert abs(verdict["scale"] * middle + verdict["shift_ms"] - (scale * middle + shift + offset)) < 30
    assert verdict["line_hits"] >= (~stray).sum() - 3


@pytest.mark.parametrize("scale", [0.6, 1.6])
def test_what_is_re_timed_further_is_not_the_same_performance(scale):
    verdict = judged(fingerprint(piece(3)), fingerprint(retimed(piece(3), scale)))
    assert verdict["relation"] == alignment.SAME_PIECE


def test_the_verdict_says_where_and_how():
    whole = piece(4)
    part = retimed(transposed(whole.slice(200, 500), -3), 0.9)
    verdict = judged(fingerprint(part), fingerprint(whole))
    assert verdict["relation"] == alignment.SAME_PERFORMANCE
    assert verdict["transposition"] == 3
    assert verdict["scale"] == pytest.approx(1 / 0.9, abs=1e-3)
    assert verdict["shift_ms"] == pytest.approx(whole.onset_ms[200], abs=30)
    assert verdict["line_covered"] == 1
    assert whole.onset_ms[200] <= verdict["file_first_ms"] < verdict["file_last_ms"] <= whole.onset_ms[499]
