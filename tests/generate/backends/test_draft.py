"""A draft changes how many ids come at once, never how often each comes: proved for the rule, and shown for it all.

The rule is measured from outside, by bisection. Then whole continuations are counted whose distribution is known in
closed form; and where nothing is left to chance, real models write the same with a draft and without.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chisquare

from partimento.errors import UserError
from partimento.generate.abilities import Abilities
from partimento.generate.backends.backend import TorchBackend
from partimento.generate.decode.sampling import Proposal, Sampling, accept_or_resample
from partimento.generate.engine import Engine
from partimento.generate.settings import Guidance, Settings
from partimento.model.checkpoint import save
from partimento.model.config import ModelConfig
from partimento.model.heads import ConditionedTransformer
from partimento.tokens.grammar import Grammar
from partimento.tokens.vocabulary import Vocabulary
from tests.generate.generate_music import Remembering, prompt, random_engine

V = Vocabulary.piano()
GREEDY = Sampling(temperature=0)


# -- the rule ---------------------------------------------------------------------------------------------------------


class Heights:
    """In place of chance: these numbers, then nothing."""

    def __init__(self, *heights: float) -> None:
        self._heights = iter(heights)

    def random(self) -> float:
        return next(self._heights)


def share(outcome, low: float = 0.0, high: float = 1.0) -> list[tuple[object, float]]:
    """What a function of a height in 0..1 gives and how much of the heights gives it, where each comes in one piece."""
    first, last = outcome(low), outcome(math.nextafter(high, 0))
    if first == last:
        return [(first, high - low)]
    a, b = low, high
    while b - a > 1e-13:
        middle = (a + b) / 2
        a, b = (middle, b) if outcome(middle) == first else (a, middle)
    return [(first, b - low), *share(outcome, b, high)]


weights = arrays(np.float64, 5, elements=st.sampled_from([0.0, 0.0, 1e-3, 0.2, 0.5, 1.0, 3.0])).filter(np.any)


@settings(max_examples=60)
@given(weights, weights)
def test_whatever_is_proposed_ids_come_out_as_the_large_model_says(p: np.ndarray, q: np.ndarray) -> None:
    p, q = p / p.sum(), q / q.sum()
    came = np.zeros(5)
    for drafted in np.flatnonzero(q):
        proposal = Proposal(token=int(drafted), q_V=q)

        def replaced(height: float, proposal=proposal) -> int:
            return accept_or_resample(p, proposal, Heights(math.nextafter(1, 0), height))  # type: ignore[arg-type]

        def kept(height: float, proposal=proposal) -> bool:
            try:
                return accept_or_resample(p, proposal, Heights(height)) == proposal.token  # type: ignore[arg-type]
            except StopIteration:  # it wanted another number, to draw another id
                return False

        for is_kept, much in share(kept):
            if is_kept:
                came[drafted] += q[drafted] * much
            else:
                for id_, of_that in share(replaced):
                    came[id_] += q[drafted] * much * of_that
    np.testing.assert_allclose(came, p, atol=1e-9)


# -- whole continuations, counted -------------------------------------------------------------------------------------


class Table:
    """A model whose logits are a table's, by the last two ids it remembers and how many there are."""

    ids = (
        *(V.note[0] + k for k in (700, 813)),
        *(V.onset[0] + k for k in (3, 7, 20)),
        *(V.duration[0] + k for k in (5, 9)),
    )
    description = "a table"
    config = ModelConfig.named("debug", vocab_size=len(V), context=256)

    def __init__(self, seed: int) -> None:
        self._table = np.random.default_rng(seed).normal(0, 0.8, (31, len(self.ids)))

    def cache(self, *, batch: int, capacity: int) -> Remembering:
        return Remembering([[] for _ in range(batch)], capacity)

    def logits(self, ids: Sequence[int]) -> np.ndarray:
        logits_V = np.full(len(V), -np.inf, np.float32)
        logits_V[list(self.ids)] = self._table[(ids[-1] + 3 * ids[-2] + len(ids)) % 31]
        return logits_V

    def read(self, ids_BT: Sequence[Sequence[int]], cache: Remembering, *, last: int = 1) -> np.ndarray:
        assert cache.length + len(ids_BT[0]) <= cache.capacity
        before = cache.length
        cache.rows = [row + list(ids) for row, ids in zip(cache.rows, ids_BT, strict=True)]
        ends = range(max(before + len(ids_BT[0]) - last, 1) + 1, cache.length + 1)
        return np.stack([[self.logits(row[:end]) for end in ends] for row in cache.rows])


