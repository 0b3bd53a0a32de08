import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partimento.errors import UserError
from partimento.generate.decode.sampling import Ranges, Sampling, distribution, draw, probabilities, seeded

logits = st.lists(st.floats(-20, 20), min_size=1, max_size=40).map(np.array)
OPEN = {"min_p": 0.0, "top_p": 1.0}


def sample(logits_V: np.ndarray, allowed: Ranges, how: Sampling, generator: np.random.Generator) -> int:
    return draw(probabilities(logits_V, allowed, how), generator)


def softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max())
    return e / e.sum()


@given(logits, st.floats(0.2, 3))
def test_without_cuts_it_is_the_softmax_of_the_tempered_logits(x: np.ndarray, temperature: float) -> None:
    got = distribution(x, Sampling(temperature=temperature, **OPEN))
    np.testing.assert_allclose(got, softmax(x / temperature), atol=1e-12)


def test_min_p_keeps_exactly_what_reaches_its_share_of_the_largest_after_temperature() -> None:
    p = np.array([0.5, 0.26, 0.24])
    assert (distribution(np.log(p), Sampling(temperature=1.0, min_p=0.5)) > 0).tolist() == [True, True, False]
    # At temperature 2 the shares are square roots: 0.72 and 0.69.
    assert (distribution(np.log(p), Sampling(temperature=2.0, min_p=0.7)) > 0).tolist() == [True, True, False]
    assert (distribution(np.log(p), Sampling(temperature=2.0, min_p=0.6)) > 0).all()


def test_top_p_keeps_the_fewest_that_hold_the_mass() -> None:
    x = np.log(np.array([0.1, 0.4, 0.2, 0.3]))
    for top_p, kept in ((0.35, [1]), (0.5, [1, 3]), (0.75, [1, 2, 3]), (0.95, [0, 1, 2, 3])):
        p = distribution(x, Sampling(temperature=1.0, min_p=0.0, top_p=top_p))
        assert np.flatnonzero(p).tolist() == kept
        assert p.sum() == pytest.approx(1)


def test_both_cuts_are_honoured() -> None:
    x = np.log(np.array([0.4, 0.3, 0.2, 0.1]))
    both = distribution(x, Sampling(temperature=1.0, min_p=0.3, top_p=0.7))
    assert np.flatnonzero(both).tolist() == [0, 1]


def test_temperature_zero_is_greedy_and_temperature_sharpens() -> None:
    x = np.array([1.0, 3.0, 2.0])
    assert distribution(x, Sampling(temperature=0)).tolist() == [0, 1, 0]
    assert distribution(x, Sampling(temperature=0.5, **OPEN))[1] > distribution(x, Sampling(temperature=2, **OPEN))[1]


@settings(max_examples=50)
@given(st.integers(0, 2**32))
def test_only_allowed_ids_come_out_even_where_others_are_far_likelier(seed: int) -> None:
    x = np.zeros(100)
    x[50] = 1e4
    generator = seeded(seed, variation=0)
    drawn = {sample(x, ((3, 5), (90, 91)), Sampling(**OPEN), generator) for _ in range(30)}
    assert drawn <= {3, 4, 90}


def test_frequencies_follow_the_distribution() -> None:
    p = np.array([0.5, 0.3, 0.15, 0.05])
    generator, how = seeded(1, variation=0), Sampling(temperature=1.0, **OPEN)
    drawn = np.bincount([sample(np.log(p), ((0, 4),), how, generator) for _ in range(20_000)], minlength=4)
    # Four standard deviations of a binomial share.
    assert (np.abs(drawn / 20_000 - p) < 4 * np.sqrt(p * (1 - p) / 20_000)).all()


def test_a_zero_probability_is_never_drawn_at_the_edges() -> None:
    class Edge:
        def __init__(self, value: float) -> None:
            self.value = value

        def random(self) -> float:
            return self.value

    x = np.array([-np.inf, 0.0, 0.0, -np.inf])
    how = Sampling(**OPEN)
    assert sample(x, ((0, 4),), how, Edge(0.0)) == 1  # type: ignore[arg-type]
    assert sample(x, ((0, 4),), how, Edge(np.nextafter(1, 0))) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "bad",
    [{"temperature": -1}, {"temperature": float("nan")}, {"min_p": 1.5}, {"min_p": -0.1}, {"top_p": 0}, {"top_p": 2}],
)
def test_impossible_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(UserError):
        Sampling(**bad)


def test_uncut_tokens_keep_their_share_of_the_whole() -> None:
    x = np.log(np.array([0.5, 0.3, 0.15, 0.05]))
    spared = distribution(x, Sampling(temperature=1.0, min_p=0.5), np.array([False, False, False, True]))
    np.testing.assert_allclose(spared, np.array([0.5, 0.3, 0.0, 0.05]) / 0.85)
    by_mass = distribution(x, Sampling(temperature=1.0, min_p=0.0, top_p=0.5), np.array([False, False, True, False]))
    np.testing.assert_allclose(by_mass, np.array([0.5, 0.0, 0.15, 0.0]) / 0.65)


def test_times_have_a_temperature_of_their_own_and_are_cut_only_if_asked() -> None:
    published = Sampling()
    assert published.of_times() == published
    ours = Sampling(temperature=1.0, min_p=0.035, top_p=0.9, cut_times=False, time_temperature=0.8).of_times()
    assert (ours.temperature, ours.min_p, ours.top_p) == (0.8, 0.0, 1.0)
    with pytest.raises(UserError, match="time-temperature"):
        Sampling(time_temperature=-1.0)


def test_nothing_allowed_is_a_defect() -> None:
    with pytest.raises(ValueError, match="no token"):
        sample(np.zeros(3), (), Sampling(), seeded(0, variation=0))
