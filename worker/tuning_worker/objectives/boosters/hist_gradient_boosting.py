"""scikit-learn's HistGradientBoosting."""

from collections.abc import Mapping
from typing import Any

import numpy
from sklearn.base import BaseEstimator, is_classifier
from sklearn.preprocessing import OrdinalEncoder

from tuning_worker.objectives.boosters import EarlyStop, float_categories
from tuning_worker.objectives.boosters.predicted import PredictedClasses, PredictedNumbers
from tuning_worker.objectives.tables import Rows


class HistGradientBoosting:
    wants_frame = False

    def max_rounds(self, model: BaseEstimator) -> int:
        return int(model.get_params()["max_iter"])

    def set_rounds(self, model: BaseEstimator, rounds: int) -> None:
        model.set_params(max_iter=rounds, early_stopping=False)

    def defaults(self, model: BaseEstimator, threads: int, seed: int) -> Mapping[str, Any]:
        return {}  # it keeps to OpenMP's limit, and its seed is called as scikit-learn's are

    def for_target(self, model: BaseEstimator, target: Any) -> BaseEstimator:
        return model

    def refuses_name(self, column: str) -> bool:
        return False

    def category_encoder(self) -> OrdinalEncoder:
        return float_categories()

    def declare_categories(self, model: BaseEstimator, categories: int, columns: int) -> Mapping[str, Any]:
        model.set_params(categorical_features=list(range(categories)))
        return {}

    def fit(self, model: BaseEstimator, rows: Rows, plan: EarlyStop, more: Mapping[str, Any]) -> int:
        evaluation = plan.evaluation
        weights = (
            {"sample_weight": rows.weights, "sample_weight_val": evaluation.weights} if rows.weights is not None else {}
        )
        model.set_params(early_stopping=True, n_iter_no_change=plan.patience)
        model.fit(rows.features, rows.target, X_val=evaluation.features, y_val=evaluation.target, **weights, **more)
        # It calls nobody while it fits, so the watch hears of its rounds afterwards.
        due = [rounds for rounds in range(1, model.n_iter_ + 1) if plan.watch.is_due(rounds)]
        for rounds, predicted in enumerate(_stages(model, evaluation.features), start=1) if due else ():
            if rounds in due:
                plan.watch.score(rounds, predicted, evaluation)
        return max(int(numpy.argmax(model.validation_score_)), 1)  # the first score is that of no rounds


def _stages(model: Any, features: Any) -> Any:
    if is_classifier(model):
        return (PredictedClasses(stage, model.classes_) for stage in model.staged_predict_proba(features))
    return (PredictedNumbers(stage) for stage in model.staged_predict(features))


BOOSTER = HistGradientBoosting()
