from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from partimento.errors import UserError
from partimento.generate.decode.sampling import Sampling
from partimento.generate.engine import Engine
from partimento.generate.settings import Continuation, Settings
from partimento.midi.performance import Performance
from partimento.model.checkpoint import save
from partimento.tokens.grammar import Grammar
from partimento.tokens.tokenizer import Tokenizer
from partimento.tokens.vocabulary import Kind, Vocabulary
from tests.generate.generate_music import VOCABULARIES, prompt, random_engine

WILD = Sampling(temperature=1.0, min_p=0.0)


def columns(performance: Performance) -> list[list[int]]:
    return [c.tolist() for c in (performance.pitch, performance.velocity, performance.onset, performance.duration)]


def check(continuation: Continuation, given: Performance, vocabulary: Vocabulary) -> None:
    """Legal under the grammar, nothing dropped when decoded, and the same notes as the result's."""
    Grammar(vocabulary).run(continuation.tokens)
    kinds = vocabulary.kind_of[list(continuation.tokens)]
    decoded = Tokenizer(vocabulary).decode(continuation.tokens)
    assert len(decoded) == np.isin(kinds, (Kind.NOTE, Kind.DRUM)).sum()
    assert continuation.tokens[: continuation.prompt_tokens] == tuple(Tokenizer(vocabulary).encode(given, end=False))
    n = len(continuation.generated)
    clock = int(given.onset[0]) if len(given) else 0
    assert len(decoded) == len(given) + n
    assert (decoded.onset[len(given) :] + clock).tolist() == continuation.generated.onset.tolist()
    assert decoded.pitch[len(given) :].tolist() == continuation.generated.pitch.tolist()
    assert decoded.duration[len(given) :].tolist() == continuation.generated.duration.tolist()
    assert sorted(continuation.performance.onset) == sorted([*given.onset, *continuation.generated.onset])
    assert len(Performance.from_midi(continuation.performance.to_midi())) == len(continuation.performance)


@pytest.mark.parametrize("vocabulary", VOCABULARIES)
@pytest.mark.parametrize("seed", range(3))
def test_random_weights_cannot_break_the_grammar(vocabulary: str, seed: int) -> None:
    settings = Settings(notes=60, variations=2, seed=seed, sampling=WILD, end=seed == 1)
    for continuation in random_engine(vocabulary, seed=seed).continue_(prompt(), settings=settings):
        check(continuation, prompt(), VOCABULARIES[vocabulary])
        assert len(continuation.generated) <= (72 if settings.end else 60)


def test_several_instruments_and_drums_go_on_in_their_channels() -> None:
    given = Performance.from_notes(
        pitch=[60, 40, 38], velocity=80, onset=[0, 0.5, 1], duration=0.1, channel=[3, 0, 9], programs=[(3, 0), (0, 33)]
    )
    settings = Settings(notes=80, sampling=WILD)
    (continuation,) = random_engine("aria").continue_(given, settings=settings)
    generated = continuation.generated
    assert {(int(c), int(i)) for c, i in zip(generated.channel, generated.instrument, strict=True)} == {
        (3, 0), (0, 3), (9, 10),
    }  # fmt: skip


def test_exactly_as_many_notes_as_asked_and_nothing_ends_by_itself() -> None:
    for n in (1, 7, 100):
        (continuation,) = random_engine().continue_(prompt(), settings=Settings(notes=n, sampling=WILD))
        assert len(continuation.generated) == n
        kinds = set(Vocabulary.piano().kind_of[list(continuation.tokens)])
        assert not kinds & {Kind.END, Kind.DIM}


def test_a_length_in_seconds_is_kept() -> None:
    settings = Settings(seconds=10.0, variations=2, sampling=WILD)
    for continuation in random_engine().continue_(prompt(), settings=settings, from_seconds=5.0):
        onsets = continuation.generated.onset_seconds
        assert onsets[0] >= prompt().onset_seconds[-1] - 0.005  # the model's clock is a grid of 10 ms
        assert 15 - 5 < onsets[-1] < 15


def test_same_seed_same_music_and_variations_differ_whatever_the_batch() -> None:
    engine = random_engine(context=256)
    one, *_ = engine.continue_(prompt(), settings=Settings(notes=120, seed=4))
    four = engine.continue_(prompt(), settings=Settings(notes=120, seed=4, variations=4))
    again = engine.continue_(prompt(), settings=Settings(notes=120, seed=4, variations=4))
    assert [c.performance.to_midi() for c in four] == [c.performance.to_midi() for c in again]
    assert one.tokens == four[0].tokens
    assert len({c.tokens for c in four}) == 4
    other, *_ = engine.continue_(prompt(), settings=Settings(notes=120, seed=5))
    assert other.tokens != one.tokens


