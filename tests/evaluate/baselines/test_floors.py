"""What needs no model: the prompt again, and a Markov chain of its notes."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partimento import Performance, UserError
from partimento.evaluate.baselines.floors import Markov, again


def music(pitches, gaps):
    n = len(pitches)
    return Performance.from_notes(
        pitch=pitches, velocity=np.arange(1, n + 1), onset=np.cumsum(gaps) - gaps[0], duration=np.full(n, 0.1)
    )


PROMPTS = st.lists(st.tuples(st.integers(40, 44), st.sampled_from([0.1, 0.25, 0.5])), min_size=3, max_size=25).map(
    lambda notes: music([pitch for pitch, _ in notes], [gap for _, gap in notes])
)


@given(PROMPTS, st.integers(1, 3))
def test_again_is_the_prompt_at_each_of_its_lengths(prompt, times):
    start = prompt.seconds + 0.5
    played = again(prompt, start=start, end=(times + 1) * start)
    assert len(played) == times * len(prompt)
    for k in range(times):
        own = slice(k * len(prompt), (k + 1) * len(prompt))
        assert played.pitch[own].tolist() == prompt.pitch.tolist()
        assert np.allclose(played.onset_seconds[own], prompt.onset_seconds + (k + 1) * start, atol=1e-6)


@given(PROMPTS, st.integers(1, 3), st.integers(0, 5))
def test_whatever_follows_a_pitch_followed_it_in_the_prompt(prompt, order, seed):
    start = prompt.seconds + 0.05
    played = Markov(order=order).continuation(prompt, start=start, end=start + 6, seed=seed)
    pairs = set(zip(prompt.pitch[:-1].tolist(), prompt.pitch[1:].tolist(), strict=True))
    again_ = [prompt.pitch[-1], *played.pitch.tolist()]
    nowhere_else = prompt.pitch[-1] not in prompt.pitch[:-1]  # then anything may follow the last pitch
    for before, after in pairwise(again_):
        assert (before, after) in pairs or (nowhere_else and before == prompt.pitch[-1])
    notes = set(zip(prompt.pitch.tolist(), prompt.velocity.tolist(), strict=True))
    assert set(zip(played.pitch.tolist(), played.velocity.tolist(), strict=True)) <= notes
    assert (played.onset_seconds >= start - 1e-9).all() and (played.onset_seconds < start + 6 + 1e-9).all()
    assert played == Markov(order=order).continuation(prompt, start=start, end=start + 6, seed=seed)


def test_an_order_beyond_the_prompt_gives_the_prompt_back():
    """Each pair of pitches once: the chain has no choice."""
    prompt = music([60, 62, 64, 60, 65, 62], [0.5] * 6)
    played = Markov(order=2).continuation(prompt, start=3.0, end=5.0, seed=0)
    assert played.pitch.tolist()[:3] == [64, 60, 65]


def test_what_is_no_prompt_is_refused():
    with pytest.raises(UserError, match="two notes or more"):
        Markov().continuation(music([60], [0.5]), start=3.0, end=5.0, seed=0)
    with pytest.raises(UserError, match=r"1\.\.8"):
        Markov(order=0)
