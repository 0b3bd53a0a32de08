"""A replaced prompt continues as a fresh one would, having read no more than it had to; what is closed is gone."""

import gc
import weakref
from collections.abc import Iterator

import numpy as np
import pytest

from partimento.errors import UserError
from partimento.generate.decode.sampling import Sampling
from partimento.generate.engine import Engine
from partimento.generate.settings import Settings
from partimento.midi.performance import Performance
from partimento.model.checkpoint import save
from tests.generate.generate_music import prompt, random_engine

SETTINGS = Settings(candidates=1, notes=25, seed=3, sampling=Sampling(temperature=1.0, min_p=0.0))


@pytest.fixture(scope="module")
def by_onnx(tmp_path_factory) -> Engine:
    return engine_of("onnx", tmp_path_factory.mktemp("model"))


def engine_of(kind: str, folder) -> Engine:
    by_torch = random_engine(context=512)
    if kind == "torch":
        return by_torch
    path = folder / "model.safetensors"
    save(path, by_torch.backend.model, by_torch.vocabulary)
    return Engine.load(path, engine=kind)


@pytest.fixture(params=["torch", "onnx"])
def engine(request, by_onnx) -> Engine:
    return by_onnx if request.param == "onnx" else random_engine(context=512)


class Watch:
    """Counts the ids that a back end reads, and holds on to its caches weakly."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read, self._caches = 0, []
        kind = type(engine.backend.cache(batch=1, capacity=1))
        begin, read = kind.__init__, engine.backend.read

        def begun(cache, *args, **more):
            begin(cache, *args, **more)
            self._caches.append(weakref.ref(cache))

        def counted(ids_BT, cache, **more):
            self.read += len(ids_BT[0])
            return read(ids_BT, cache, **more)

        monkeypatch.setattr(kind, "__init__", begun)
        monkeypatch.setattr(engine.backend, "read", counted, raising=False)

    @property
    def alive(self) -> int:
        return sum(cache() is not None for cache in self._caches)

    @property
    def made(self) -> int:
        return len(self._caches)


@pytest.fixture
def watch(engine, monkeypatch) -> Iterator[Watch]:
    gc.disable()  # what is freed is freed at once, not when somebody comes to collect it
    yield Watch(engine, monkeypatch)
    gc.enable()


def test_a_replaced_prompt_continues_as_a_fresh_one(engine):
    other = Performance.from_notes(pitch=[72, 40], velocity=90, onset=[0.5, 1.0], duration=1.0)
    prompts = [prompt(12), prompt(20), prompt(7), other, prompt(0), prompt(12), prompt(300)]
    with engine.session(prompt(5)) as session:
        for given in prompts:
            session.replace(given)
            for settings in (SETTINGS, Settings(candidates=1, notes=8, variations=3, sampling=SETTINGS.sampling)):
                theirs = session.continue_(settings=settings)
                ours = engine.continue_(given, settings=settings)
                assert [c.tokens for c in theirs] == [c.tokens for c in ours]
                assert [c.performance.to_midi() for c in theirs] == [c.performance.to_midi() for c in ours]


def test_only_what_differs_is_read(engine, watch):
    session = engine.session(prompt(12))
    ids = engine.tokens_of(prompt(12), None)
    assert watch.read == len(ids)
    longer = engine.tokens_of(prompt(20), None)
    assert longer[: len(ids)] == ids
    assert session.replace(prompt(20)) == len(longer) - len(ids)
    assert session.replace(prompt(12)) == 1  # its last id, for the logits
    other = [*prompt(12).pitch[:-1], 100]
    changed = Performance.from_notes(
        pitch=other, velocity=prompt(12).velocity, onset=prompt(12).onset_seconds, duration=0.4
    )
    departs = next(i for i, (a, b) in enumerate(zip(ids, engine.tokens_of(changed, None), strict=True)) if a != b)
    assert session.replace(changed) == len(ids) - departs
    assert watch.read == len(longer) + 1 + len(ids) - departs
    assert watch.made == 1


def test_an_answer_that_becomes_part_of_the_prompt_has_been_read(engine, watch):
    session = engine.session(prompt(12))
    (answer,) = session.continue_(settings=SETTINGS)
    whole = answer.performance
    again = engine.tokens_of(whole, None)
    both = min(len(again), len(answer.tokens))
    agree = next((i for i in range(both) if again[i] != answer.tokens[i]), both)
    assert agree > answer.prompt_tokens + 3
    assert session.replace(whole) == max(len(again) - agree, 1)
    assert session.continue_(settings=SETTINGS)[0].tokens == engine.continue_(whole, settings=SETTINGS)[0].tokens


@pytest.mark.parametrize("stop_after", [0, 1, 4, 11])
@pytest.mark.parametrize("temperature", [0.0, 1.0])  # without chance random weights get into loops that are taken back
def test_a_stream_that_is_cut_short_leaves_nothing_wrong_behind(engine, stop_after, temperature):
    settings = Settings(
        candidates=1, notes=60, variations=1, seed=5, sampling=Sampling(temperature=temperature, min_p=0.0)
    )
    expected = [(n.onset_s, n.pitch) for _, n in engine.stream(prompt(40), settings=settings)]
    session = engine.session(prompt(40))
    stream = session.stream(settings=settings)
    heard = [next(stream)[1] for _ in range(stop_after)]
    assert [(n.onset_s, n.pitch) for n in heard] == expected[:stop_after]
    assert [(n.onset_s, n.pitch) for _, n in session.stream(settings=settings)] == expected
    assert list(stream) == []  # closed by the second one
    session.replace(prompt(41))
    assert session.continue_(settings=settings)[0].tokens == engine.continue_(prompt(41), settings=settings)[0].tokens


def test_a_window_that_moved_on_is_not_mistaken_for_the_prompt():
    engine = random_engine(context=64)
    session = engine.session(prompt(12))
    for given in (prompt(12), prompt(30), prompt(12)):
        session.replace(given)
        assert session.continue_(settings=SETTINGS)[0].tokens == engine.continue_(given, settings=SETTINGS)[0].tokens


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_a_session_believes_to_have_read_is_what_its_cache_holds(temperature):
    """Also where a stream is cut just when a window moves, and its ids are no longer those that were read."""
    engine = random_engine(context=64)
    session = engine.session(prompt(12))
    settings = Settings(candidates=1, notes=60, seed=5, sampling=Sampling(temperature=temperature, min_p=0.0))
    lengths = set()
    for stop_after in range(1, 25):
        stream = session.stream(settings=settings)
        for _ in range(stop_after):
            next(stream)
        stream.close()
        ids, cache = session._prefix_cache._tokens, session._prefix_cache._cache
        cache.rollback(len(ids))
        lengths.add(len(ids))
        fresh = engine.new_cache(64)
        engine.read([[*ids, 7]], fresh)
        engine.read([[7]], cache)
        for (_, held), (_, expected) in zip(cache.layers(), fresh.layers(), strict=True):
            np.testing.assert_allclose(held, expected, atol=1e-4)
    assert len(lengths) > 5


@pytest.mark.parametrize("variations", [1, 3])
def test_closing_a_stream_frees_every_cache(engine, watch, variations):
    stream = engine.stream(
        prompt(), settings=Settings(candidates=1, notes=10_000, variations=variations, sampling=SETTINGS.sampling)
    )
    for _ in range(9):
        next(stream)
    assert watch.made > 0
    assert watch.alive == 1
    stream.close()
    assert watch.alive == 0


def test_closing_a_session_frees_every_cache_and_it_can_be_used_again(engine, watch):
    session = engine.session(prompt())
    stream = session.stream(settings=Settings(candidates=1, notes=10_000))
    next(stream)
    assert watch.alive == 1
    stream.close()
    assert watch.alive == 1
    session.close()
    assert watch.alive == 0
    again = session.continue_(settings=SETTINGS)
    assert again[0].tokens == engine.continue_(prompt(), settings=SETTINGS)[0].tokens
    session.close()
    assert watch.alive == 0


def test_an_impatient_listener_frees_everything_too(engine, watch):
    def enough(variation: int, note: object) -> None:
        raise UserError("enough")

    with pytest.raises(UserError, match="enough"):
        engine.continue_(prompt(), settings=SETTINGS, on_note=enough)
    assert watch.made > 0
    assert watch.alive == 0


def test_rounded_caches_forget_as_exact_ones_do(tmp_path):
    """With keys and values of 8 bits a prompt read in parts is rounded between them, so only close can be expected."""
    engine = engine_of("onnx-int8", tmp_path)
    whole, parts = engine.tokens_of(prompt(20), None), engine.tokens_of(prompt(12), None)
    cache = engine.new_cache(len(whole))
    engine.read([parts], cache)
    engine.read([[5] * 7], cache)
    cache.rollback(len(parts))
    fresh = engine.new_cache(len(whole))
    logits_V = engine.read([whole], fresh)[0]
    difference_V = engine.read([whole[len(parts) :]], cache)[0] - logits_V
    assert np.abs(difference_V).max() < 0.1 * logits_V.std()
    session = engine.session(prompt(12))
    session.continue_(settings=SETTINGS)
    session.replace(prompt(12))
    assert session.continue_(settings=SETTINGS)[0].prompt_tokens == len(parts)
