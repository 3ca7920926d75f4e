"""LightGBM."""

import re
import warnings
from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy
from sklearn.base import BaseEstimator, is_classifier
from sklearn.preprocessing import OrdinalEncoder

from tuning_worker.objectives.boosters import EarlyStop, float_categories
from tuning_worker.objectives.boosters.predicted import PredictedClasses, PredictedNumbers
from tuning_worker.objectives.tables import Rows

_ROUNDS = ("num_iterations", "num_iteration", "num_boost_round", "num_rounds", "num_round", "num_trees", "n_iter")
_THREADS = {"num_threads", "num_thread", "nthread", "nthreads"}
_OUTPUT = {"verbose", "verbosity"}


class LightGBM:
    wants_frame = False

    def max_rounds(self, model: BaseEstimator) -> int:
        given = model.get_params()
        return int(next((given[name] for name in _ROUNDS if name in given), given["n_estimators"]))

    def set_rounds(self, model: BaseEstimator, rounds: int) -> None:
        name = next((name for name in _ROUNDS if name in model.get_params()), "n_estimators")
        model.set_params(**{name: rounds})

    def defaults(self, model: BaseEstimator, threads: int, seed: int) -> Mapping[str, Any]:
        given = model.get_params()
        threaded = given["n_jobs"] is not None or given.keys() & _THREADS
        return ({} if threaded else {"n_jobs": threads}) | ({} if given.keys() & _OUTPUT else {"verbose": -1})

    def for_target(self, model: BaseEstimator, target: Any) -> BaseEstimator:
        return model

    def refuses_name(self, column: str) -> bool:
        return re.search(r'[\[\]{}":,]', column) is not None

    def category_encoder(self) -> OrdinalEncoder:
        return float_categories()

    def declare_categories(self, model: BaseEstimator, categories: int, columns: int) -> Mapping[str, Any]:
        return {"categorical_feature": list(range(categories))}

    def fit(self, model: BaseEstimator, rows: Rows, plan: EarlyStop, more: Mapping[str, Any]) -> int:
        evaluation = plan.evaluation
        weights = (
            {"sample_weight": rows.weights, "eval_sample_weight": [evaluation.weights]}
            if rows.weights is not None
            else {}
        )
        with warnings.catch_warnings():  # 4.7 would rather have eval_X and eval_y, but takes no names of classes there
            warnings.filterwarnings("ignore", "The argument 'eval_set' is deprecated")
            model.fit(
                rows.features,
                rows.target,
                eval_set=[(evaluation.features, evaluation.target)],
                eval_metric=_Rounds(model, plan, rows.target),
                callbacks=[lightgbm.early_stopping(plan.patience, verbose=False)],
                **weights,
                **more,
            )
        return int(model.best_iteration_)


class _Rounds:
    """Called after each round with what is predicted for the eval rows; it is no metric, and so returns none."""

    def __init__(self, model: Any, plan: EarlyStop, target: Any) -> None:
        self._plan = plan
        self._classes = numpy.unique(target) if is_classifier(model) else None
        self._rounds = 0

    def __call__(self, target: Any, predicted: Any) -> list[Any]:
        self._rounds += 1
        if self._plan.watch.is_due(self._rounds):
            told = PredictedNumbers(predicted) if self._classes is None else PredictedClasses(predicted, self._classes)
            self._plan.watch.score(self._rounds, told, self._plan.evaluation)
        return []


BOOSTER = LightGBM()
