"""Cross-validates a scikit-learn pipeline, and reports after each fold so that pruners have something to judge."""

import importlib
import math
import pickle
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from statistics import fmean, median
from typing import Any

import structlog
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import (
    KFold,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    StratifiedKFold,
)
from sklearn.pipeline import Pipeline

from tuning_study.space import Point
from tuning_study.spec import SklearnObjective, Step, TuningStudySpec
from tuning_worker.exceptions import ObjectiveRejected, TrialFailed
from tuning_worker.hints import did_you_mean
from tuning_worker.objectives import tables
from tuning_worker.objectives.rehearsal import Failure, Fold, few_rows, points, telling_folds, verdict
from tuning_worker.run import TrialRun

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


class SklearnModel:
    """All trials see the same folds (of the round's seed), so that their metrics can be compared."""

    def __init__(self, objective: SklearnObjective, spec: TuningStudySpec, seed: int) -> None:
        self._objective = objective
        self._metrics = [metric.name for metric in spec.metrics]
        self._needed = {metric.name for metric in spec.objectives} | {rule.metric for rule in spec.constraints}
        self._parameters = spec.parameters
        self._seed = seed
        self._left_out: set[str] = set()

    def check(self) -> None:
        names = [_step_name(step) for step in self._objective.steps]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ObjectiveRejected(f"steps: {', '.join(twice)} is there twice: give one of them a name")
        self._pipeline = Pipeline([(_step_name(step), _build(step)) for step in self._objective.steps])
        self._features, self._target = tables.load(self._objective.dataset)
        self._scorers = {name: _scorer(name) for name in self._metrics if name not in _MEASURES}
        known = self._pipeline.get_params()
        for parameter in self._parameters:
            if self._address(parameter.name) not in known:
                final = sorted(self._pipeline[-1].get_params(deep=False))
                raise ObjectiveRejected(
                    f"parameters: {self._model} has no parameter {parameter.name!r}; "
                    f"it has {', '.join(final)}. For another step write step__parameter"
                )
        self._check_data()
        self._rehearse()

    def _check_data(self) -> None:
        folds = self._objective.cross_validation.folds
        task = tables.Task(self._model, is_classifier(self._pipeline), is_regressor(self._pipeline), folds)
        problem = tables.problem(self._features, self._target, task)
        if problem is not None:
            raise ObjectiveRejected(f"dataset: {problem}")
        if rare := self._rare_classes():
            log.warning("classes have fewer rows than there are folds", folds=folds, classes=rare)

    def _rehearse(self) -> None:
        """Fit and score on a few rows, to find before any trial what would fail all of them."""
        of_classes = self._of_classes()
        one_repeat = islice(self._splits(self._pipeline), self._objective.cross_validation.folds)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                whole = telling_folds(one_repeat, self._features, self._target, classifies=of_classes)
            except ValueError as error:
                raise ObjectiveRejected(f"dataset: it cannot be split into folds: {error}") from error
            few = [few_rows(fold, self._features, self._target, classifies=of_classes) for fold in whole]
            failure = verdict(self._failure, points(self._parameters), few, whole)
            if failure is not None:
                raise ObjectiveRejected(self._no_trial_could_run(failure, few[0]))

    def _of_classes(self) -> bool:
        return bool(is_classifier(self._pipeline)) and self._target.ndim == 1

    def _rare_classes(self) -> list[str]:
        folds = self._objective.cross_validation.folds
        return tables.rare_classes(self._target, folds) if self._of_classes() else []

    def _failure(self, point: Point, folds: Sequence[Fold]) -> Failure | None:
        """Why a trial of these parameters fails on these rows."""
        try:
            estimator = self._with(point, self._seed)
            measured = [self._evaluate(clone(estimator), train, test) for train, test in folds]
        except NotScored as error:
            metric = error.metric if error.model_works else None
            return Failure(metric, type(error.__cause__).__name__, _first_line(error), fitted=True)
        except Exception as error:
            return Failure(None, type(error).__name__, f"{type(error).__name__}: {_first_line(error)}")
        unknown = [name for name in self._needed if any(math.isnan(fold.get(name, 0.0)) for fold in measured)]
        return Failure(unknown[0], "NaN", f"{unknown[0]} is NaN") if unknown else None

    def _no_trial_could_run(self, failure: Failure, fold: Fold) -> str:
        rare = self._rare_classes()
        folds = self._objective.cross_validation.folds
        found = [f"classes with fewer rows than the {folds} folds: {', '.join(rare[:5])}"] if rare else []
        if failure.metric is not None:
            possible = self._scorers_that_work(failure.metric, fold)
            found += [f"with this model and target {', '.join(possible)} can be"] if possible else []
            return "; ".join([f"metrics: {failure.reason}", *found])
        found += (
            tables.why_no_prediction(self._features, folds) if failure.fitted else tables.why_not_fitted(self._features)
        )
        where = "dataset" if found else "steps"
        return "; ".join([f"{where}: no trial could run: {failure.reason}", *found])

    def _scorers_that_work(self, name: str, fold: Fold) -> list[str]:
        train, test = fold
        usual = _USUAL_OF_CLASSES if is_classifier(self._pipeline) else _USUAL_OF_NUMBERS
        related = [other for other in get_scorer_names() if other.startswith(f"{name}_")]
        working = []
        with suppress(Exception):
            estimator = self._with({}, self._seed).fit(_rows(self._features, train), _rows(self._target, train))
            for other in [*related, *usual]:
                with suppress(Exception):
                    score = get_scorer(other)(estimator, _rows(self._features, test), _rows(self._target, test))
                    working += [] if math.isnan(score) else [other]
        return working[:3]

    def __call__(self, run: TrialRun) -> Mapping[str, float]:
        estimator = self._with(run.parameters, run.seed)
        folds: list[dict[str, float]] = []
        for step, (train, test) in enumerate(self._splits(estimator)):
            folds.append(self._evaluate(clone(estimator), train, test))
            means = _means(folds)
            if step + 1 < self._objective.cross_validation.folds * self._objective.cross_validation.repeats:
                run.report(means, step)
        return _means(folds)

    @property
    def _model(self) -> str:
        return type(self._pipeline[-1]).__name__

    def _with(self, point: Point, seed: int) -> Pipeline:
        pipeline: Pipeline = clone(self._pipeline)
        given = {self._address(name): value for name, value in point.items()}
        try:
            pipeline.set_params(**given)
        except ValueError as error:
            raise TrialFailed(str(error)) from error
        unseeded = {
            name: seed
            for name, value in pipeline.get_params().items()
            if name.endswith("random_state") and value is None
        }
        pipeline.set_params(**unseeded)
        return pipeline

    def _address(self, name: str) -> str:
        """`C` belongs to the last step; `scaler__with_mean` names its step."""
        step, separator, _ = name.partition("__")
        if separator and step in self._pipeline.named_steps:
            return name
        return f"{self._pipeline.steps[-1][0]}__{name}"

    def _splits(self, estimator: Pipeline) -> Iterator[tuple[Any, Any]]:
        folds, repeats = self._objective.cross_validation.folds, self._objective.cross_validation.repeats
        stratified = is_classifier(estimator)
        splitter: Any
        if repeats > 1:
            repeated = RepeatedStratifiedKFold if stratified else RepeatedKFold
            splitter = repeated(n_splits=folds, n_repeats=repeats, random_state=self._seed)
        else:
            single = StratifiedKFold if stratified else KFold
            splitter = single(n_splits=folds, shuffle=True, random_state=self._seed)
        yield from splitter.split(self._features, self._target)

    def _evaluate(self, estimator: Pipeline, train: Any, test: Any) -> dict[str, float]:
        features, target = self._features, self._target
        began = time.perf_counter()
        estimator.fit(_rows(features, train), _rows(target, train))
        seconds = time.perf_counter() - began
        held_out, truth = _rows(features, test), _rows(target, test)
        scores = {
            name: score
            for name in self._scorers
            if (score := self._score(name, estimator, held_out, truth)) is not None
        }
        measured = {
            name: measure(estimator, seconds, held_out) for name, measure in _MEASURES.items() if name in self._metrics
        }
        return scores | measured

    def _score(self, name: str, estimator: Pipeline, features: Any, truth: Any) -> float | None:
        """Nothing for a recorded metric that cannot be computed. Raises NotScored for a needed one."""
        try:
            return float(self._scorers[name](estimator, features, truth))
        except Exception as error:
            problem = f"{name} cannot be computed: {_first_line(error)}"
            if name in self._needed:
                raise NotScored(name, problem, _predicts(estimator, features)) from error
            if name not in self._left_out:
                log.warning("a recorded metric is left out", reason=problem)
            self._left_out.add(name)
            return None


