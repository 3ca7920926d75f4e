"""Which trials are best: feasibility, goals, the Pareto front, and the one to name."""

import math
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import TrialState

from builders import make_candidates, make_objectives
from tuning_study.api.metrics import Constraint, Metric
from tuning_study.results.best import best, ranked, reaches_goals
from tuning_study.results.candidates import Candidate, candidates
from tuning_study.results.feasibility import violations
from tuning_study.results.pareto import pareto_front

ONE = make_objectives("Maximize")
TWO = make_objectives("Maximize", "Minimize")


def numbers(found: list[Candidate]) -> list[int]:
    return [entry.number for entry in found]


@pytest.mark.parametrize(("value", "feasible"), [(0.89, False), (0.9, True), (0.95, True), (1.0, True), (1.01, False)])
def test_a_constraint_is_kept_up_to_its_bounds(value: float, feasible: bool) -> None:
    found = violations([Constraint(metric="accuracy", min=0.9, max=1.0)], {"accuracy": value})
    assert set(found) == {"accuracy>=0.9", "accuracy<=1"}
    assert all(violation <= 0 for violation in found.values()) is feasible


@pytest.mark.parametrize(
    ("goals", "values", "feasible", "reached"),
    [
        ([0.9, 50], [0.9, 50], True, True),
        ([0.9, 50], [0.95, 10], True, True),
        ([0.9, 50], [0.95, 51], True, False),
        ([0.9, 50], [0.89, 10], True, False),
        ([0.9, 50], [1.0, 1], False, False),
        ([0.9, None], [1.0, 1], True, False),
    ],
)
def test_goals_are_reached_by_one_feasible_trial_in_every_objective(
    goals: list[float | None], values: list[float], feasible: bool, reached: bool
) -> None:
    assert reaches_goals(make_objectives("Maximize", "Minimize", goals=goals), values, feasible) is reached


def test_the_front_is_best_first_by_the_objectives_in_their_order() -> None:
    found = make_candidates((0.8, 1.0), (0.9, 5.0), (0.7, 2.0), (0.9, 6.0))
    assert numbers(pareto_front(TWO, found)) == [1, 0]


def test_trials_with_equal_values_are_both_on_the_front() -> None:
    assert numbers(pareto_front(TWO, make_candidates((0.8, 1.0), (0.8, 1.0)))) == [0, 1]


def test_an_infeasible_trial_is_on_no_front_and_named_only_where_there_is_no_other() -> None:
    poor, rich = Candidate(0, (0.5,)), Candidate(1, (0.9,), feasible=False)
    assert numbers(pareto_front(ONE, [poor, rich])) == [0]
    assert best(ONE, [rich, poor]) == poor
    assert best(ONE, [rich]) == rich
    assert best(ONE, []) is None


def test_the_earlier_of_two_equal_trials_is_named() -> None:
    found = make_candidates((0.9,), (0.9,))
    assert best(ONE, found[::-1]) == found[0]


def test_those_worth_trying_again_are_the_front_and_then_the_rest_infeasible_last() -> None:
    found = [*make_candidates((0.8, 1.0), (0.9, 5.0), (0.7, 2.0)), Candidate(3, (1.0, 0.0), feasible=False)]
    assert numbers(ranked(TWO, found)) == [1, 0, 2, 3]


def test_an_infinite_value_is_the_worst_or_the_best_there_can_be() -> None:
    found = make_candidates((-math.inf,), (0.1,), (math.inf,))
    assert numbers(ranked(ONE, found)) == [2, 1, 0]
    assert best(ONE, found[:2]) == found[1]


def test_only_complete_trials_are_candidates_and_optunas_constraints_decide_feasibility() -> None:
    study = optuna.create_study()

    def tell(state: TrialState, violation: float = 0.0) -> None:
        trial = study.ask()
        trial.set_constraint("latency", violation)
        study.tell(trial, 1.0 if state is TrialState.COMPLETE else None, state)

    tell(TrialState.COMPLETE, 0.0)
    tell(TrialState.FAIL)
    tell(TrialState.COMPLETE, 0.1)
    study.ask()
    found = candidates(study.get_trials())
    assert [(entry.number, entry.feasible) for entry in found] == [(0, True), (2, False)]


DIRECTIONS = st.lists(st.sampled_from(["Maximize", "Minimize"]), min_size=1, max_size=3)


@st.composite
def contests(draw: st.DrawFn) -> tuple[list[Metric], list[Candidate]]:
    directions = draw(DIRECTIONS)
    value = st.sampled_from([-math.inf, -1.0, 0.0, 1.0, 2.0, math.inf])
    values = draw(st.lists(st.tuples(*[value for _ in directions]), max_size=12))
    found = [Candidate(number, entry, draw(st.booleans())) for number, entry in enumerate(values)]
    return make_objectives(*directions), found


def beats(objectives: list[Metric], left: Candidate, right: Candidate) -> bool:
    pairs = [
        (a, b) if metric.direction == "Maximize" else (-a, -b)
        for metric, a, b in zip(objectives, left.values, right.values, strict=True)
    ]
    return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)


@given(contests())
def test_nobody_beats_a_member_of_the_front_and_somebody_beats_everyone_else(contest: Any) -> None:
    objectives, found = contest
    feasible = [entry for entry in found if entry.feasible]
    front = pareto_front(objectives, found)
    for entry in feasible:
        beaten = any(beats(objectives, other, entry) for other in feasible)
        assert (entry in front) is not beaten


@given(contests())
def test_ranking_keeps_every_trial_and_begins_with_a_best_one(contest: Any) -> None:
    objectives, found = contest
    order = ranked(objectives, found)
    assert sorted(numbers(order)) == numbers(found)
    if found:
        assert order[0] == best(objectives, found)


def test_infinity_reaches_no_goal() -> None:
    objectives = make_objectives("Maximize", goals=[0.9])
    assert reaches_goals(objectives, [0.95], feasible=True)
    assert not reaches_goals(objectives, [math.inf], feasible=True)
