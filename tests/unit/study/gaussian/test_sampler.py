"""The sampler GP on whole studies: it finds what there is to find, and heeds what it is told."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from builders import Object, choice, make_parameters, real, when, whole
from tuning_study.search.samplers.gaussian.sampler import GaussianProcessSampler
from tuning_study.search.space import suggest

MIXED = (
    real("x"),
    real("rate", 1e-5, 1.0, scale="Log"),
    choice("kernel", ["a", "b", "c"]),
    whole("n", 1, 20, **when("kernel", "b")),
)
Cost = Callable[[dict[str, Any]], Any]


def mixed(point: dict[str, Any]) -> float:
    """0 at x = 0.7, rate = 1e-3, kernel b and n = 5."""
    kernel = 0.3 if point["kernel"] != "b" else 0.05 * abs(point["n"] - 5) / 5
    return float((point["x"] - 0.7) ** 2 + 0.1 * (np.log10(point["rate"]) + 3) ** 2 + kernel)


def run(
    cost: Cost,
    parameters: tuple[Object, ...],
    trials: int,
    seed: int = 0,
    directions: Sequence[Literal["minimize"]] = ("minimize",),
) -> optuna.Study:
    space = make_parameters(*parameters)
    study = optuna.create_study(directions=directions, sampler=GaussianProcessSampler(space, seed=seed))
    study.optimize(lambda trial: cost(dict(suggest(trial, space))), n_trials=trials, catch=(ArithmeticError,))
    return study


@pytest.mark.parametrize("seed", range(3))
def test_a_mixed_and_conditional_space_is_searched_to_the_end(seed: int) -> None:
    assert run(mixed, MIXED, 45, seed).best_value < 0.005


def test_the_first_trial_is_the_middle_of_everything_with_the_first_categories() -> None:
    (first, *_) = run(mixed, MIXED, 1).trials
    assert first.params == {"x": 0.5, "rate": pytest.approx(10**-2.5), "kernel": "a"}


def test_each_branch_of_the_space_is_tried_at_the_start() -> None:
    assert {trial.params["kernel"] for trial in run(mixed, MIXED, 3).trials} == {"a", "b", "c"}


def test_an_objective_that_suggests_its_own_parameters_is_learned_too() -> None:
    def objective(trial: optuna.Trial) -> float:
        point: dict[str, Any] = {
            "x": trial.suggest_float("x", 0, 1),
            "rate": trial.suggest_float("rate", 1e-5, 1, log=True),
        }
        point["kernel"] = trial.suggest_categorical("kernel", ["a", "b", "c"])
        if point["kernel"] == "b":
            point["n"] = trial.suggest_int("n", 1, 20)
        return mixed(point)

    study = optuna.create_study(sampler=GaussianProcessSampler(seed=1))
    study.optimize(objective, n_trials=50)
    assert study.best_value < 0.01


def test_no_point_is_tried_twice_while_others_are_left() -> None:
    study = run(lambda point: point["n"], (whole("n", 1, 12), choice("c", ["a", "b"])), 20)
    assert len({tuple(trial.params.items()) for trial in study.trials}) == 20


def test_a_space_that_is_used_up_is_tried_again() -> None:
    assert len(run(lambda point: point["n"], (whole("n", 1, 3),), 12).trials) == 12


def test_what_runs_is_not_tried_beside_itself() -> None:
    space = make_parameters(real("x"), real("y"))
    study = optuna.create_study(sampler=GaussianProcessSampler(space, seed=3))
    study.optimize(lambda trial: sum(float(str(v)) ** 2 for v in suggest(trial, space).values()), n_trials=6)
    running = [study.ask() for _ in range(4)]
    points = np.array([[float(str(v)) for v in suggest(trial, space).values()] for trial in running])
    apart = np.linalg.norm(points[:, None] - points, axis=2) + np.eye(4)
    assert apart.min() > 0.01


@pytest.mark.parametrize("finished", [0, 3, 12])
def test_trials_that_begin_at_one_moment_are_different(finished: int) -> None:
    """None of them has suggested anything yet that the others could see."""
    space, points = make_parameters(*MIXED), []
    before = run(mixed, MIXED, finished).trials
    for number in range(4):
        study = optuna.create_study(sampler=GaussianProcessSampler(space, seed=100 + number))
        study.add_trials(before)
        for _ in range(number):
            study.ask()
        points.append(suggest(study.ask(), space))
    apart = sorted(np.log10(float(str(point["rate"]))) + 10 * float(str(point["x"])) for point in points)
    assert min(np.diff(apart)) > 0.02


def test_where_trials_fail_few_more_are_tried() -> None:
    def cost(point: dict[str, Any]) -> float:
        if point["x"] > 0.5:
            raise ArithmeticError("diverged")
        return float(1 - point["x"])

    states = [trial.state for trial in run(cost, (real("x"), real("y")), 40).trials]
    assert sum(state is TrialState.FAIL for state in states[20:]) <= 10
    assert sum(state is TrialState.COMPLETE for state in states) >= 25


def test_constraints_are_kept_and_the_best_on_their_edge_is_found() -> None:
    space = make_parameters(real("x"), real("y"))
    study = optuna.create_study(sampler=GaussianProcessSampler(space, seed=0))
    for _ in range(35):
        trial = study.ask()
        point = suggest(trial, space)
        trial.set_constraint("sum", float(point["x"] + point["y"] - 0.8))
        study.tell(trial, float(-point["x"] - 2 * point["y"]))
    kept = [trial for trial in study.trials[10:] if trial.constraints["sum"] <= 0]
    assert len(kept) >= 12
    assert min(trial.values[0] for trial in kept) < -1.55


def test_several_objectives_are_spread_along_the_front() -> None:
    study = run(
        lambda point: (point["x"] ** 2 + point["y"], (point["x"] - 1) ** 2 + point["y"]),
        (real("x"), real("y")),
        40,
        directions=("minimize", "minimize"),
    )
    on_front = [trial.params["x"] for trial in study.best_trials if trial.params["y"] < 0.05]
    assert len(on_front) >= 8
    assert min(on_front) < 0.2 and max(on_front) > 0.8


def test_a_new_worker_suggests_what_an_old_one_would() -> None:
    space = make_parameters(*MIXED)
    drawn = []
    for fresh in (False, True):
        study = run(mixed, MIXED, 25)
        if fresh:
            study.sampler = GaussianProcessSampler(space)
        assert isinstance(study.sampler, GaussianProcessSampler)
        study.sampler.reseed(11)
        drawn.append(suggest(study.ask(), space))
    assert drawn[0] == drawn[1]
