"""What is decided, whatever logits come: a fork and its origin are two, and were one."""

import copy

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.generate.decode.sampling import Sampling
from partimento.generate.decode.variation import Variation
from partimento.generate.prompt.gap import Gap
from partimento.generate.prompt.start import begin, begin_gap
from partimento.generate.settings import Settings
from partimento.tokens.vocabulary import Vocabulary
from tests.generate.generate_music import prompt

V = Vocabulary.piano()
WILD = Sampling(temperature=1.0, min_p=0.0)


def begun(seed: int, *, gap: bool, context: int, end: bool) -> Variation:
    if gap:
        start = begin_gap(V, Gap.open(prompt(60), 4.0, 19.0), context=context, pedal=False)
        return Variation(start, Settings(seconds=15.0, seed=seed), WILD, 0)
    start = begin(V, prompt(), context=context, pedal=False)
    return Variation(start, Settings(notes=120, end=end, seed=seed), WILD, 0)


def play(variation: Variation, steps: int, seed: int) -> list[object]:
    """So many ids out of logits of this seed, fond of few keys so that there are loops; what came out on the way."""
    rng = np.random.default_rng(seed)
    said: list[object] = []
    for _ in range(steps):
        if variation.done:
            break
        variation.stale = False
        logits_V = rng.normal(0, 1, len(V))
        logits_V[V.note[0] + 5 : V.note[1]] -= 12
        logits_V[V.onset[0] + 40 : V.onset[1]] -= 12
        logits_V[V.duration[0] + 3 : V.duration[1]] -= 12
        logits_V[V.segment] += rng.integers(-4, 2)
        variation.advance(logits_V[None])
        said += [variation.tokens[-1], variation.stale, variation.retries, *variation.release()]
    return said


def everything(variation: Variation) -> dict[str, object]:
    """All that a variation holds, but its chance."""
    held = {name: value for name, value in vars(variation).items() if name not in ("start", "rules", "_generator")}
    held["_watch"] = vars(variation._watch)
    held["window"] = {name: value for name, value in vars(variation.window).items() if name != "_start"}
    held["ending"] = (variation.ending.announced_behind, variation.ending.by_itself)
    return copy.deepcopy(held)


@settings(max_examples=25)
@given(st.integers(0, 2**20), st.booleans(), st.sampled_from([300, 1024]), st.integers(0, 200), st.integers(0, 200))
def test_a_fork_with_the_same_chance_goes_the_same_way_and_neither_changes_the_other(
    seed: int, gap: bool, context: int, before: int, behind: int
) -> None:
    origin = begun(seed, gap=gap, context=context, end=seed % 2 == 1)
    play(origin, before, seed)
    fork = origin.fork(copy.deepcopy(origin._generator))
    elsewhere = origin.fork(np.random.default_rng(seed + 1))
    kept = everything(origin)
    assert everything(fork) == kept
    said = play(fork, behind, seed + 2)
    play(elsewhere, behind, seed + 3)
    assert everything(origin) == kept
    made = everything(fork)
    assert play(origin, behind, seed + 2) == said
    assert everything(origin) == made == everything(fork)
    assert origin.final_tokens() == fork.final_tokens()
