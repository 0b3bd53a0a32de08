"""What belongs together stands on one side; what comes later moves nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partimento.corpus.duplicates.components import components
from partimento.corpus.selection.recipes import Splits
from partimento.corpus.selection.splits import (
    SPLITS,
    assign,
    content,
    declared,
    same_bytes,
    same_piece,
    same_title,
)
from tests.corpus.manifests import table

HALVES = Splits(seed=1, validation=0.25, test=0.25, declared=True)


@st.composite
def groupings(draw):
    n = draw(st.integers(1, 40))
    return [
        np.array(draw(st.lists(st.integers(-1, n), min_size=n, max_size=n))) for _ in range(draw(st.integers(1, 4)))
    ]


def spread(groups):
    """Every row takes the smallest number among its fellows', until nothing changes."""
    number = list(range(len(groups[0])))
    while True:
        before = list(number)
        for group in groups:
            for row, mine in enumerate(group):
                number[row] = min(number[k] for k, other in enumerate(group) if k == row or mine == other >= 0)
        if number == before:
            return number


@given(groupings())
def test_components_are_what_belongs_together_over_any_number_of_steps(groups):
    assert components(groups).tolist() == spread(groups)


def test_a_piece_is_a_composer_with_an_opus_or_piece_number():
    rows = table(
        {"composer": "chopin", "opus": "10", "piece": "4"},
        {"composer": "chopin", "opus": "10", "piece": "4"},
        {"composer": "liszt", "opus": "10", "piece": "4"},
        {"composer": "chopin", "opus": "10"},
        {"composer": "chopin", "piece": "10"},
        {"composer": "chopin"},
        {"opus": "10", "piece": "4"},
        {"composer": "", "opus": "10", "piece": "4"},
    )
    numbers = same_piece(rows)
    assert numbers[0] == numbers[1] and len(set(numbers[:5])) == 4
    assert (numbers[5:] == -1).all()


def test_titles_are_the_same_by_letters_and_digits_within_a_composer():
    rows = table(
        {"title": "Body and Soul"},
        {"title": "body_and  soul!"},
        {"title": "Body and Soul", "composer": "green"},
        {"title": "Étude n° 4", "composer": "green"},
        {"title": "étude N 4", "composer": "green"},
        {"title": "Étude 5", "composer": "green"},
        {"title": "..."},
        {},
    )
    numbers = same_title(rows)
    assert numbers[0] == numbers[1] != numbers[2]
    assert numbers[3] != numbers[5] and (numbers[6:] == -1).all()
    remarked = table(
        {"title": "Emily"},
        {"title": "Emily - Live At Maybeck Recital Hall"},
        {"title": "EMILY (Take 2)"},
        {"title": "Emily [Live]"},
        {"title": "Emily - Livery"},
        {"title": "Live Emily"},
        {"title": "Emily-Live"},
    )
    numbers = same_title(remarked).tolist()
    assert len(set(numbers[:4])) == 1 and len(set(numbers)) == 4
    assert same_bytes(table({}, {"sha256": None}, {"sha256": None})).tolist() == [0, -1, -1]


def test_no_component_is_divided_and_the_shares_come_out_about_right():
    n = 20_000
    rng = np.random.default_rng(1)
    rows = table(*({} for _ in range(n)))
    component = components([rng.integers(0, n // 2, n)])
    split = assign(component, content(rows), declared(rows), Splits(seed=1, validation=0.1, test=0.05, declared=True))
    assert all(len(set(split[component == one])) == 1 for one in component[:200])
    shares = np.bincount(split, minlength=3) / n
    np.testing.assert_allclose(shares, [0.85, 0.1, 0.05], atol=0.01)


def test_files_that_come_later_move_only_the_components_they_join():
    before, after = (table(*({"path": f"{i}.mid"} for i in range(n))) for n in (500, 900))
    group = np.arange(900)
    group[500:510] = 7  # ten newcomers of one old piece
    order = np.random.default_rng(2).permutation(900)  # and the survey lists them in another order
    old = assign(components([group[:500]]), content(before), declared(before), HALVES)
    shuffled = after.take(order)
    new = np.empty(900, np.int64)
    new[order] = assign(components([group[order]]), content(shuffled), declared(shuffled), HALVES)
    others = np.arange(500) != 7
    assert (old[others] == new[:500][others]).all()
    assert len(set(new[[7, *range(500, 510)]])) == 1


def test_another_seed_draws_another_split():
    rows = table(*({} for _ in range(400)))
    drawn = [
        assign(
            np.arange(400), content(rows), declared(rows), Splits(seed=seed, validation=0.3, test=0.3, declared=True)
        )
        for seed in (1, 1, 2)
    ]
    assert (drawn[0] == drawn[1]).all()
    assert 0.2 < (drawn[0] != drawn[2]).mean() < 0.9


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["train", None], "train"),
        (["train", "validation"], "validation"),
        (["validation", "test"], "test"),
        (["train", "somewhere"], "train"),
    ],
)
def test_a_declared_split_holds_for_all_that_belongs_with_it(wanted, expected):
    rows = table(*({"declared_split": split} for split in wanted))
    for seed in range(20):
        honoured = Splits(seed=seed, validation=0.3, test=0.3, declared=True)
        split = assign(np.zeros(2, np.int64), content(rows), declared(rows), honoured)
        assert [SPLITS[i] for i in split] == [expected] * 2


def test_a_declared_split_can_be_passed_over():
    rows = table(*({"declared_split": "test"} for _ in range(50)))
    splits = Splits(seed=1, validation=0.0, test=0.0, declared=False)
    assert (assign(np.arange(50), content(rows), declared(rows), splits) == SPLITS.index("train")).all()
