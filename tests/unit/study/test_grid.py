"""A grid that many workers walk together."""

from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from builders import choice, make_spec, real, when, whole
from tuning_study.api.strategy import Sampler
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import read_spec
from tuning_study.search.samplers.grid import SharedGridSampler
from tuning_study.search.space import clip, grid, suggest
from tuning_study.search.strategy import build_sampler

SPEC = make_spec(parameters=[choice("kernel", ["rbf", "poly"]), whole("n", 1, 3, **when("kernel", "poly"))])
POINTS = list(grid(SPEC.parameters))


def ask(study: optuna.Study) -> tuple[optuna.Trial, dict[str, Any]]:
    """As a worker that knows nothing but the history."""
    study.sampler = build_sampler(Sampler(type="Grid"), SPEC, 0, 0)
    trial = study.ask()
    return trial, suggest(trial, SPEC.parameters)


def test_the_trials_of_one_walk_take_every_point_once() -> None:
    study = optuna.create_study()
    taken = []
    for _ in POINTS:
        trial, point = ask(study)
        study.tell(trial, 0.0)
        taken.append(point)
    assert sorted(map(str, taken)) == sorted(map(str, POINTS))


def test_trials_that_run_side_by_side_take_different_points() -> None:
    study = optuna.create_study()
    taken = [ask(study)[1] for _ in POINTS]
    assert sorted(map(str, taken)) == sorted(map(str, POINTS))


def test_the_point_of_a_failed_trial_is_taken_again() -> None:
    study = optuna.create_study()
    trial, lost = ask(study)
    study.tell(trial, state=TrialState.FAIL)
    assert lost in [ask(study)[1] for _ in POINTS]


def test_the_point_of_a_failed_trial_is_taken_again_when_no_other_is_left() -> None:
    study = optuna.create_study()
    grid_sampler = SharedGridSampler(SPEC.parameters)
    trial, failing = ask(study)
    study.tell(trial, state=TrialState.FAIL)
    others = []
    for _ in POINTS[1:]:
        assert not grid_sampler.only_failures_are_left(study)
        trial, point = ask(study)
        study.tell(trial, 0.0)
        others.append(point)
    assert failing not in others
    assert grid_sampler.only_failures_are_left(study)
    assert ask(study)[1] == failing


def test_a_walk_without_a_failure_leaves_none() -> None:
    study = optuna.create_study()
    for _ in POINTS:
        study.tell(ask(study)[0], 0.0)
    assert not SharedGridSampler(SPEC.parameters).only_failures_are_left(study)


def test_a_trial_that_runs_again_keeps_its_point() -> None:
    study = optuna.create_study()
    trial, first = ask(study)
    again = optuna.Trial(study, trial._trial_id)
    assert suggest(again, SPEC.parameters) == first


def test_a_walk_that_has_taken_all_begins_again() -> None:
    study = optuna.create_study()
    assert [ask(study)[1] for _ in range(len(POINTS) + 1)][-1] in POINTS


@pytest.mark.parametrize("known", [{"kernel": "poly", "n": 2}, {"kernel": "poly"}, {"n": 3}, {"kernel": "rbf"}])
def test_a_known_good_point_is_tried_first_and_completed_from_the_grid(known: dict[str, Any]) -> None:
    study = optuna.create_study()
    point, _ = clip(SPEC.parameters, known)
    study.enqueue_trial(point)
    taken = [ask(study)[1] for _ in POINTS]
    assert taken[0].items() >= point.items()
    assert sorted(map(str, taken)) == sorted(map(str, POINTS)), "the enqueued point was taken twice"


def test_a_grid_too_large_to_walk_is_refused_at_once() -> None:
    many = {"parameters": [whole("n", 1, 10**9), real("x", 0, 1, step=1e-6)], "strategy": {"sampler": {"type": "Grid"}}}
    with pytest.raises(InvalidStudy, match="strategy: a grid of more than 100000 points"):
        read_spec(make_spec(**many).manifest())
