"""The fingerprint beside a plain reading of its definition, and what it must not notice."""

from __future__ import annotations

import contextlib
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.corpus.duplicates import fingerprints
from partimento.corpus.duplicates.fingerprints import (
    CHORD_MS,
    FEWEST_INTERVALS,
    PASSAGE_NOTES,
    WINDOW,
    Fingerprint,
    fingerprint,
)
from partimento.errors import UserError
from partimento.midi.instruments import DRUM
from partimento.tokens.notes import Notes
from tests.corpus.melodies import notes_of


@st.composite
def music(draw: st.DrawFn) -> Notes:
    """Chords and runs, some of them plain enough to be passed over."""
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    n = draw(st.integers(0, 120))
    few = draw(st.sampled_from([[60, 62], [60, 64, 67, 72], list(range(40, 90))]))
    wait = draw(st.sampled_from([[0, 10, 300], [100], [0, 20, 40, 59, 60, 61]]))
    return notes_of(np.cumsum(rng.choice(wait, n)), rng.choice(few, n), rng.choice([0, 0, 0, DRUM], n))


def places(notes: Notes) -> list[tuple[int, int, int]]:
    """(pitch, ms of the chord, index) in the order of the definition."""
    chords: list[list[tuple[int, int, int]]] = []
    for i in range(len(notes)):
        if notes.instrument[i] == DRUM:
            continue
        onset, pitch = int(notes.onset_ms[i]), int(notes.pitch[i])
        if not chords or onset - chords[-1][0][1] >= CHORD_MS:
            chords.append([(pitch, onset, i)])
        elif pitch not in [other for other, _, _ in chords[-1]]:
            chords[-1].append((pitch, chords[-1][0][1], i))
    return [note for chord in chords for note in sorted(chord)]


@given(music())
@settings(max_examples=150)
def test_kept_passages_are_the_winnowed_ones_of_the_definition(notes):
    order = places(notes)
    pitches = [pitch for pitch, _, _ in order]
    steps = [tuple(np.diff(pitches[i : i + PASSAGE_NOTES])) for i in range(len(pitches) - PASSAGE_NOTES + 1)]
    kept = fingerprint(notes)
    place_of = {note: place for place, (_, _, note) in enumerate(order)}
    at = [place_of[int(note)] for note in kept.note]
    assert at == sorted(set(at))
    for k, place in enumerate(at):
        assert (int(kept.pitch[k]), int(kept.onset_ms[k])) == order[place][:2]
        assert len(set(steps[place])) >= FEWEST_INTERVALS
    # Every window that has anything to say keeps something.
    for first in range(max(0, len(steps) - WINDOW + 1)):
        telling = [i for i in range(first, first + WINDOW) if len(set(steps[i])) >= FEWEST_INTERVALS]
        assert not telling or set(telling) & set(at)


@given(music(), music())
@settings(max_examples=60)
def test_equal_hashes_are_equal_intervals_and_the_other_way_round(one, other):
    by_hash: dict[int, tuple] = {}
    for notes in (one, other):
        order = places(notes)
        kept = fingerprint(notes)
        place_of = {note: place for place, (_, _, note) in enumerate(order)}
        for hashed, note in zip(kept.hash.tolist(), kept.note.tolist(), strict=True):
            passage = [pitch for pitch, _, _ in order[place_of[note] : place_of[note] + PASSAGE_NOTES]]
            assert by_hash.setdefault(hashed, tuple(np.diff(passage))) == tuple(np.diff(passage))
    assert len(set(by_hash.values())) == len(by_hash)


@given(music(), st.integers(-30, 30), st.integers(0, 10**6))
@settings(max_examples=60)
def test_key_and_time_leave_the_hashes_as_they_are(notes, semitones, wait):
    moved = notes_of(notes.onset_ms + wait, notes.pitch.astype(int) + semitones, notes.instrument)
    a, b = fingerprint(notes), fingerprint(moved)
    assert a.hash.tolist() == b.hash.tolist() and a.note.tolist() == b.note.tolist()
    assert (b.pitch.astype(int) - a.pitch == semitones).all()
    assert (b.onset_ms.astype(int) - a.onset_ms == wait).all()


