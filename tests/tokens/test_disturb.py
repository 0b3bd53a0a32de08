"""Disturbed music: what is the pianist's own is untouched, what is not is told, and all of it can be said."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.tokens.disturb import CLEAN_NOTES, DISTURBED_NOTES, LAST_CLEAN_NOTES, WAYS, disturb, own_tokens
from partimento.tokens.grammar import Grammar
from partimento.tokens.notes import Notes
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Kind, Vocabulary

V = Vocabulary.piano()


def playing(seed: int, n: int, gap_ms: int = 200) -> Notes:
    rng = np.random.default_rng(seed)
    onset = np.cumsum(rng.integers(0, gap_ms + 1, n)) if n else np.empty(0, np.int64)
    return Notes(
        onset_ms=onset - onset[:1],
        duration_ms=rng.integers(10, 3000, n),
        pitch=rng.integers(0, 128, n).astype(np.uint8),
        velocity=rng.integers(1, 128, n).astype(np.uint8),
        instrument=np.zeros(n, np.uint8),
        pedal_ms=np.array([100, 900], np.int64),
        pedal_down=np.array([1, 0], np.uint8),
    )


def rows(notes: Notes, chosen=slice(None)) -> list[tuple]:
    columns = (notes.onset_ms, notes.duration_ms, notes.pitch, notes.velocity)
    return list(zip(*(column[chosen].tolist() for column in columns), strict=True))


def is_subsequence(these: list, of: list) -> bool:
    left = iter(of)
    return all(any(one == other for other in left) for one in these)


musics = st.builds(playing, st.integers(0, 10_000), st.integers(0, 700), st.sampled_from([0, 1, 30, 200, 4000]))


@given(musics, st.integers(0, 10_000))
def test_what_is_ones_own_is_untouched_and_everything_is_in_order_and_in_range(notes, seed):
    changed, own = disturb(notes, np.random.default_rng(seed))
    assert len(own) == len(changed)
    assert is_subsequence(rows(changed, own), rows(notes))
    assert (np.diff(changed.onset_ms) >= 0).all()
    assert ((changed.duration_ms > 0) | own).all() and ((changed.velocity > 0) | own).all()
    assert changed.pitch.max(initial=0) < 128
    assert own[: CLEAN_NOTES[0]].all() and own[-LAST_CLEAN_NOTES:].all()
    assert changed.pedal_ms is notes.pedal_ms
    again, same = disturb(notes, np.random.default_rng(seed))
    assert rows(again) == rows(changed) and (same == own).all()


@given(musics, st.integers(0, 10_000), st.booleans())
@settings(max_examples=25)
def test_ids_are_grammatical_and_those_of_others_notes_are_not_ones_own(notes, seed, pedal):
    if not pedal:
        notes = dataclasses.replace(notes, pedal_ms=notes.pedal_ms[:0], pedal_down=notes.pedal_down[:0])
    changed, own = disturb(notes, np.random.default_rng(seed))
    tokenizer = Tokenizer(V)
    body = tokenizer.insert_dim(tokenizer.encode_notes(changed))
    ids = np.array([V.prefix("instrument", "piano"), V.start, *body.tolist(), V.end], np.int32)
    Grammar(V).run(ids)
    mine = own_tokens(ids, own, V)
    note = -1
    for place, id in enumerate(ids):
        kind = V.kind_of[id]
        note += kind == Kind.NOTE
        if kind in (Kind.NOTE, Kind.DURATION) or (kind == Kind.ONSET and V.kind_of[ids[place - 1]] == Kind.NOTE):
            assert mine[place] == own[note]
        elif kind in (Kind.SEGMENT, Kind.DIM, Kind.END):
            between = own[max(note, 0) : note + 2]
            assert mine[place] == between.all()
    cut = len(ids) // 2
    assert (own_tokens(ids[:cut], own, V) == mine[:cut]).all()


def test_a_good_part_is_disturbed_and_by_every_way():
    notes = playing(1, 3000)
    shares, densities = [], []
    for seed in range(40):
        changed, own = disturb(notes, np.random.default_rng(seed))
        shares.append(1 - own.sum() / len(notes))
        densities.append(len(changed) / len(notes))
    assert 0.2 < np.mean(shares) < 0.5
    assert min(densities) < 1.1 and max(densities) > 1.3
    short = playing(1, CLEAN_NOTES[0] + DISTURBED_NOTES[0] + LAST_CLEAN_NOTES - 1)
    assert disturb(short, np.random.default_rng(0))[1].all()


@pytest.mark.parametrize("way", WAYS)
def test_every_way_changes_the_music(way):
    stretch = np.stack([np.arange(0, 5000, 100), np.full(50, 300), np.arange(40, 90), np.full(50, 64)], axis=1)
    for seed in range(20):
        before = stretch.copy()
        after = way(before, 5000, np.random.default_rng(seed))
        assert after.dtype == np.int64 and after.shape[1] == 4
        assert after.shape != stretch.shape or (after != stretch).any()
