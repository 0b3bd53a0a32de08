"""Search over segments: what it promises whatever the model, and that it prefers what pianists do."""

import numpy as np
import pytest
import torch

from partimento.errors import UserError
from partimento.generate.abilities import Abilities
from partimento.generate.decode.loops import LEAST_EVENTS
from partimento.generate.decode.sampling import Sampling
from partimento.generate.engine import Engine
from partimento.generate.settings import Continuation, Settings, Wishes
from partimento.midi.descriptors import Stretch
from partimento.midi.performance import Performance
from partimento.model.checkpoint import save
from partimento.tokens.grammar import Grammar
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Vocabulary
from tests.generate.generate_music import measured_engine, prompt, random_engine

WILD = Sampling(temperature=1.0, min_p=0.0)


def searched(engine: Engine, given: Performance | None = None, **asked: object) -> list[Continuation]:
    settings = Settings(**{"seconds": 12.0, "candidates": 4, "sampling": WILD} | asked)  # type: ignore[arg-type]
    return engine.continue_(prompt() if given is None else given, settings=settings)


def legal(continuation: Continuation, vocabulary: Vocabulary) -> bool:
    Grammar(vocabulary).run(continuation.tokens)
    return len(Tokenizer(vocabulary).decode(continuation.tokens)) == len(continuation.performance)


def test_same_seed_same_bytes_and_variations_do_not_depend_on_each_other() -> None:
    engine = measured_engine()
    one, *_ = searched(engine, seed=3)
    three = searched(engine, seed=3, variations=3)
    again = searched(engine, seed=3, variations=3)
    assert [c.performance.to_midi() for c in three] == [c.performance.to_midi() for c in again]
    assert one.tokens == three[0].tokens
    assert len({c.tokens for c in three}) == 3
    assert searched(engine, seed=4)[0].tokens != one.tokens
    assert all(legal(c, engine.vocabulary) for c in three)


def test_one_candidate_is_the_plain_sampler() -> None:
    engine = measured_engine()
    plain = engine.continue_(prompt(), settings=Settings(seconds=6, sampling=WILD))
    assert searched(engine, seconds=6.0, candidates=1)[0].tokens == plain[0].tokens


@pytest.mark.parametrize("asked", [{"seconds": 7.0}, {"seconds": None, "notes": 90}, {"seconds": 0.5}])
def test_lengths_hold(asked: dict) -> None:
    for continuation in searched(measured_engine(), variations=2, **asked):
        assert legal(continuation, Vocabulary.piano())
        if asked.get("notes"):
            assert len(continuation.generated) == 90
        else:
            assert continuation.generated.onset_seconds.max(initial=0) < prompt().seconds + asked["seconds"]


def test_what_is_streamed_is_the_result_in_order() -> None:
    engine, settings = measured_engine(), Settings(seconds=9, candidates=3, variations=2, sampling=WILD)
    heard: dict[int, list[tuple[float, int]]] = {0: [], 1: []}
    for variation, note in engine.stream(prompt(), settings=settings):
        heard[variation].append((note.onset_s, note.pitch))
    for number, continuation in enumerate(engine.continue_(prompt(), settings=settings)):
        generated = continuation.generated
        assert heard[number] == list(zip(generated.onset_seconds, generated.pitch.tolist(), strict=True))


@pytest.mark.parametrize("candidates", [1, 6])
def test_tokens_that_are_told_are_those_of_the_music_that_stays(candidates: int) -> None:
    settings = Settings(seconds=12, candidates=candidates, sampling=WILD)
    run = measured_engine().continuing(prompt(), settings, None)
    (made,) = run.complete(None)
    assert made.retries == 0
    # What is decided last, past the end, is no event any more.
    assert 0 <= run._tokens - (len(made.tokens) - made.prompt_tokens) <= 3


def test_notes_come_before_the_piece_is_over() -> None:
    stream = random_engine().stream(prompt(), settings=Settings(seconds=3600, candidates=2))
    first = [next(stream) for _ in range(5)]
    stream.close()
    assert len(first) == 5


@pytest.mark.parametrize("context", [64, 128])
def test_a_small_window_slides_under_a_search_too(context: int) -> None:
    for notes in (3, 200):
        given = prompt(notes)
        (continuation,) = searched(random_engine(context=context), given, seconds=None, notes=150, candidates=3)
        assert legal(continuation, Vocabulary.piano())
        assert len(continuation.generated) == 150


def test_every_candidate_reads_what_an_uncached_pass_would(tmp_path) -> None:
    """Greedy candidates are all alike: a search must give the plain sampler's tokens, and any slip of a cache shows."""
    by_torch = random_engine(context=256)
    greedy = Sampling(temperature=0)
    notes = LEAST_EVENTS - 4  # fewer than can be taken for a loop, after which chance comes in
    (plain,) = by_torch.continue_(prompt(), settings=Settings(notes=notes, sampling=greedy))
    (ours,) = searched(by_torch, seconds=None, notes=notes, sampling=greedy)
    assert ours.tokens == plain.tokens
    path = tmp_path / "model.safetensors"
    save(path, by_torch.backend.model, by_torch.vocabulary)
    by_onnx = Engine.load(path, engine="onnx")
    settings = {"seconds": None, "notes": 40, "seed": 3, "candidates": 3}
    assert searched(by_onnx, **settings)[0].tokens == searched(by_torch, **settings)[0].tokens