@given(st.integers(0, 2**32 - 1), st.integers(PASSAGE_NOTES + WINDOW - 1, 60), st.floats(0.7, 1.4))
@settings(max_examples=60)
def test_seventeen_notes_in_common_are_a_passage_in_common(seed, length, scale):
    rng = np.random.default_rng(seed)
    shared = rng.integers(40, 80, length)

    def around(before: int, after: int, factor: float) -> Notes:
        pitch = np.concatenate([rng.integers(30, 90, before), shared, rng.integers(30, 90, after)])
        return notes_of(np.arange(len(pitch)) * round(150 * factor), pitch)

    a, b = fingerprint(around(40, 13, 1.0)), fingerprint(around(5, 50, scale))
    assert set(a.hash.tolist()) & set(b.hash.tolist())


def test_order_inside_a_chord_and_doubled_voices_do_not_matter():
    rng = np.random.default_rng(3)
    chords = [rng.choice(np.arange(40, 80), 3, replace=False) for _ in range(30)]
    plain = notes_of(np.repeat(np.arange(30) * 400, 3), np.concatenate([np.sort(chord) for chord in chords]))
    spread = notes_of(
        np.repeat(np.arange(30) * 400, 4) + np.tile([0, 15, 30, 45], 30),
        np.concatenate([[*rng.permutation(chord), chord[0]] for chord in chords]),
    )
    assert len(fingerprint(plain)) > 5
    assert fingerprint(plain).hash.tolist() == fingerprint(spread).hash.tolist()


@pytest.mark.parametrize(
    "pitches", [[60] * 80, list(range(30, 110)), [60, 62] * 40, [60 + 2 * (i % 20) for i in range(80)]]
)
def test_repeated_notes_scales_and_trills_leave_nothing(pitches):
    assert len(fingerprint(notes_of(np.arange(80) * 100, pitches))) == 0


@given(music())
@settings(max_examples=100)
def test_bytes_give_the_same_back(notes):
    kept = fingerprint(notes)
    np.testing.assert_equal(asdict(Fingerprint.from_bytes(kept.to_bytes())), asdict(kept))


def test_bytes_hold_the_widest_values():
    kept = Fingerprint(
        hash=np.array([0, 2**32 - 2, 5], np.uint32),
        onset_ms=np.array([0, 0, 2**32 - 1], np.uint32),
        pitch=np.array([0, 127, 60], np.uint8),
        note=np.array([7, 3, 2**32 - 1], np.uint32),
    )
    np.testing.assert_equal(asdict(Fingerprint.from_bytes(kept.to_bytes())), asdict(kept))


@given(st.data())
@settings(max_examples=100)
def test_damaged_bytes_are_refused_or_read_but_never_more(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    whole = fingerprint(notes_of(np.cumsum(rng.integers(60, 500, 60)), rng.integers(30, 90, 60))).to_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    spoilt = bytearray(whole[:cut] + data.draw(st.binary(max_size=12)))
    with contextlib.suppress(UserError):
        assert len(Fingerprint.from_bytes(bytes(spoilt))) <= len(spoilt) // 7


def test_other_versions_are_refused():
    whole = fingerprint(notes_of(np.arange(40) * 100, np.random.default_rng(0).integers(30, 90, 40))).to_bytes()
    for data in (b"", bytes([fingerprints.VERSION + 1]) + whole[1:]):
        with pytest.raises(UserError, match="version"):
            Fingerprint.from_bytes(data)
    with pytest.raises(UserError, match="damaged"):
        Fingerprint.from_bytes(whole[:-1])


def test_a_fingerprint_takes_less_than_two_bytes_a_note():
    rng = np.random.default_rng(0)
    notes = notes_of(np.cumsum(rng.integers(0, 250, 5000)), rng.integers(30, 90, 5000))
    assert 1.0 < len(fingerprint(notes).to_bytes()) / len(notes) < 2.0
