"""CatBoost."""

from collections.abc import Mapping
from typing import Any

import catboost
import numpy
import optuna
from sklearn.base import BaseEstimator
from sklearn.preprocessing import OrdinalEncoder

from tuning_worker.objectives.boosters import EarlyStop, RoundWatch
from tuning_worker.objectives.tables import Rows

_DEFAULT_ROUNDS = 1000
_ROUNDS = ("iterations", "n_estimators", "num_boost_round", "num_trees")
_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "thread_count": ("thread_count", "n_jobs"),
    "logging_level": ("logging_level", "verbose", "silent", "verbose_eval"),
    "random_seed": ("random_seed", "random_state"),
    "allow_writing_files": ("allow_writing_files",),
}
_UNKNOWN, _MISSING = -1, -2

# CatBoost shows no predictions while it fits. It computes these of scikit-learn's scorers itself; the sign makes
# greater better.
_SCORERS: Mapping[str, tuple[str, int]] = {
    "accuracy": ("Accuracy", 1),
    "balanced_accuracy": ("BalancedAccuracy", 1),
    "f1": ("F1", 1),
    "f1_macro": ("TotalF1:average=Macro", 1),
    "f1_weighted": ("TotalF1:average=Weighted", 1),
    "matthews_corrcoef": ("MCC", 1),
    "neg_mean_absolute_error": ("MAE", -1),
    "neg_root_mean_squared_error": ("RMSE", -1),
    "r2": ("R2", 1),
    "roc_auc": ("AUC", 1),
}


class CatBoost:
    rounds = "iterations"
    wants_frame = True  # a row of an array has one type, and categories are whole numbers

    def max_rounds(self, model: BaseEstimator) -> int:
        given = model.get_params()
        return int(next((given[name] for name in _ROUNDS if name in given), _DEFAULT_ROUNDS))

    def set_rounds(self, model: BaseEstimator, rounds: int) -> None:
        name = next((name for name in _ROUNDS if name in model.get_params()), self.rounds)
        model.set_params(**{name: rounds})

    def defaults(self, model: BaseEstimator, threads: int, seed: int) -> Mapping[str, Any]:
        given = model.get_params()
        wanted = {
            "thread_count": threads,
            "logging_level": "Silent",
            "random_seed": seed,
            "allow_writing_files": False,  # into a folder that it makes where the worker runs
        }
        return {name: value for name, value in wanted.items() if not given.keys() & set(_SYNONYMS[name])}

    def for_target(self, model: BaseEstimator, target: Any) -> BaseEstimator:
        return model

    def refuses_name(self, column: str) -> bool:
        return False

    def category_encoder(self) -> OrdinalEncoder:
        return OrdinalEncoder(
            dtype=numpy.int64,
            handle_unknown="use_encoded_value",
            unknown_value=_UNKNOWN,
            encoded_missing_value=_MISSING,
        )

    def declare_categories(self, model: BaseEstimator, categories: int, columns: int) -> Mapping[str, Any]:
        return {"cat_features": list(range(categories))}  # as a parameter of the model it could not be cloned

    def fit(self, model: BaseEstimator, rows: Rows, plan: EarlyStop, more: Mapping[str, Any]) -> int:
        evaluation, rounds = plan.evaluation, _Rounds(plan.watch)
        if rounds.computed is not None and "custom_metric" not in model.get_params():
            model.set_params(custom_metric=[rounds.computed])
        model.fit(
            catboost.Pool(rows.features, rows.target, weight=rows.weights, **more),
            eval_set=catboost.Pool(evaluation.features, evaluation.target, weight=evaluation.weights, **more),
            early_stopping_rounds=plan.patience,
            callbacks=[rounds],
        )
        if rounds.pruned is not None:
            raise rounds.pruned
        return int(model.best_iteration_) + 1


class _Rounds:
    def __init__(self, watch: RoundWatch) -> None:
        self._watch = watch
        found = _SCORERS.get(watch.metric or "")
        self.computed = found[0] if found is not None else None
        self._sign = found[1] if found is not None else 1
        self.pruned: optuna.TrialPruned | None = None

    def after_iteration(self, info: Any) -> bool:
        """False ends the fit: an error would not come through CatBoost as it is."""
        if self.computed is None or not self._watch.is_due(info.iteration):
            return True
        told = info.metrics["validation"]
        name = next((name for name in told if name.partition(":")[0] == self.computed.partition(":")[0]), None)
        if name is None:
            return True
        try:
            self._watch.value(info.iteration, self._sign * told[name][-1])
        except optuna.TrialPruned as pruned:
            self.pruned = pruned
        return self.pruned is None


BOOSTER = CatBoost()
