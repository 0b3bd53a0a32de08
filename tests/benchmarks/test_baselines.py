"""The baselines against counts done by hand and against the entropy of data they were drawn from."""

import math

import numpy as np
import pytest

from benchmarks.bundled.baselines import NoteMarkov, Unigram
from partimento.tokens.notes import Notes


def notes_of(pitches: list[int], *, velocity: int = 64) -> Notes:
    """A scale of eighth notes, 250 ms apart and 100 ms long."""
    n = len(pitches)
    return Notes(
        onset_ms=np.arange(n) * 250,
        duration_ms=np.full(n, 100),
        pitch=np.array(pitches, np.uint8),
        velocity=np.full(n, velocity, np.uint8),
        instrument=np.zeros(n, np.uint8),
        pedal_ms=np.empty(0, np.int64),
        pedal_down=np.empty(0, np.uint8),
    )


def test_unigram_is_the_smoothed_share_of_each_id() -> None:
    model = Unigram.fit([np.array([0, 0, 1])], size=3)
    assert model.nats(np.array([0, 2])) == pytest.approx(-math.log(3 / 6) - math.log(1 / 6))


def test_every_row_of_the_markov_model_is_a_distribution() -> None:
    model = NoteMarkov.fit([notes_of([60, 62, 64, 62]), notes_of([61, 60], velocity=20)])
    for table in model.log_probability.values():
        assert np.exp(table).sum(1) == pytest.approx(np.ones(len(table)))


def test_markov_nats_come_near_the_entropy_of_the_chain_that_made_the_notes() -> None:
    """Steps up or down by a fair coin: ln 2 nats a note, everything else being constant."""
    rng = np.random.default_rng(0)
    train, heldout = (notes_of((60 + rng.choice([0, 2], 20_000)).tolist()) for _ in range(2))
    per_note = NoteMarkov.fit([train]).nats(heldout) / (len(heldout) - 1)
    assert per_note == pytest.approx(math.log(2), abs=0.03)


def test_knowing_the_note_before_helps_when_it_decides_the_next() -> None:
    melody = notes_of([60, 64, 67, 72] * 500)
    shuffled = notes_of(np.random.default_rng(0).permutation([60, 64, 67, 72] * 500).tolist())
    model = NoteMarkov.fit([melody])
    assert model.nats(melody) < 0.5 * model.nats(shuffled)
