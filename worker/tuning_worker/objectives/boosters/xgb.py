"""XGBoost."""

import re
from collections.abc import Mapping
from typing import Any

import numpy
import xgboost
from sklearn.base import BaseEstimator, is_classifier
from sklearn.preprocessing import LabelEncoder, OrdinalEncoder

from tuning_worker.objectives.boosters import EarlyStop, float_categories
from tuning_worker.objectives.boosters.predicted import PredictedClasses, PredictedNumbers
from tuning_worker.objectives.tables import Rows

_DEFAULT_ROUNDS = 100
_OF_FEATURES = ("enable_categorical", "feature_types", "missing")  # how the model reads a table


class XGBoost:
    wants_frame = False

    def max_rounds(self, model: BaseEstimator) -> int:
        return int(model.get_params()["n_estimators"] or _DEFAULT_ROUNDS)

    def set_rounds(self, model: BaseEstimator, rounds: int) -> None:
        model.set_params(n_estimators=rounds, early_stopping_rounds=None)

    def defaults(self, model: BaseEstimator, threads: int, seed: int) -> Mapping[str, Any]:
        given = model.get_params()
        return {} if given.keys() & {"nthread"} or given["n_jobs"] is not None else {"n_jobs": threads}

    def for_target(self, model: BaseEstimator, target: Any) -> BaseEstimator:
        plain = type(model) is not xgboost.XGBClassifier or numpy.array_equal(numpy.unique(target), [0, 1])
        return model if plain else AnyLabels(**model.get_params())

    def refuses_name(self, column: str) -> bool:
        return re.search(r"[\[\]<]", column) is not None

    def category_encoder(self) -> OrdinalEncoder:
        return float_categories()

    def declare_categories(self, model: BaseEstimator, categories: int, columns: int) -> Mapping[str, Any]:
        types = ["c"] * categories + ["q"] * (columns - categories)
        model.set_params(enable_categorical=True, feature_types=types)
        return {}

    def fit(self, model: BaseEstimator, rows: Rows, plan: EarlyStop, more: Mapping[str, Any]) -> int:
        evaluation, rounds = plan.evaluation, _Rounds(model, plan, rows.target)
        weights = (
            {"sample_weight": rows.weights, "sample_weight_eval_set": [evaluation.weights]}
            if rows.weights is not None
            else {}
        )
        model.set_params(early_stopping_rounds=plan.patience, callbacks=[rounds])
        try:
            model.fit(
                rows.features,
                rows.target,
                eval_set=[(evaluation.features, evaluation.target)],
                verbose=False,
                **weights,
                **more,
            )
        finally:
            model.set_params(callbacks=None)  # a fitted model keeps no rows
        return int(model.best_iteration) + 1


class AnyLabels(xgboost.XGBClassifier):
    """A XGBClassifier of classes with any names; XGBoost's own wants 0, 1, 2 …, and each of them in every fold."""

    def fit(self, X: Any, y: Any, *, eval_set: Any = None, **more: Any) -> "AnyLabels":
        labels = LabelEncoder().fit(y)
        self._labels: Any = None
        told = [(features, labels.transform(target)) for features, target in eval_set] if eval_set else None
        super().fit(X, labels.transform(y), eval_set=told, **more)
        self._labels = labels
        return self

    @property
    def classes_(self) -> Any:
        """XGBoost's own during a fit, which checks them."""
        return super().classes_ if self._labels is None else self._labels.classes_

    def predict(self, X: Any, **more: Any) -> Any:
        return self._labels.inverse_transform(super().predict(X, **more))


class _Rounds(xgboost.callback.TrainingCallback):
    def __init__(self, model: Any, plan: EarlyStop, target: Any) -> None:
        super().__init__()
        self._plan = plan
        self._classes = numpy.unique(target) if is_classifier(model) else None
        given = {
            name: value for name, value in model.get_params().items() if name in _OF_FEATURES and value is not None
        }
        # One DMatrix for all rounds: XGBoost keeps what earlier trees predict for it.
        self._features = xgboost.DMatrix(plan.evaluation.features, **given)

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        if self._plan.watch.is_due(epoch + 1):
            numbers = model.predict(self._features)
            told = PredictedNumbers(numbers) if self._classes is None else PredictedClasses(numbers, self._classes)
            self._plan.watch.score(epoch + 1, told, self._plan.evaluation)
        return False


BOOSTER = XGBoost()
