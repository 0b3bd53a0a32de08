"""Guidance against closed forms: what it is at 0, at 1 and beyond, and a model that never saw the vector."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from partimento.errors import UserError
from partimento.generate.backends.backend import TorchBackend
from partimento.generate.backends.guidance import GuidedBackend
from partimento.generate.decode.sampling import Sampling
from partimento.generate.engine import Engine
from partimento.generate.settings import Guidance, Settings
from partimento.model.config import ModelConfig
from partimento.model.heads import ConditionedTransformer
from partimento.model.transformer import Transformer
from partimento.tokens.grammar import Grammar
from partimento.tokens.vocabulary import Kind
from tests.generate.generate_music import VOCABULARIES, prompt, random_engine

V = VOCABULARIES["piano"]
SIZE = 24
VECTOR = np.random.default_rng(4).normal(size=SIZE).astype(np.float32)
SETTINGS = Settings(notes=30, variations=2, seed=6, sampling=Sampling(temperature=1.0, min_p=0.0))
GREEDY = Sampling(temperature=0.0)
EXACT = {"atol": 2e-4, "rtol": 1e-4}


def model(context: int = 512) -> ConditionedTransformer:
    """Random weights, large enough that the vector shows in every logit."""
    torch.manual_seed(1)
    made = ConditionedTransformer(ModelConfig.named("debug", vocab_size=len(V), context=context), size=SIZE)
    torch.nn.init.normal_(made.embedding_adapter.weight, std=0.5)
    return made.eval()


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(TorchBackend(model()), V)


def plain(conditioned: ConditionedTransformer) -> Engine:
    """The same weights as a language model that knows of no vectors."""
    language_model = Transformer(conditioned.config)
    weights = {k: w for k, w in conditioned.state_dict().items() if k != "embedding_adapter.weight"}
    language_model.load_state_dict(weights)
    return Engine(TorchBackend(language_model), V)


@torch.inference_mode()
def greedy_by_hand(conditioned: ConditionedTransformer, ids: list[int], count: int, g: list[float]) -> list[int]:
    """Uncached passes over everything, once with the vector and once without any position for it."""
    kinds = np.asarray(V.kind_of)
    sayable = np.isin(kinds, (Kind.SEGMENT, Kind.NOTE, Kind.ONSET, Kind.DURATION))
    sayable &= (kinds != Kind.NOTE) | (np.asarray(V.velocity_of) > 0)
    grammar = Grammar(V)
    for step in range(count):
        ids_1T = torch.tensor([ids])
        with_V = conditioned.after(torch.from_numpy(VECTOR)[None], ids_1T)[0, -1].numpy()
        without_V = conditioned(ids_1T)[0, -1].numpy()
        mixed_V = g[step] * with_V + (1 - g[step]) * without_V
        allowed = [i for low, high in grammar.allowed(grammar.run(ids)) for i in range(low, high) if sayable[i]]
        ids = [*ids, allowed[int(mixed_V[allowed].argmax())]]
    return ids


@pytest.mark.parametrize("weight", [0.0, 1.0, 2.5])
@pytest.mark.parametrize("ramp", [0, 20])
def test_every_choice_is_that_of_uncached_passes_mixed_by_hand(engine, weight, ramp):
    settings = Settings(notes=5, sampling=GREEDY)  # so few that nothing is struck too often to be played
    (continuation,) = engine.like(VECTOR, Guidance(weight=weight, ramp=ramp)).continue_(prompt(), settings=settings)
    count = len(continuation.tokens) - continuation.prompt_tokens
    rising = [weight * min(1.0, (step + 1) / 20) if ramp else weight for step in range(count)]
    given_ids = list(continuation.tokens[: continuation.prompt_tokens])
    assert list(continuation.tokens) == greedy_by_hand(engine.backend.model, given_ids, count, rising)


def test_without_guidance_the_music_is_that_of_a_model_without_vectors(engine):
    ignored = engine.like(VECTOR, Guidance(weight=0.0)).continue_(prompt(), settings=SETTINGS)
    unaware = plain(engine.backend.model).continue_(prompt(), settings=SETTINGS)
    alone = engine.continue_(prompt(), settings=SETTINGS)
    assert [c.tokens for c in ignored] == [c.tokens for c in unaware] == [c.tokens for c in alone]
    followed = engine.like(VECTOR, Guidance(weight=1.0, ramp=0)).continue_(prompt(), settings=SETTINGS)
    assert [c.tokens for c in followed] != [c.tokens for c in ignored]


@given(
    batch=st.integers(1, 3),
    cuts=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    back=st.integers(0, 40),
    seed=st.integers(0, 99),
)
def test_both_halves_are_those_of_the_models_whatever_is_read_and_forgotten(engine, batch, cuts, back, seed):
    conditioned = engine.backend.model
    ids_BT = np.random.default_rng(seed).integers(0, len(V), (batch, sum(cuts))).tolist()
    backend = GuidedBackend(engine.backend, VECTOR)
    cache = backend.cache(batch=batch, capacity=sum(cuts))

    def read_from(first: int) -> np.ndarray:
        for cut in cuts:
            if first < cut:
                logits = backend.read([row[first:cut] for row in ids_BT], cache)
                first = cut
        return logits

    cuts = np.cumsum(cuts).tolist()
    read_from(0)
    assert (cache.length, cache.capacity, cache.batch) == (cuts[-1], cuts[-1], batch)
    back = min(back, cuts[-1] - 1)
    cache.rollback(back)
    cache = cache.take(range(batch), capacity=cuts[-1])
    logits_2BV = read_from(back)[:, -1]
    with torch.inference_mode():
        ids = torch.tensor(ids_BT)
        with_BV = conditioned.after(torch.from_numpy(VECTOR).expand(batch, -1), ids)[:, -1].numpy()
        without_BV = conditioned(ids)[:, -1].numpy()
    np.testing.assert_allclose(logits_2BV, np.concatenate([with_BV, without_BV]), **EXACT)


@given(weight=st.floats(0, 10), ramp=st.integers(1, 400), chosen=st.integers(0, 800))
def test_guidance_rises_in_a_line_and_stays(weight, ramp, chosen):
    rising = Guidance(weight=weight, ramp=ramp)
    assert rising.at(chosen) == pytest.approx(np.interp(chosen + 1, [0, ramp], [0, weight]))
    assert rising.at(ramp - 1) == Guidance(weight=weight, ramp=0).at(0) == weight
    logits = np.random.default_rng(0).normal(size=(4, 7)).astype(np.float32)
    g = rising.at(chosen)
    np.testing.assert_allclose(rising.mix(logits, chosen), g * logits[:2] + (1 - g) * logits[2:], rtol=1e-4, atol=1e-4)


def test_variations_seeds_sessions_and_moving_windows_are_as_elsewhere():
    guided = Engine(TorchBackend(model(context=128)), V).like(VECTOR, Guidance(weight=2.0))
    assert guided.context == 127
    three = guided.continue_(prompt(), settings=Settings(notes=60, variations=3, seed=6, sampling=SETTINGS.sampling))
    (one,) = guided.continue_(prompt(), settings=Settings(notes=60, seed=6, sampling=SETTINGS.sampling))
    assert one.tokens == three[0].tokens and len({c.tokens for c in three}) == 3
    with guided.session(prompt(5)) as session:
        session.replace(prompt())
        (again,) = session.continue_(settings=Settings(notes=60, seed=6, sampling=SETTINGS.sampling))
        assert again.tokens == one.tokens
    stuck = Settings(notes=100, sampling=GREEDY)
    (freed,) = guided.continue_(prompt(), settings=stuck)
    assert (freed.retries > 0 or freed.fallback) and len(freed.generated) == 100


def test_nothing_announces_an_end_unless_it_is_asked_for(engine):
    bias = torch.zeros(len(V))
    bias[V.dim] = 1e3
    fond = Engine(TorchBackend(model()), V)
    fond.backend.model.lm_head.register_forward_hook(lambda _module, _input, output: output + bias)
    for continuation in fond.like(VECTOR, Guidance(weight=3.0)).continue_(prompt(), settings=SETTINGS):
        assert V.dim not in continuation.tokens


def test_what_cannot_be_guided_is_refused(engine):
    with pytest.raises(UserError, match="not conditioned on embeddings; take one that is"):
        random_engine().like(VECTOR, Guidance())
    with pytest.raises(UserError, match="vectors of 24 numbers, not 3"):
        engine.like(VECTOR[:3], Guidance())
    for bad in ({"weight": -1.0}, {"weight": float("nan")}, {"weight": 11.0}, {"ramp": -1}):
        with pytest.raises(UserError, match="guidance"):
            Guidance(**bad)