def exactly(model: Table, how: Sampling, begun: tuple[int, ...], notes: int) -> dict[tuple[int, ...], float]:
    """Probabilities of all ways to go on for so many notes, by trying them all; sampling is written out once more."""
    kinds = (model.ids[:2], model.ids[2:5], model.ids[5:])
    ways = {(): 1.0}
    for step in range(3 * notes):
        following: dict[tuple[int, ...], float] = {}
        for way, probability in ways.items():
            earliest = max((id_ for id_ in way if id_ in kinds[1]), default=0)
            allowed = [id_ for id_ in kinds[step % 3] if step % 3 != 1 or id_ >= earliest]
            weight = np.exp(model.logits([*begun, *way])[allowed].astype(np.float64) / how.temperature)
            weight[weight < how.min_p * weight.max()] = 0
            for id_, share_ in zip(allowed, weight / weight.sum(), strict=True):
                following[*way, id_] = probability * share_
        ways = following
    return {way: probability for way, probability in ways.items() if probability}


@pytest.mark.parametrize(("drafter", "how"), [(2, Sampling(temperature=1.1, min_p=0.0)), (3, Sampling(min_p=0.2))])
def test_music_is_distributed_as_the_large_models(drafter: int, how: Sampling) -> None:
    large = Engine(Table(1), V)
    engine = large.drafted_by(Engine(Table(drafter), V))
    nothing = prompt().slice_time(0, 0)
    counted: Counter[tuple[int, ...]] = Counter()
    tested = kept = 0
    for seed in range(12):
        run = engine.continuing(nothing, Settings(notes=2, seed=seed, variations=64, sampling=how), None)
        assert len(list(run.notes())) == 128
        for variation in run.variations:
            ids, given_ids = variation.final_tokens()
            counted[tuple(ids[given_ids:])] += 1
            tested, kept = tested + variation.proposed, kept + variation.accepted
    assert 0.2 * tested < kept < 0.8 * tested  # both ways out of the rule were taken
    expected = exactly(large.backend, how, (V.prefix("instrument", "piano"), V.start), 2)
    assert set(counted) <= set(expected)
    total = counted.total()
    # Ways too rare for the statistic count as one.
    pools = {way: way if probability * total >= 8 else () for way, probability in expected.items()}
    predicted = dict.fromkeys(pools.values(), 0.0)
    observed = dict.fromkeys(pools.values(), 0)
    for way, pool in pools.items():
        predicted[pool] += expected[way] * total
        observed[pool] += counted[way]
    assert len(observed) > 5
    assert chisquare([*observed.values()], [*predicted.values()]).pvalue > 0.01


# -- real models ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for number, seed in enumerate((4, 1)):
        save(folder / f"{number}.safetensors", random_engine(seed=seed).backend.model, V)
    return folder


def drafted(files, kind: str, large: int, small: int) -> tuple[Engine, Engine]:
    plain = Engine.load(files / f"{large}.safetensors", engine=kind)
    return plain, plain.drafted_by(Engine.load(files / f"{small}.safetensors", engine=kind))