def _predicts(estimator: Pipeline, features: Any) -> bool:
    try:
        estimator.predict(features)
    except Exception:
        return False
    return True


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")[:_QUOTED]


def _latency(estimator: BaseEstimator, _: float, features: Any) -> float:
    """Median wall time of one prediction, in milliseconds."""
    times = []
    for index in range(min(_LATENCY_SAMPLES, len(features))):
        row = _rows(features, [index])
        began = time.perf_counter()
        estimator.predict(row)
        times.append(time.perf_counter() - began)
    return median(times) * 1000


_MEASURES: Mapping[str, Callable[[Any, float, Any], float]] = {
    "fitSeconds": lambda _, seconds, __: seconds,
    "latencyMs": _latency,
    "modelBytes": lambda estimator, _, __: float(len(pickle.dumps(estimator))),
}


def _means(folds: list[dict[str, float]]) -> dict[str, float]:
    return {name: fmean(fold[name] for fold in folds) for name in folds[0] if all(name in fold for fold in folds)}


def _rows(data: Any, index: Any) -> Any:
    return data.iloc[index] if hasattr(data, "iloc") else data[index]


def _step_name(step: Step) -> str:
    return step.name or step.class_.rsplit(".", 1)[1].lower()


def _build(step: Step) -> BaseEstimator:
    module, _, name = step.class_.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ObjectiveRejected(f"steps: {step.class_} does not import in the worker's image: {error}") from error
    except AttributeError as error:
        raise ObjectiveRejected(f"steps: the module {module} has no {name}; correct the class") from error
    try:
        estimator: BaseEstimator = found(**step.args)
    except TypeError as error:
        raise ObjectiveRejected(f"steps: {step.class_} refuses its args: {error}") from error
    if not hasattr(estimator, "fit") or not hasattr(estimator, "get_params"):
        raise ObjectiveRejected(f"steps: {step.class_} is no scikit-learn estimator")
    return estimator


def _scorer(name: str) -> Any:
    try:
        return get_scorer(name)
    except ValueError as error:
        raise ObjectiveRejected(
            f"metrics: {name!r} is no scikit-learn scorer, nor one of {', '.join(_MEASURES)}"
            f"{did_you_mean(name, [*get_scorer_names(), *_MEASURES])}"
        ) from error
