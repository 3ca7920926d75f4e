"""What trials came to, as the Gaussian process sees it."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from tuning_study.search.samplers.gaussian.outcomes import outcomes, scalarised, standardised

MINIMIZE, MAXIMIZE = StudyDirection.MINIMIZE, StudyDirection.MAXIMIZE


def trial(*values: float, state: TrialState = TrialState.COMPLETE, **more: Any) -> FrozenTrial:
    return create_trial(
        params={"x": 0.5},
        distributions={"x": FloatDistribution(0, 1)},
        values=list(values) if state is TrialState.COMPLETE else None,
        state=state,
        **more,
    )


def pruned(*reports: float) -> FrozenTrial:
    return trial(state=TrialState.PRUNED, intermediate_values=dict(enumerate(reports)))


def test_costs_are_minimised() -> None:
    assert outcomes([trial(1, 5), trial(2, 4)], [MINIMIZE, MAXIMIZE]).costs.tolist() == [[1, -5], [2, -4]]


def test_infinite_costs_become_the_worst_and_the_best() -> None:
    found = outcomes([trial(1), trial(math.inf), trial(3), trial(-math.inf)], [MINIMIZE])
    assert found.costs[:, 0].tolist() == [1, 3, 3, 1]


@pytest.mark.parametrize(
    ("reports", "cost"),
    [((9.0, 2.5), 2.5), ((0.1,), 2.0), ((50.0,), 3.0), ((), 3.0), ((math.nan,), 3.0)],
)
def test_a_pruned_trial_is_believed_to_end_between_the_median_and_the_worst(
    reports: tuple[float, ...], cost: float
) -> None:
    found = outcomes([trial(1), trial(2), trial(3), pruned(*reports)], [MINIMIZE])
    assert found.costs[3, 0] == cost
    assert found.variances.tolist()[:3] == [0, 0, 0]
    assert found.variances[3] > 0


def test_of_a_study_to_maximise_the_reports_are_turned_too() -> None:
    found = outcomes([trial(1), trial(2), trial(3), pruned(1.5)], [MAXIMIZE])
    assert found.costs[3, 0] == -1.5


def test_failures_and_constraints_are_limits() -> None:
    found = outcomes(
        [trial(1, constraints={"a": -0.5}), trial(2, constraints={"a": 2.0}), trial(state=TrialState.FAIL)], [MINIMIZE]
    )
    assert found.costs[2, 0] == 2
    assert found.feasible.tolist() == [True, False, False]
    assert (found.limits[:, 1] > 0).tolist() == [False, False, True]
    assert np.isnan(found.limits[2, 0])


def test_where_nothing_failed_there_is_no_limit() -> None:
    assert outcomes([trial(1), trial(2)], [MINIMIZE]).limits.shape == (2, 0)


@given(st.lists(st.floats(-1e12, 1e12), min_size=2, max_size=50))
def test_standardised_costs_keep_their_order(costs: list[float]) -> None:
    found = standardised(np.array(costs))
    order = np.argsort(costs, kind="stable")
    assert np.isfinite(found).all()
    assert (np.diff(found[order]) >= -1e-9).all()


def test_one_terrible_cost_leaves_the_good_ones_apart() -> None:
    found = standardised(np.array([1.0, 2.0, 3.0, 4.0, 1e9]))
    assert found[1] - found[0] > 0.1


@given(st.integers(0, 2**32 - 1))
def test_what_is_worse_in_everything_is_worse(seed: int) -> None:
    costs = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 3.0], [5.0, 1.0, 9.0]])
    both = scalarised(costs, np.random.default_rng(seed))
    assert both[0] < min(both[1], both[2])