def own_music(engine: Engine) -> Performance:
    """What the model plays by itself: a prompt that it can go on from in the same manner."""
    (made,) = engine.continue_(prompt(), settings=Settings(seconds=30, seed=9, sampling=WILD))
    return made.generated.shift(-float(made.generated.onset_seconds[0]))


def density_of(continuation: Continuation, given: Performance, seconds: float) -> float:
    return Stretch.of(continuation.performance, given.seconds, given.seconds + seconds).density


def test_a_search_stays_nearer_to_the_prompt_than_plain_sampling() -> None:
    engine = measured_engine(seed=5)
    given = own_music(engine)
    far = {}
    for candidates in (1, 8):
        made = searched(engine, given, seconds=15.0, variations=6, candidates=candidates)
        ratios = [density_of(c, given, 15.0) / Stretch.of(given, 0, given.seconds).density for c in made]
        far[candidates] = np.mean(np.abs(np.log(ratios)))
    assert far[8] < 0.8 * far[1]


@pytest.mark.parametrize("wish", ["density", "loudness"])
def test_wishes_are_granted_in_their_direction(wish: str) -> None:
    engine = measured_engine(seed=5)
    given, made = own_music(engine), {}
    for factor in (0.5, 2.0):
        wishes = Wishes(**{wish: factor})
        continuations = searched(engine, given, seconds=15.0, variations=4, candidates=8, wishes=wishes)
        if wish == "density":
            made[factor] = np.mean([density_of(c, given, 15.0) for c in continuations])
        else:
            made[factor] = np.mean([c.generated.velocity.mean() for c in continuations])
    assert 1.1 * made[0.5] < made[2.0]


def test_wishes_without_candidates_and_drafts_with_them_are_refused() -> None:
    engine = random_engine()
    with pytest.raises(UserError, match="needs candidates"):
        engine.continue_(prompt(), settings=Settings(notes=3, wishes=Wishes(density=2)))
    with pytest.raises(UserError, match="needs candidates"):
        Settings(candidates=1, wishes=Wishes(density=2))
    with pytest.raises(UserError, match=r"density must lie in 0.25..4 times the prompt's, not 9"):
        Wishes(density=9)
    with pytest.raises(UserError, match=r"candidates must lie in 1..64, not 0"):
        Settings(candidates=0)
    with pytest.raises(UserError, match="leave out the draft"):
        engine.drafted_by(random_engine()).continue_(prompt(), settings=Settings(notes=3, candidates=4))


def test_a_session_can_be_searched_and_goes_on() -> None:
    engine = measured_engine()
    settings = Settings(seconds=6, candidates=3, sampling=WILD)
    with engine.session(prompt()) as session:
        first = session.continue_(settings=settings)
        again = session.continue_(settings=settings)
    assert first[0].tokens == again[0].tokens == searched(engine, seconds=6.0, candidates=3)[0].tokens


def test_an_ending_that_the_model_wants_is_found_and_one_that_it_does_not_is_said_to_be_forced() -> None:
    engine, v = measured_engine(), Vocabulary.piano()
    settings = Settings(seconds=10, end=True, candidates=3, sampling=WILD)
    bias = torch.zeros(len(v))
    bias[v.end] = -1e3
    hook = engine.backend.model.lm_head.register_forward_hook(lambda _module, _input, output: output + bias)
    (forced,) = engine.continue_(prompt(), settings=settings)
    hook.remove()
    bias[v.end] = 7.0
    engine.backend.model.lm_head.register_forward_hook(lambda _module, _input, output: output + bias)
    (willing,) = engine.continue_(prompt(), settings=settings)
    assert (forced.ended, willing.ended) == (False, True)
    made = [c.generated.onset_seconds.max() - prompt().seconds for c in (forced, willing)]
    assert max(made) < 12 and made[1] > 10 * 0.8 - 5  # nothing may sound in the last seconds before <E>


def test_defaults_follow_the_size_and_the_file() -> None:
    small, large = (Abilities.from_metadata({}, parameters=n) for n in (28_000_000, 650_000_000))
    assert (small.candidates, small.sampling.cut_times, small.sampling.temperature) == (8, False, 1.0)
    assert (large.candidates, large.sampling) == (1, Sampling())
    stated = Abilities.from_metadata({"candidates": 2, "sampling": {"min_p": 0.1}}, parameters=28_000_000)
    assert (stated.candidates, stated.sampling.min_p, stated.sampling.cut_times) == (2, 0.1, False)
    with pytest.raises(UserError, match="candidates"):
        Abilities.from_metadata({"candidates": "many"}, parameters=1)
