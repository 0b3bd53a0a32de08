"""No bytes make the reader do anything but read or refuse; the whole run is benchmarks/robustness."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from partimento.midi.performance import Performance
from partimento.midi.reader import MidiError
from partimento.midi.writer import write
from tests.midi.mutations import HOSTILE, mutants, outcome


def test_mutants_are_read_or_refused_with_a_reason():
    met: Counter[str] = Counter()
    for mutant in mutants(1500, seed=20261123):
        try:
            met[outcome(mutant.data)] += 1
        except Exception as error:
            error.add_note(f"mutant {mutant.name}, {len(mutant.data)} bytes, beginning {mutant.data[:80].hex()}")
            raise
    # The generator is worth its time only while it reaches both sides of the reader.
    assert met["read"] > 500
    assert len(met) >= 10


@pytest.mark.parametrize("name", HOSTILE)
def test_every_way_of_abuse_is_survived_at_size(name: str):
    import random

    outcome(HOSTILE[name](random.Random(0), 150_000))


def test_the_same_seed_gives_the_same_mutants():
    def all_of(seed: int) -> list[bytes]:
        return [mutant.data for mutant in mutants(60, seed=seed, largest=100)]

    assert all_of(1) == all_of(1)
    assert all_of(1) != all_of(2)


def test_whatever_could_be_read_can_be_written_and_read_again():
    for mutant in mutants(300, seed=7, largest=3000):
        try:
            performance = Performance.from_midi(mutant.data)
        except MidiError:
            continue
        again = Performance.from_midi(write(performance))
        assert len(again) == len(performance), mutant.name
        assert np.all(again.duration > 0)
