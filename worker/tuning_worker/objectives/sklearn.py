"""Cross-validates a scikit-learn pipeline, and reports after each fold so that pruners have something to judge."""

import importlib
import inspect
import pickle
import time
from collections.abc import Callable, Iterator, Mapping
from statistics import fmean, median
from typing import Any

import sklearn.datasets
from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.metrics import get_scorer, get_scorer_names
from sklearn.model_selection import (
    KFold,
    RepeatedKFold,
    RepeatedStratifiedKFold,
    StratifiedKFold,
)
from sklearn.pipeline import Pipeline

from tuning_study.space import Point
from tuning_study.spec import Dataset, SklearnObjective, Step, TuningStudySpec
from tuning_worker.exceptions import ObjectiveRejected, TrialFailed
from tuning_worker.run import TrialRun

_LATENCY_SAMPLES = 20


class SklearnModel:
    """All trials see the same folds (of the round's seed), so that their metrics can be compared."""

    def __init__(self, objective: SklearnObjective, spec: TuningStudySpec, seed: int) -> None:
        self._objective = objective
        self._metrics = [metric.name for metric in spec.metrics]
        self._parameters = spec.parameters
        self._seed = seed

    def check(self) -> None:
        names = [_step_name(step) for step in self._objective.steps]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ObjectiveRejected(f"steps: {', '.join(twice)} is there twice: give one of them a name")
        self._pipeline = Pipeline([(_step_name(step), _build(step)) for step in self._objective.steps])
        self._features, self._target = _load(self._objective.dataset)
        self._scorers = {name: _scorer(name) for name in self._metrics if name not in _MEASURES}
        known = self._pipeline.get_params()
        for parameter in self._parameters:
            if self._address(parameter.name) not in known:
                final = sorted(self._pipeline[-1].get_params(deep=False))
                raise ObjectiveRejected(
                    f"parameters: {type(self._pipeline[-1]).__name__} has no parameter {parameter.name!r}; "
                    f"it has {', '.join(final)}. For another step write step__parameter"
                )

    def __call__(self, run: TrialRun) -> Mapping[str, float]:
        estimator = self._with(run.parameters, run.seed)
        folds: list[dict[str, float]] = []
        for step, (train, test) in enumerate(self._splits(estimator)):
            folds.append(self._evaluate(clone(estimator), train, test))
            means = _means(folds)
            if step + 1 < self._objective.cross_validation.folds * self._objective.cross_validation.repeats:
                run.report(means, step)
        return _means(folds)

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
        scores = {name: float(scorer(estimator, held_out, truth)) for name, scorer in self._scorers.items()}
        measured = {
            name: measure(estimator, seconds, held_out) for name, measure in _MEASURES.items() if name in self._metrics
        }
        return scores | measured


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
    return {name: fmean(fold[name] for fold in folds) for name in folds[0]}


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
        import difflib

        close = difflib.get_close_matches(name, [*get_scorer_names(), *_MEASURES], n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise ObjectiveRejected(
            f"metrics: {name!r} is no scikit-learn scorer, nor one of {', '.join(_MEASURES)}{hint}"
        ) from error


def _load(dataset: Dataset) -> tuple[Any, Any]:
    if dataset.load is not None:
        loader = getattr(sklearn.datasets, f"load_{dataset.load}", None)
        if loader is None or "return_X_y" not in inspect.signature(loader).parameters:
            known = sorted(
                name.removeprefix("load_")
                for name in dir(sklearn.datasets)
                if name.startswith("load_")
                and "return_X_y" in inspect.signature(getattr(sklearn.datasets, name)).parameters
            )
            raise ObjectiveRejected(
                f"dataset: scikit-learn has no data set {dataset.load!r}; it has {', '.join(known)}"
            )
        features, target = loader(return_X_y=True)
        return features, target
    import pandas

    table = dataset.csv or dataset.parquet
    assert table is not None  # a rule of Dataset
    try:
        frame = (pandas.read_csv if dataset.csv else pandas.read_parquet)(table.path)
    except Exception as error:
        raise ObjectiveRejected(f"dataset: {table.path} cannot be read in the worker's pod: {error}") from error
    if table.target not in frame.columns:
        raise ObjectiveRejected(
            f"dataset: {table.path} has no column {table.target!r}; it has {', '.join(map(str, frame.columns[:50]))}"
        )
    return frame.drop(columns=[table.target]), frame[table.target]
