"""The trial that an objective is given: categories of any kind, and the manifest's ranges."""

import json
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import distribution_to_json, json_to_distribution

from builders import choice, make_parameters, real, whole
from tuning_worker.exceptions import TrialFailed
from tuning_worker.objective_trial import ObjectiveTrial

SPACE = make_parameters(
    real("lr", 1e-4, 1, scale="Log"), whole("depth", 1, 9, step=2), choice("layers", [[10], [20, 10]])
)


def trial(point: dict[str, Any] | None = None, parameters: Any = SPACE) -> ObjectiveTrial:
    study = optuna.create_study()
    study.enqueue_trial(point or {})
    return ObjectiveTrial(study, study.ask()._trial_id, parameters)


@pytest.mark.parametrize("choices", [[(10,), (20, 10)], [[10], [20, 10]]])
def test_the_objectives_own_choice_is_given_back(choices: list[Any]) -> None:
    given = trial({"layers": "[20, 10]"})
    assert given.suggest_categorical("layers", choices) is choices[1]
    assert given.params == {"layers": [20, 10]}


def test_choices_that_the_manifest_does_not_have_may_be_lists_too() -> None:
    given = trial({"own": "[1, 2]"})
    assert given.suggest_categorical("own", [(1, 2), "x", None]) == (1, 2)
    assert given.params == {"own": [1, 2]}
    assert given.study.trials[0].params == {"own": "[1, 2]"}


@pytest.mark.parametrize("choices", [[True, False], ["a", None], [0, 1.5]])
def test_other_choices_are_as_they_are(choices: list[Any]) -> None:
    chosen = trial(parameters=[]).suggest_categorical("own", choices)
    assert any(chosen is choice for choice in choices)


def test_numbers_of_numpy_are_numbers() -> None:
    given: Any = trial(parameters=[])
    chosen = given.suggest_categorical("units", np.arange(8, 11))
    given.suggest_categorical("layers", [np.array([10]), np.array([20, 10])])
    given.suggest_int("depth", np.int64(1), np.int64(9), step=np.int64(2))
    given.suggest_float("lr", np.float32(0.5), np.float32(1))
    given.set_user_attr("scores", {"folds": np.array([0.5, 1.0]), "rows": np.int64(7)})
    assert isinstance(chosen, np.int64)
    assert json.loads(json.dumps(given.user_attrs)) == {"scores": {"folds": [0.5, 1.0], "rows": 7}}
    assert json.loads(json.dumps(given.params)) == given.params
    for distribution in given.distributions.values():
        assert json_to_distribution(distribution_to_json(distribution)) == distribution


def test_what_the_manifest_has_may_be_suggested_again() -> None:
    given = trial({"lr": 0.5, "depth": 3})
    assert given.suggest_float("lr", 1e-4, 1, log=True) == 0.5
    assert given.suggest_int("depth", 1, 9, step=2) == 3


@pytest.mark.parametrize(
    ("suggest", "message"),
    [
        (
            lambda t: t.suggest_float("lr", 1e-4, 2, log=True),
            "the objective suggests lr as Float from 0.0001 to 2.0 on a Log scale, and the manifest has it as Float "
            "from 0.0001 to 1.0 on a Log scale: make them the same, or leave the parameter out of one of them",
        ),
        (lambda t: t.suggest_float("lr", 1e-4, 1), "as Float from 0.0001 to 1.0, and the manifest has it as Float"),
        (lambda t: t.suggest_int("depth", 1, 9), "as Int from 1 to 9, and the manifest has it as Int from 1 to 9 by 2"),
        (lambda t: t.suggest_float("depth", 1, 9), "as Float from 1.0 to 9.0, and the manifest has it as Int from 1"),
        (
            lambda t: t.suggest_categorical("layers", [[10], [30]]),
            "as one of '[10]', '[30]', and the manifest has it as one of '[10]', '[20, 10]'",
        ),
    ],
)
def test_another_range_than_the_manifests_fails_the_trial_with_both(suggest: Any, message: str) -> None:
    with pytest.raises(TrialFailed) as failed:
        suggest(trial())
    assert message in str(failed.value)
