"""An answer begins in the present, whatever was played and whatever the model wants; held notes last on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.generate.decode.sampling import Sampling, seeded
from partimento.generate.engine import Engine
from partimento.generate.prompt.held import settled
from partimento.generate.prompt.prefix_cache import PrefixCache
from partimento.generate.prompt.start import AT_ONCE_MS
from partimento.generate.settings import GeneratedNote, Settings
from partimento.midi.performance import Performance
from partimento.tokens.grammar import Grammar
from partimento.tokens.tokenizer import Tokenizer
from tests.generate.generate_music import measured_engine, prompt, random_engine, stubborn_engine

WILD = Sampling(temperature=1.0, min_p=0.0)
ENGINE = stubborn_engine(context=512)


def answered(engine: Engine, given: Performance, from_seconds: float, **asked: object) -> list[GeneratedNote]:
    chosen = Settings(**{"seconds": 4.0, "sampling": WILD, "candidates": 1} | asked)  # type: ignore[arg-type]
    with engine.session(given) as session:
        steps = session.answer(given, from_seconds=from_seconds, settings=chosen)
        return [note for decided in steps for _, note in decided]


@settings(max_examples=25)
@given(wait=st.floats(0.0, 17.0), seed=st.integers(0, 100), segment=st.floats(0.0, 30.0))
def test_the_first_note_comes_at_once_and_none_before(wait: float, seed: int, segment: float) -> None:
    engine = stubborn_engine(context=512, segment=segment, seed=seed)
    from_seconds = prompt().seconds + wait
    notes = answered(engine, prompt(), from_seconds, seed=seed, seconds=1.0)
    onsets = [note.onset_s for note in notes]
    assert onsets == sorted(onsets)
    assert from_seconds <= onsets[0] <= from_seconds + AT_ONCE_MS / 1000 + 1e-6
    assert onsets[-1] < from_seconds + 1.0


@pytest.mark.parametrize("candidates", [1, 3])
def test_it_begins_within_a_bar_of_silence_as_after_none_and_twice_alike(candidates: int) -> None:
    engine = measured_engine()
    one = answered(engine, prompt(), 9.87, candidates=candidates, seconds=6.0)
    assert one == answered(engine, prompt(), 9.87, candidates=candidates, seconds=6.0)
    assert 9.87 <= one[0].onset_s <= 10.27
    assert max(note.onset_s for note in one) < 15.87


def test_the_first_second_of_a_search_is_heard_note_by_note() -> None:
    given = prompt()
    with random_engine(context=512).session(given) as session:
        chosen = Settings(seconds=4.0, candidates=4, sampling=WILD)
        steps = session.answer(given, from_seconds=given.seconds, settings=chosen)
        first = next(decided for decided in steps if decided)
    assert len(first) == 1


def test_held_notes_last_at_least_as_long_as_they_have_and_nothing_else_changes() -> None:
    engine = random_engine(context=512)
    given = prompt(9)
    start = engine.start(given, given.seconds + 1.0)
    cache = PrefixCache(engine)
    long = settled(engine, cache, start, held=[4, 7, 8], chance=seeded(1, variation=0))
    again = settled(engine, PrefixCache(engine), start, held=[4, 7, 8], chance=seeded(1, variation=0))
    assert long.events == again.events
    for number, (before, after) in enumerate(zip(start.events, long.events, strict=True)):
        assert (before.head, before.ms) == (after.head, after.ms)
        if number in (4, 7, 8):
            assert before.duration <= after.duration < engine.vocabulary.duration[1]
        else:
            assert before == after
    assert sum(a.duration > b.duration for a, b in zip(long.events, start.events, strict=True)) >= 2


def test_a_held_note_gets_the_length_that_the_model_is_sure_of() -> None:
    v = ENGINE.vocabulary
    engine = stubborn_engine(context=512)
    engine.backend._wish_V[v.duration[0] + 173] += 60.0
    given = prompt(5)
    start = settled(engine, PrefixCache(engine), engine.start(given, 3.0), held=[3, 4], chance=np.random.default_rng(0))
    assert [int(v.ms_of[event.duration]) for event in start.events] == [400, 400, 400, 1730, 1730]


def test_what_an_answer_says_is_legal_behind_its_prompt() -> None:
    given = prompt()
    notes = answered(measured_engine(), given, given.seconds + 7.3)
    whole = given.merge(
        Performance.from_notes(
            pitch=[n.pitch for n in notes],
            velocity=[n.velocity for n in notes],
            onset=[n.onset_s for n in notes],
            duration=[n.duration_s for n in notes],
        )
    )
    Grammar(ENGINE.vocabulary).run(Tokenizer(ENGINE.vocabulary).encode(whole))
