"""A portfolio of settings, chosen greedily from what they did on earlier data sets."""

from itertools import combinations

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from tuning_study.search.greedy import Matrix, greedy_portfolio, normalised_regret

LOSSES = arrays(
    numpy.float64,
    array_shapes(min_dims=2, max_dims=2, max_side=6),
    elements=st.one_of(st.integers(0, 20).map(float), st.just(float("nan"))),
)
SIZES = st.integers(0, 8)


def regret_of(losses: Matrix, rows: list[int]) -> float:
    regrets = numpy.nan_to_num(normalised_regret(losses), nan=1.0)
    return float(regrets[rows].min(axis=0).mean())


def test_the_first_is_good_everywhere_and_the_next_good_where_it_is_not() -> None:
    losses = numpy.array(
        [
            [0.0, 0.5, 1.0],  # best on the first data set, worst on the last
            [0.1, 0.1, 0.2],  # never best, never bad
            [1.0, 1.0, 0.0],  # best on the last alone
            [0.2, 0.0, 0.9],
        ]
    )
    assert greedy_portfolio(losses, 3) == [1, 2, 0]


def test_data_sets_count_alike_whatever_their_unit() -> None:
    """In dollars a model's errors are large, and in shares of right answers small."""
    losses = numpy.array([[100.0, 0.1], [900.0, 0.2], [110.0, 0.9]])
    assert greedy_portfolio(losses, 1) == [0]
    assert greedy_portfolio(losses * [1.0, 1000.0], 1) == [0]


def test_what_was_not_measured_is_not_trusted() -> None:
    nan = float("nan")
    assert greedy_portfolio(numpy.array([[0.0, nan, nan], [0.2, 0.0, 0.0], [1.0, 1.0, 1.0]]), 1) == [1]


def test_settings_that_are_equal_everywhere_are_one() -> None:
    assert greedy_portfolio(numpy.zeros((4, 3)), 4) == [0]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_nothing_comes_of_nothing(shape: tuple[int, int]) -> None:
    assert greedy_portfolio(numpy.zeros(shape), 3) == []


@given(LOSSES, SIZES)
def test_a_portfolio_is_no_longer_than_asked_and_has_no_setting_twice(losses: Matrix, size: int) -> None:
    chosen = greedy_portfolio(losses, size)
    assert len(chosen) <= size
    assert len(set(chosen)) == len(chosen)


@given(LOSSES)
def test_every_further_setting_lowers_the_regret_and_no_other_lowers_it_more(losses: Matrix) -> None:
    chosen = greedy_portfolio(losses, len(losses))
    for count in range(1, len(chosen)):
        now, before = regret_of(losses, chosen[: count + 1]), regret_of(losses, chosen[:count])
        assert now < before
        others = [regret_of(losses, [*chosen[:count], row]) for row in range(len(losses))]
        assert now == pytest.approx(min(others))


@given(LOSSES, st.integers(1, 3))
def test_it_is_at_least_as_good_as_theory_promises(losses: Matrix, size: int) -> None:
    """What greedy choice gains is at least 1 - 1/e of what the best portfolio does: the gain is submodular."""
    size = min(size, len(losses))
    best = min(regret_of(losses, list(rows)) for rows in combinations(range(len(losses)), size))
    gained = 1 - regret_of(losses, greedy_portfolio(losses, size))
    assert gained >= (1 - 1 / numpy.e) * (1 - best) - 1e-9


@given(LOSSES)
def test_regret_is_0_at_the_best_setting_and_1_at_the_worst(losses: Matrix) -> None:
    for before, regrets in zip(losses.T, normalised_regret(losses).T, strict=True):
        measured = regrets[~numpy.isnan(before)]
        if len(measured):
            assert measured.min() == 0
            assert measured.max() == (1 if len(set(before[~numpy.isnan(before)])) > 1 else 0)
