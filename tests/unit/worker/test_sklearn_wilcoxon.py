"""The Wilcoxon pruner over folds: a trial is paired, fold by fold, with the best one."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from scipy.stats import wilcoxon
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import cross_val_score

from builders import make_round, whole
from tuning_study.api.strategy import Pruner
from tuning_study.search.fold_pruner import by_fold
from tuning_study.search.strategy import build_pruner
from tuning_worker.objective_trial import ObjectiveTrial
from tuning_worker.objectives.sklearn import SklearnModel
from tuning_worker.run import TrialRun

SPEC: dict[str, Any] = {
    "objective": {
        "sklearn": {
            "steps": [{"class": "sklearn.tree.DecisionTreeClassifier", "args": {"random_state": 0}}],
            "dataset": {"load": "breast_cancer"},
            "crossValidation": {"folds": 5, "repeats": 2},
        }
    },
    "parameters": [whole("max_depth", 1, 5), whole("min_samples_leaf", 1, 300)],
}
GOOD, BAD = {"max_depth": 4, "min_samples_leaf": 5}, {"max_depth": 1, "min_samples_leaf": 200}


def test_a_trial_is_pruned_at_the_fold_at_which_the_test_is_sure(tmp_path: Path) -> None:
    resolved = make_round(**SPEC)
    assert resolved.spec.objective.sklearn is not None
    model = SklearnModel.load(resolved.spec.objective.sklearn, resolved.spec, seed=1)
    study = optuna.create_study(direction="maximize", pruner=build_pruner(Pruner(type="Wilcoxon"), resolved.spec))

    def run(point: dict[str, int]) -> TrialRun:
        study.enqueue_trial(point)
        trial = ObjectiveTrial(study, study.ask()._trial_id, resolved.spec.parameters)
        return TrialRun(trial, resolved, tmp_path, tmp_path)

    good = run(GOOD)
    study.tell(good.trial, model(good)["accuracy"])
    bad = run(BAD)
    with pytest.raises(optuna.TrialPruned):
        model(bad)

    features, target = load_breast_cancer(return_X_y=True, as_frame=True)
    tree, folds = model._with(GOOD, seed=1)[-1], list(model._splits)
    scores = {
        number: cross_val_score(tree.set_params(**point), features, target, cv=folds)
        for number, point in enumerate((GOOD, BAD))
    }
    first, second = (list(by_fold(trial).intermediate_values.values()) for trial in study.trials)
    assert first == pytest.approx(scores[0][:9], abs=1e-11)
    assert second == pytest.approx(scores[1][: len(second)], abs=1e-11)
    p_values = [
        wilcoxon(scores[1][:n] - scores[0][:n], alternative="less", zero_method="zsplit").pvalue
        for n in range(2, len(second) + 1)
    ]
    assert all(p >= 0.1 for p in p_values[:-1]) and p_values[-1] < 0.1
    assert study.trials[1].intermediate_values[len(second) - 1] == pytest.approx(scores[1][: len(second)].mean())