def test_the_stream_gives_the_notes_of_the_result_in_order() -> None:
    engine, settings = random_engine(), Settings(notes=50, variations=3, seed=2)
    heard: dict[int, list[tuple[float, int]]] = {0: [], 1: [], 2: []}
    for variation, note in engine.stream(prompt(), settings=settings):
        heard[variation].append((note.onset_s, note.pitch))
    for number, continuation in enumerate(engine.continue_(prompt(), settings=settings)):
        generated = continuation.generated
        assert heard[number] == list(zip(generated.onset_seconds, generated.pitch.tolist(), strict=True))
        assert heard[number] == sorted(heard[number], key=lambda pair: pair[0])


def test_notes_come_before_the_piece_is_over() -> None:
    stream = random_engine().stream(prompt(), settings=Settings(notes=100_000))
    first = [next(stream) for _ in range(5)]
    stream.close()
    assert len(first) == 5


@pytest.mark.parametrize("context", [64, 128])
def test_a_small_window_slides_and_time_goes_on(context: int) -> None:
    for notes in (3, 200):  # a prompt that fits and one that is longer than the window
        given = prompt(notes)
        settings = Settings(notes=150, variations=2, sampling=WILD)
        for continuation in random_engine(context=context).continue_(given, settings=settings):
            check(continuation, given, Vocabulary.piano())
            assert len(continuation.generated) == 150
            assert continuation.generated.onset[0] >= given.onset[-1] - 5_000_000


def test_cached_choices_are_those_of_an_uncached_pass() -> None:
    engine = random_engine(seed=4)
    (continuation,) = engine.continue_(prompt(), settings=Settings(notes=10, sampling=Sampling(temperature=0)))
    assert continuation.fallback is None  # else the grammar was not all that forbade ids
    v, grammar = engine.vocabulary, Grammar(engine.vocabulary)
    sayable = np.isin(v.kind_of, (Kind.SEGMENT, Kind.NOTE, Kind.ONSET, Kind.DURATION))
    sayable &= (v.kind_of != Kind.NOTE) | (v.velocity_of > 0)
    with torch.inference_mode():
        logits_TV = engine.backend.model(torch.tensor([continuation.tokens]))[0].numpy()
    for at in range(continuation.prompt_tokens, len(continuation.tokens)):
        ranges = grammar.allowed(grammar.run(continuation.tokens[:at]))
        allowed = [i for low, high in ranges for i in range(low, high) if sayable[i]]
        assert continuation.tokens[at] == allowed[int(logits_TV[at - 1, allowed].argmax())]


@pytest.mark.parametrize("variations", [1, 3])
def test_engines_agree_on_the_music(tmp_path, variations: int) -> None:
    by_torch = random_engine(context=256)
    path = tmp_path / "model.safetensors"
    save(path, by_torch.backend.model, by_torch.vocabulary)
    by_onnx = Engine.load(path, engine="onnx")
    settings = Settings(notes=100, seed=3, variations=variations, sampling=WILD, candidates=1)
    for theirs, ours in zip(
        by_torch.continue_(prompt(), settings=settings), by_onnx.continue_(prompt(), settings=settings), strict=True
    ):
        assert ours.tokens == theirs.tokens
    rough = Engine.load(path, engine="onnx-int8")
    for continuation in rough.continue_(prompt(), settings=settings):
        check(continuation, prompt(), by_torch.vocabulary)


def test_a_window_bounds_what_the_model_sees(tmp_path) -> None:
    path = tmp_path / "model.safetensors"
    save(path, random_engine().backend.model, Vocabulary.piano())
    engine = Engine.load(path, window=64)
    seen: list[int] = []
    read = engine.backend.read
    engine.backend.read = lambda ids, cache, **more: (read(ids, cache, **more), seen.append(cache.length))[0]  # type: ignore[method-assign]
    (continuation,) = engine.continue_(prompt(), settings=Settings(notes=60, sampling=WILD))
    check(continuation, prompt(), Vocabulary.piano())
    assert 32 < max(seen) <= 64
    with pytest.raises(UserError, match=r"32\.\.1024 tokens, not 2000"):
        Engine.load(path, window=2000)


def test_a_cache_that_grows_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(notes=100, variations=2, sampling=WILD)
    roomy = random_engine().continue_(prompt(), settings=settings)
    monkeypatch.setattr("partimento.generate.backends.language_model._FIRST_ROOM", 3)
    growing = random_engine().continue_(prompt(), settings=settings)
    assert [c.tokens for c in growing] == [c.tokens for c in roomy]


