import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from partimento.evaluate.listening.statistics import (
    ALPHA,
    ENOUGH,
    binomial_test,
    equivalence_power,
    equivalence_test,
    power,
    votes_for_equivalence,
    votes_needed,
    wilson,
)

TABLE_1 = {
    "AM Transformer": ((38, 0, 6), 9.43e-7),
    "Suno 3.5": ((18, 9, 21), 7.49e-1),
    "MusicGen": ((49, 1, 0), 3.55e-15),
    "ground truth": ((15, 9, 17), 8.60e-1),
}
"""The paper's wins, ties and losses, and its p-values."""

counts = st.integers(0, 80)
few = settings(max_examples=20)


@pytest.mark.parametrize("row", TABLE_1)
def test_the_p_values_of_table_1(row):
    (wins, _, losses), printed = TABLE_1[row]
    assert f"{binomial_test(wins, losses):.2e}" == f"{printed:.2e}"


@few
@given(counts, counts)
def test_the_binomial_test_is_scipys(wins, losses):
    if wins + losses:
        assert binomial_test(wins, losses) == pytest.approx(stats.binomtest(wins, wins + losses).pvalue, rel=1e-9)


def test_no_votes_show_nothing():
    assert binomial_test(0, 0) == equivalence_test(0, 0, margin=0.1) == 1
    assert wilson(0, 0) == (0, 1)
    assert power(0, 0.6) == equivalence_power(0, 0.1) == 0


@few
@given(counts, counts)
def test_wilsons_interval_is_scipys(wins, losses):
    if wins + losses:
        found = stats.binomtest(wins, wins + losses).proportion_ci(method="wilson")
        assert wilson(wins, losses) == pytest.approx((found.low, found.high), abs=1e-12)


@settings(max_examples=6)
@given(st.integers(0, 30), st.floats(0.05, 0.95))
def test_power_is_the_sum_over_all_significant_results(votes, share):
    significant = [wins for wins in range(votes + 1) if votes and stats.binomtest(wins, votes).pvalue <= ALPHA]
    assert power(votes, share) == pytest.approx(stats.binom.pmf(significant, votes, share).sum(), abs=1e-9)


@settings(max_examples=8)
@given(st.integers(0, 300), st.floats(0.02, 0.3))
def test_the_power_of_equivalence_is_the_sum_over_all_results_that_show_it(votes, margin):
    shown = [wins for wins in range(votes + 1) if equivalence_test(wins, votes - wins, margin=margin) < ALPHA]
    assert equivalence_power(votes, margin) == pytest.approx(stats.binom.pmf(shown, votes, 0.5).sum(), abs=1e-9)


@few
@given(counts, counts, st.floats(0.01, 0.45))
def test_equivalence_is_two_one_sided_tests(wins, losses, margin):
    if wins + losses:
        sides = [
            stats.binomtest(wins, wins + losses, 0.5 - margin, alternative="greater").pvalue,
            stats.binomtest(wins, wins + losses, 0.5 + margin, alternative="less").pvalue,
        ]
        assert equivalence_test(wins, losses, margin=margin) == pytest.approx(max(sides), rel=1e-8)


def test_32_untied_votes_cannot_show_that_there_is_no_difference():
    """The paper's 15 to 17 against the pianists: significant only from 23 to 9 on, and within 40..60 % never."""
    assert binomial_test(22, 10) > ALPHA > binomial_test(23, 9)
    assert power(32, 0.6) == pytest.approx(0.12, abs=0.005)
    assert all(equivalence_test(wins, 32 - wins, margin=0.1) > ALPHA for wins in range(33))
    low, high = wilson(15, 17)
    assert low < 1 / 3 and high > 0.63
    assert votes_needed(0.6) == 199 and votes_for_equivalence(0.1) == 214


def test_the_votes_that_a_study_needs_are_the_fewest():
    for needed, power_of in (
        (votes_needed(0.7), lambda n: power(n, 0.7)),
        (votes_for_equivalence(0.2), lambda n: equivalence_power(n, 0.2)),
    ):
        assert power_of(needed) >= ENOUGH
        assert all(power_of(n) < ENOUGH for n in range(needed))
    assert votes_needed(0.5001) == 20_000  # no study that anybody pays for


def test_an_equal_pair_is_called_different_by_at_most_one_study_in_twenty():
    rng = np.random.default_rng(3)
    called = [binomial_test(int(wins), 40 - int(wins)) <= ALPHA for wins in rng.binomial(40, 0.5, 300)]
    assert np.mean(called) < 0.05