@pytest.mark.parametrize("kind", ["torch", "onnx"])
@pytest.mark.parametrize("small", [0, 1])
def test_where_nothing_is_left_to_chance_a_draft_changes_nothing(files, kind: str, small: int) -> None:
    plain, engine = drafted(files, kind, 0, small)
    greedy = Settings(notes=10, sampling=GREEDY)
    (theirs,), (ours,) = plain.continue_(prompt(), settings=greedy), engine.continue_(prompt(), settings=greedy)
    assert theirs.retries == 0 and theirs.fallback is None  # else chance would have come in, or more than the grammar
    assert ours.tokens == theirs.tokens
    assert theirs.timings.draft_accepted is None
    assert ours.timings.draft_accepted == 1 if small == 0 else ours.timings.draft_accepted < 0.5


@pytest.mark.parametrize(("context", "end"), [(40, False), (96, True)])
def test_ends_windows_and_small_contexts_keep_to_the_grammar(context: int, end: bool) -> None:
    engine = random_engine(context=96).drafted_by(random_engine(context=context, seed=1))
    how = Sampling(temperature=1.0, min_p=0.0)
    for made in engine.continue_(prompt(40), settings=Settings(notes=40, variations=2, end=end, seed=2, sampling=how)):
        Grammar(V).run(made.tokens)
        assert made.tokens[-1] == V.end if end else len(made.generated) == 40


def test_a_variation_is_the_same_whatever_others_are_made_and_seeds_differ() -> None:
    engine = random_engine().drafted_by(random_engine(seed=1))
    one, *_ = engine.continue_(prompt(), settings=Settings(notes=20, seed=4))
    three = engine.continue_(prompt(), settings=Settings(notes=20, seed=4, variations=3))
    assert one.tokens == three[0].tokens
    assert len({made.tokens for made in three}) == 3
    other, *_ = engine.continue_(prompt(), settings=Settings(notes=20, seed=5))
    assert other.tokens != one.tokens


def test_a_stream_that_is_closed_leaves_nothing_in_the_cache_that_was_not_kept() -> None:
    engine = random_engine().drafted_by(random_engine(seed=1))
    wild, greedy = Settings(notes=50, seed=3), Settings(notes=6, sampling=GREEDY)
    for heard in (1, 4):
        with engine.session(prompt()) as session:
            stream = session.stream(settings=wild)
            for _ in range(heard):
                next(stream)
            session.replace(prompt(13))
            (again,) = session.continue_(settings=greedy)
        (fresh,) = engine.continue_(prompt(13), settings=greedy)
        assert again.tokens == fresh.tokens


def test_gaps_are_filled_with_a_draft() -> None:
    engine = random_engine(abilities=Abilities(infilling=True)).drafted_by(random_engine(seed=1))
    (made,) = engine.fill(prompt(40), 5.0, 8.0, seed=1)
    Grammar(V).run(made.tokens)
    assert made.timings.draft_accepted is not None
    onsets = made.generated.onset_seconds
    assert len(onsets) > 0
    assert onsets.min() >= 5.0 and onsets.max() < 8.0
    theirs = prompt(40).onset_seconds
    assert len(made.performance) == len(onsets) + ((theirs < 5.0) | (theirs >= 8.0)).sum()


def test_guided_models_are_drafted_too() -> None:
    torch.manual_seed(0)
    config = ModelConfig.named("debug", vocab_size=len(V), context=256)
    guidance = Guidance(weight=2.0, ramp=9)
    plain = Engine(TorchBackend(ConditionedTransformer(config)), V).like(
        np.random.default_rng(0).normal(size=512).astype(np.float32), guidance
    )
    greedy = Settings(notes=8, sampling=GREEDY)
    for draft in (random_engine(seed=1), Engine(plain.backend._backend, V)):
        (theirs,) = plain.continue_(prompt(), settings=greedy)
        (ours,) = plain.drafted_by(draft).continue_(prompt(), settings=greedy)
        assert ours.tokens == theirs.tokens


def test_a_draft_of_another_vocabulary_is_refused() -> None:
    with pytest.raises(UserError, match=r"another vocabulary of 17,727 tokens, the model one of 2,675"):
        random_engine().drafted_by(random_engine("aria"))
