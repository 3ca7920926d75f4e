"""What a pruner that compares folds is shown of trials that report means so far."""

import math
from typing import Any

import optuna
import pytest

from builders import make_spec
from tuning_study.api.strategy import Pruner
from tuning_study.attributes import FIRST_FOLD_ATTRIBUTE
from tuning_study.search.fold_pruner import by_fold
from tuning_study.search.strategy import build_pruner

SKLEARN: dict[str, Any] = {"sklearn": {"steps": [{"class": "sklearn.svm.SVC"}], "dataset": {"load": "iris"}}}


def reported(means: dict[int, float], **attributes: Any) -> optuna.trial.FrozenTrial:
    return optuna.trial.create_trial(value=0.0, intermediate_values=means, user_attrs=attributes)


@pytest.mark.parametrize(
    ("means", "first", "folds"),
    [
        ({}, 0, {}),
        ({0: 1.0, 1: 2.0, 2: 3.0}, 0, {0: 1.0, 1: 3.0, 2: 5.0}),
        ({2: 3.0, 0: 1.0, 1: 2.0}, 0, {0: 1.0, 1: 3.0, 2: 5.0}),
        ({0: 9.0, 30: 8.0, 31: 1.0, 32: 2.0}, 31, {0: 1.0, 1: 3.0}),
        ({0: 0.1, 1: 0.1, 2: 0.4 / 3}, 0, {0: 0.1, 1: 0.1, 2: 0.2}),
        ({0: 0.7, 1: 0.35}, 0, {0: 0.7, 1: 0.0}),
        ({0: 1.0, 2: 2.0}, 0, {0: 1.0}),
        ({0: 1.0, 1: math.inf}, 0, {0: 1.0, 1: math.inf}),
    ],
)
def test_each_fold_by_itself(means: dict[int, float], first: int, folds: dict[int, float]) -> None:
    trial = reported(means, **({FIRST_FOLD_ATTRIBUTE: first} if first else {}))
    assert by_fold(trial).intermediate_values == folds
    assert trial.intermediate_values == means


def pruned_at(study: optuna.Study, means: list[float]) -> int | None:
    """The fold after which a trial that reports them is pruned."""
    trial = study.ask()
    for fold, mean in enumerate(means):
        trial.report(mean, fold)
        if trial.should_prune():
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            return fold
    study.tell(trial, means[-1])
    return None


@pytest.mark.parametrize(("objective", "at"), [(SKLEARN, None), ({"python": {"function": "a:b"}}, 3)])
def test_only_of_sklearn_are_reports_taken_for_means(objective: Any, at: int | None) -> None:
    """Of two trials the second has the larger reports; taken for means, one of its folds was much smaller."""
    study = optuna.create_study(pruner=build_pruner(Pruner(type="Wilcoxon"), make_spec(objective=objective)))
    assert pruned_at(study, [1.0, 5.0, 11 / 3, 5.0]) is None  # folds of 1, 9, 1, 9
    assert pruned_at(study, [9.0, 7.0, 16 / 3, 6.5]) == at  # folds of 9, 5, 2, 10


def test_a_pruned_trial_counts_by_its_mean() -> None:
    study = optuna.create_study(pruner=build_pruner(Pruner(type="Wilcoxon"), make_spec(objective=SKLEARN)))
    pruned_at(study, [1.0, 5.0, 11 / 3, 5.0])
    pruned_at(study, [2.0, 6.0, 14 / 3, 6.0])
    assert study.trials[1].value == 6.0


def test_without_a_best_trial_nothing_is_pruned() -> None:
    study = optuna.create_study(pruner=build_pruner(Pruner(type="Wilcoxon"), make_spec(objective=SKLEARN)))
    assert pruned_at(study, [9.0] * 9) is None