@pytest.mark.parametrize("length", [{"seconds": 12.0}, {"notes": 120}, {"notes": 5}])
def test_an_ending_is_announced_and_then_the_piece_stops(length: dict[str, float]) -> None:
    v = Vocabulary.piano()
    settings = Settings(**length, variations=2, end=True, sampling=WILD)  # type: ignore[arg-type]
    for continuation in random_engine().continue_(prompt(), settings=settings):
        check(continuation, prompt(), v)
        assert continuation.tokens[-1] == v.end
        assert continuation.tokens.count(v.end) == continuation.tokens.count(v.dim) == 1
        assert continuation.tokens.index(v.dim) >= continuation.prompt_tokens
        assert len(continuation.generated) <= 1.2 * length.get("notes", 10_000)
        assert continuation.generated.onset_seconds[-1] < prompt().seconds + 1.2 * length.get("seconds", 10_000)


def test_a_model_that_wants_to_end_does_so_only_after_the_announcement() -> None:
    engine, v = random_engine(), Vocabulary.piano()
    bias = torch.zeros(len(v))
    bias[v.end] = 1e3
    engine.backend.model.lm_head.register_forward_hook(lambda _module, _input, output: output + bias)
    (plain,) = engine.continue_(prompt(), settings=Settings(notes=100, sampling=WILD))
    assert len(plain.generated) == 100
    (ended,) = engine.continue_(prompt(), settings=Settings(notes=100, end=True, sampling=WILD))
    assert ended.tokens[-1] == v.end and ended.ended
    assert len(ended.generated) == 80  # as early as an ending is allowed to be
    assert ended.tokens.index(v.dim) < len(ended.tokens) - 1


def test_a_stuck_model_is_freed_and_what_was_streamed_stays() -> None:
    engine = random_engine(seed=1)
    stuck = Settings(notes=150, sampling=Sampling(temperature=0))
    heard = [(n.onset_s, n.pitch) for _, n in engine.stream(prompt(), settings=stuck)]
    (continuation,) = engine.continue_(prompt(), settings=stuck)
    assert continuation.retries > 0
    check(continuation, prompt(), Vocabulary.piano())
    generated = continuation.generated
    assert heard == list(zip(generated.onset_seconds, generated.pitch.tolist(), strict=True))


def test_a_prompt_without_notes_is_allowed() -> None:
    empty = prompt().slice_time(0, 0)
    (continuation,) = random_engine().continue_(empty, settings=Settings(notes=10))
    v = Vocabulary.piano()
    assert continuation.tokens[:2] == (v.prefix("instrument", "piano"), v.start)
    check(continuation, empty, v)


def test_a_prompt_that_the_vocabulary_cannot_say_is_followed_not_overlaid() -> None:
    strings = Performance.from_notes(pitch=60, velocity=80, onset=[0.0, 3.0], duration=1.0, programs=[(0, 40)])
    (continuation,) = random_engine().continue_(strings, settings=Settings(notes=10))
    assert continuation.generated.onset_seconds[0] >= 4.0
    assert set(continuation.generated.instrument.tolist()) == {0}


def test_impossible_wishes_are_refused() -> None:
    for bad in ({"seconds": 1.0, "notes": 1}, {"seconds": 0.0}, {"notes": 0}, {"variations": 0}, {"seed": -1}):
        with pytest.raises(UserError):
            Settings(**bad)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="context"):
        random_engine(context=16).continue_(prompt(), settings=Settings(notes=1))
    with pytest.raises(UserError, match="no model"):
        Engine.load("none such")


def test_a_file_and_names_do_for_a_performance_and_settings(tmp_path: Path) -> None:
    engine, path = random_engine(), tmp_path / "x.mid"
    prompt(20).write_midi(path)
    (typed,) = engine.continue_(path, seconds=5, temperature=0.9, prompt_seconds=4.0, candidates=1)
    given = Performance.from_midi(path).slice_time(0, 4.0)
    sampling = replace(engine.abilities.sampling, temperature=0.9)
    settings = Settings(seconds=5, sampling=sampling, candidates=1)
    (said,) = engine.continue_(given, settings=settings, from_seconds=min(4.0, given.seconds))
    assert typed.tokens == said.tokens
    first = next(engine.stream(path, prompt_seconds=4.0, settings=settings))[1]
    assert (first.pitch, first.onset_s) == (typed.generated.pitch[0], typed.generated.onset_seconds[0])
    typed.write_midi(tmp_path / "whole.mid")
    assert (tmp_path / "whole.mid").read_bytes() == typed.performance.to_midi()
    typed.write_midi(tmp_path / "alone.mid", alone=True)
    alone = Performance.from_midi(tmp_path / "alone.mid")
    assert len(alone) == len(typed.generated) and alone.onset[0] == 0
    typed.draw(tmp_path / "roll.png")
    assert (tmp_path / "roll.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UserError, match="there is no setting 'temprature'; there are seconds, "):
        engine.continue_(path, temprature=0.9)
    with pytest.raises(UserError, match="leave out settings, or seconds"):
        engine.continue_(path, settings=settings, seconds=5)
