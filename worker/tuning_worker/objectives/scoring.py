"""The metrics of a fitted pipeline: scikit-learn's scorers, and measurements of our own."""

import inspect
import math
import pickle
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import deepcopy
from statistics import median
from typing import Any

import structlog
from sklearn.base import BaseEstimator, is_classifier
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.pipeline import Pipeline

from tuning_study.api.metrics import Metric
from tuning_study.api.spec import TuningStudySpec
from tuning_worker.exceptions import ObjectiveRejected, TrialFailed
from tuning_worker.hints import did_you_mean
from tuning_worker.objectives.tables import Rows, take_rows

log = structlog.get_logger()

_LATENCY_SAMPLES = 20
_USUAL_OF_CLASSES = ("accuracy", "balanced_accuracy", "f1_macro")
_USUAL_OF_NUMBERS = ("r2", "neg_root_mean_squared_error", "neg_mean_absolute_error")
_QUOTED = 300  # characters of another library's error


class NotScored(TrialFailed):
    """A needed metric could not be computed, by the fault of the scorer or of a model that cannot even predict."""

    def __init__(self, metric: str, problem: str, model_works: bool) -> None:
        super().__init__(problem)
        self.metric, self.model_works = metric, model_works


class Scoring:
    """A study's metrics. Raises ObjectiveRejected for one that is no scorer."""

    def __init__(self, spec: TuningStudySpec) -> None:
        self._metrics = [metric.name for metric in spec.metrics]
        self._scorers = {
            metric.name: _scorer(metric) for metric in spec.metrics if metric.scorer or metric.name not in _MEASURES
        }
        self._plain = {
            metric.name: metric.scorer_name for metric in spec.metrics if not (metric.scorer or {}).keys() - {"name"}
        }
        self.needed = {metric.name for metric in spec.objectives} | {rule.metric for rule in spec.constraints}
        self.left_out: dict[str, str] = {}
        """Recorded metrics that could not be computed, and why."""

    def tell_weights(self) -> None:
        """Of a study whose rows have weights."""
        without = [name for name, scorer in self._scorers.items() if not _takes_weights(scorer)]
        if without:
            log.warning("these metrics take no weights: all rows count alike in them", metrics=without)

    def metrics(self, pipeline: Pipeline, seconds: float, rows: Rows) -> dict[str, float]:
        """Of the fitted pipeline on these rows; `seconds` is how long its fit took. Raises NotScored."""
        scores = {name: score for name in self._scorers if (score := self._metric(name, pipeline, rows)) is not None}
        measured = {
            name: measure(pipeline, seconds, rows.features)
            for name, measure in _MEASURES.items()
            if name in self._metrics and name not in self._scorers
        }
        return scores | measured

    def score(self, name: str, estimator: Any, rows: Rows) -> float:
        """Of one metric that is a scorer. Raises whatever the scorer does."""
        scorer = self._scorers[name]
        weights = {"sample_weight": rows.weights} if rows.weights is not None and _takes_weights(scorer) else {}
        return float(scorer(estimator, rows.features, rows.target, **weights))

    def is_scorer(self, name: str) -> bool:
        return name in self._scorers

    def plain_scorer(self, name: str) -> str | None:
        """The metric's scorer by scikit-learn's name, where it has no arguments."""
        return self._plain.get(name)

    def _metric(self, name: str, pipeline: Pipeline, rows: Rows) -> float | None:
        """Nothing for a recorded metric that cannot be computed. Raises NotScored for a needed one."""
        try:
            return self.score(name, pipeline, rows)
        except Exception as error:
            problem = f"{name} cannot be computed: {first_line(error)}"
            if name in self.needed:
                raise NotScored(name, problem, _predicts(pipeline, rows.features)) from error
            if name not in self.left_out:
                log.warning("a recorded metric is left out", reason=problem)
            self.left_out[name] = problem
            return None


def others_that_work(name: str, pipeline: Pipeline, rows: Rows) -> list[str]:
    """Scorers to have instead of `name` with this fitted pipeline and these rows."""
    usual = _USUAL_OF_CLASSES if is_classifier(pipeline) else _USUAL_OF_NUMBERS
    related = [other for other in get_scorer_names() if other.startswith(f"{name}_")]
    working = []
    for other in [*related, *usual]:
        with suppress(Exception):
            score = get_scorer(other)(pipeline, rows.features, rows.target)
            working += [] if math.isnan(score) else [other]
    return working[:3]


def first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")[:_QUOTED]


def _predicts(pipeline: Pipeline, features: Any) -> bool:
    try:
        pipeline.predict(features)
    except Exception:
        return False
    return True


def _takes_weights(scorer: Any) -> bool:
    return "sample_weight" in inspect.signature(scorer._score_func).parameters


def _latency(estimator: BaseEstimator, _: float, features: Any) -> float:
    """Median wall time of one prediction, in milliseconds."""
    times = []
    for index in range(min(_LATENCY_SAMPLES, len(features))):
        row = take_rows(features, [index])
        began = time.perf_counter()
        estimator.predict(row)
        times.append(time.perf_counter() - began)
    return median(times) * 1000


_MEASURES: Mapping[str, Callable[[Any, float, Any], float]] = {
    "fitSeconds": lambda _, seconds, __: seconds,
    "latencyMs": _latency,
    "modelBytes": lambda estimator, _, __: float(len(pickle.dumps(estimator))),
}


def _scorer(metric: Metric) -> Any:
    name = metric.scorer_name
    try:
        known = get_scorer(name)
    except ValueError as error:
        raise ObjectiveRejected(
            f"metrics: {name!r} is no scikit-learn scorer, nor one of {', '.join(_MEASURES)}"
            f"{did_you_mean(name, [*get_scorer_names(), *_MEASURES])}"
        ) from error
    given = {argument: value for argument, value in (metric.scorer or {}).items() if argument != "name"}
    if given:
        known = deepcopy(known)
        known._kwargs = {**known._kwargs, **given}  # scikit-learn has no public way to give a known scorer arguments
    return known
