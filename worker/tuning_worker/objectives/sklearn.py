"""Cross-validates a scikit-learn pipeline, and reports after each fold so that pruners have something to judge."""

import inspect
import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from functools import cached_property
from itertools import islice
from statistics import fmean, median
from typing import Any, Self

import structlog
from sklearn.base import is_classifier, is_regressor
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import TargetEncoder

from tuning_study.api.objective import SklearnObjective
from tuning_study.api.parameters import Parameter
from tuning_study.api.spec import TuningStudySpec
from tuning_study.attributes import BEST_ITERATION_ATTRIBUTE, FIRST_FOLD_ATTRIBUTE
from tuning_study.production.features import Reference
from tuning_study.search.likeness import Profile
from tuning_study.search.space import Point
from tuning_worker.exceptions import ObjectiveRejected, TrialFailed
from tuning_worker.objectives import data_problems, tables, threads
from tuning_worker.objectives.boosters import RoundWatch, booster_of
from tuning_worker.objectives.data_features import describe, references_of
from tuning_worker.objectives.estimators import build, build_steps, column_steps, set_values
from tuning_worker.objectives.fitting import Fitter, RoundReports
from tuning_worker.objectives.preparation import PREPARATION, Preparation, prepare
from tuning_worker.objectives.rehearsal import Failure, Fold, few_rows, points, telling_folds, verdict
from tuning_worker.objectives.scoring import NotScored, Scoring, first_line, others_that_work
from tuning_worker.objectives.splits import Splits
from tuning_worker.run import TrialRun

log = structlog.get_logger()


class SklearnModel:
    """All trials see the same folds (of the round's seed), so that their metrics can be compared. Each repeat of a
    verification has folds of its own, which all candidates see."""

    def __init__(
        self,
        objective: SklearnObjective,
        spec: TuningStudySpec,
        seed: int,
        pipeline: Pipeline,
        data: tables.Data,
        preparation: Preparation | None,
    ) -> None:
        self._objective, self._pipeline, self._data = objective, pipeline, data
        self._splits = Splits.of_objective(objective, data, seed, classifies=bool(is_classifier(pipeline)))
        self._fitter = Fitter(data, self._splits, preparation, objective.early_stopping)
        self._scoring = Scoring(spec)
        self._objectives = [metric.name for metric in spec.objectives]
        self._parameters = spec.parameters
        self._seed = seed
        self._prepared = preparation is not None
        self.preparation: Sequence[str] = (*(preparation.told if preparation is not None else ()), *data.told)

    @classmethod
    def load(cls, objective: SklearnObjective, spec: TuningStudySpec, seed: int) -> Self:
        """Build the pipeline, read the data set, and try both on a few rows. `seed` is the round's.

        Raises ObjectiveRejected for what no parameters could mend.
        """
        steps = build_steps(objective)
        data = tables.load(objective.dataset)
        preparation = None
        if objective.columns is not None:
            steps.insert(0, column_steps(objective, data.features))
        elif objective.dataset.table is not None:
            preparation = _prepared(data, steps, spec.parameters)
        if preparation is not None:
            steps.insert(0, (PREPARATION, preparation.transformer))
            log.info("the table is prepared", columns=preparation.told)
        model = cls(objective, spec, seed, Pipeline(steps), data, preparation)
        model._check_parameters()
        model._check_data()
        model._check_fit()
        model._rehearse()
        return model

    def _check_parameters(self) -> None:
        known = set(self._pipeline.get_params())
        names, any_name = _arguments(self._pipeline[-1])
        known |= {self._address(parameter.name) for parameter in self._parameters if any_name} | {
            *map(self._address, names)
        }
        for parameter in self._parameters:  # of a step that is a parameter itself, those of each choice
            address = self._address(parameter.name)
            choices = _choices(parameter)
            known |= {
                f"{address}__{name}" for choice in choices if _has_parameters(choice) for name in choice.get_params()
            }
        for parameter in self._parameters:
            if self._address(parameter.name) not in known:
                final = sorted(self._pipeline[-1].get_params(deep=False))
                raise ObjectiveRejected(
                    f"parameters: {self._model} has no parameter {parameter.name!r}; "
                    f"it has {', '.join(final)}. For another step write step__parameter"
                )

    def _check_data(self) -> None:
        folds = self._splits.folds
        task = data_problems.Task(self._model, is_classifier(self._pipeline), is_regressor(self._pipeline), folds)
        problem = data_problems.problem(self._data.features, self._data.target, task)
        if problem is not None:
            raise ObjectiveRejected(f"dataset: {problem}")
        if rare := self._rare_classes():
            log.warning("classes have fewer rows than there are folds", folds=folds, classes=rare)

    def _check_fit(self) -> None:
        model = self._pipeline[-1]
        if self._objective.early_stopping is not None and not any(map(booster_of, self._models())):
            raise ObjectiveRejected(
                f"earlyStopping: {self._model} adds no trees round by round, as HistGradientBoosting, XGBoost, "
                "LightGBM and CatBoost do: remove it"
            )
        if self._data.weights is not None:
            if not _takes_weights(model):
                raise ObjectiveRejected(
                    f"dataset: {self._model} takes no weights: remove `weights`, or use another model"
                )
            self._scoring.tell_weights()
        if threads.defaults(model, self._seed).keys() & threads.NAMES:
            log.info("threads of the model", threads=threads.threads())

    def _rehearse(self) -> None:
        """Fit and score on a few rows, to find before any trial what would fail all of them."""
        features, target, of_classes = self._data.features, self._data.target, self._of_classes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                one_repeat = islice(self._splits, self._splits.in_one_repeat)
                whole = telling_folds(one_repeat, features, target, classifies=of_classes)
            except (ValueError, TypeError) as error:  # TypeError of a splitter's own arguments
                raise ObjectiveRejected(f"dataset: it cannot be split into folds: {error}") from error
            few = [few_rows(fold, features, target, classifies=of_classes) for fold in whole]
            failure = verdict(self._failure, points(self._parameters), few, whole)
            if failure is not None:
                raise ObjectiveRejected(self._no_trial_could_run(failure, few[0]))
            self._check_recorded(few)
        self._scoring.left_out.clear()

    def _check_recorded(self, few: Sequence[Fold]) -> None:
        """Raises ObjectiveRejected for a recorded metric that cannot be computed, whatever the parameters."""
        left_out = self._scoring.left_out
        never = dict(left_out)
        for point in points(self._parameters) if never else ():
            left_out.clear()
            if self._failure(point, few) is None:
                never = {name: problem for name, problem in never.items() if name in left_out}
        for name, problem in never.items():
            possible = ", ".join(self._scorers_that_work(name, few[0]))
            others = f"; with this model and target {possible} can be" if possible else ""
            raise ObjectiveRejected(f"metrics: {problem}{others}; correct it, or remove {name} from metrics")

    def _of_classes(self) -> bool:
        return bool(is_classifier(self._pipeline)) and self._data.target.ndim == 1

    def _rare_classes(self) -> list[str]:
        return data_problems.rare_classes(self._data.target, self._splits.folds) if self._of_classes() else []

    def _failure(self, point: Point, folds: Sequence[Fold]) -> Failure | None:
        """Why a trial of these parameters fails on these rows."""
        try:
            pipeline = self._with(point, self._seed)
            measured = [self._evaluate(pipeline, fold)[0] for fold in folds]
        except NotScored as error:
            metric = error.metric if error.model_works else None
            return Failure(metric, type(error.__cause__).__name__, first_line(error), fitted=True)
        except Exception as error:
            return Failure(None, type(error).__name__, f"{type(error).__name__}: {first_line(error)}")
        needed = self._scoring.needed
        unknown = [name for name in needed if any(math.isnan(fold.get(name, 0.0)) for fold in measured)]
        return Failure(unknown[0], "NaN", f"{unknown[0]} is NaN") if unknown else None

    def _no_trial_could_run(self, failure: Failure, fold: Fold) -> str:
        rare, folds, features = self._rare_classes(), self._splits.folds, self._data.features
        found = [f"classes with fewer rows than the {folds} folds: {', '.join(rare[:5])}"] if rare else []
        if failure.metric is not None:
            possible = self._scorers_that_work(failure.metric, fold)
            found += [f"with this model and target {', '.join(possible)} can be"] if possible else []
            return "; ".join([f"metrics: {failure.reason}", *found])
        if failure.fitted and not self._prepared:
            found += data_problems.why_no_prediction(features, folds)
        else:
            found += data_problems.why_not_fitted(features, prepared=self._prepared)
        where = "dataset" if found else "steps"
        return "; ".join([f"{where}: no trial could run: {failure.reason}", *found])

    def _scorers_that_work(self, name: str, fold: Fold) -> list[str]:
        train, test = fold
        with suppress(Exception):
            fitted = self._fitter.fit(self._with({}, self._seed), train)
            return others_that_work(name, fitted.pipeline, self._data.take(test))
        return []

    def __call__(self, run: TrialRun) -> Mapping[str, float]:
        pipeline = self._with(run.suggest(), run.seed)
        booster, watch = booster_of(pipeline[-1]), None
        if self._objective.early_stopping is None or booster is None:
            first_step = 0
        else:  # boosting rounds of the first fold are reported before the folds are
            first_step = booster.max_rounds(pipeline[-1]) + 1
            run.trial.set_user_attr(FIRST_FOLD_ATTRIBUTE, first_step)
            watch = self._watch(run)
        splits = replace(self._splits, seed=run.seed) if run.round.verifies else self._splits
        folds: list[dict[str, float]] = []
        best_rounds: list[int] = []
        for number, fold in enumerate(splits):
            metrics, rounds = self._evaluate(pipeline, fold, watch if number == 0 else None)
            folds.append(metrics)
            best_rounds += [rounds] if rounds is not None else []
            if number + 1 < splits.number:
                run.report(_means(folds), first_step + number)
        if best_rounds:
            run.trial.set_user_attr(BEST_ITERATION_ATTRIBUTE, round(median(best_rounds)))
        return _means(folds)

    def fit(self, point: Point, seed: int, rounds: int | None = None) -> Pipeline:
        """The pipeline of a trial's parameters and seed, fitted on all rows; a booster with so many rounds."""
        return self._fitter.fit_all(self._with(point, seed), rounds)

    @cached_property
    def profile(self) -> Profile:
        features = describe(self._data.features, self._data.target, classes=bool(is_classifier(self._pipeline)))
        return Profile(self._objective.steps[-1].class_, features)

    def references(self, features: Sequence[str]) -> Mapping[str, Reference]:
        return references_of(self._data.features, features)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the features."""
        rows, columns = self._data.features.shape
        return rows, columns

    @property
    def _model(self) -> str:
        return type(self._pipeline[-1]).__name__

    def _models(self) -> list[Any]:
        """The estimators that may be the last step."""
        return _estimators(self._pipeline.steps[-1], self._parameters)

    def _watch(self, run: TrialRun) -> RoundWatch | None:
        if len(self._objectives) > 1:  # pruners judge one
            return None
        (name,) = self._objectives
        return RoundReports(self._scoring, name, lambda value, step: run.report({name: value}, step))

    def _with(self, point: Point, seed: int) -> Pipeline:
        pipeline: Pipeline = deepcopy(self._pipeline)
        given = {self._address(name): build(value, f"parameters.{name}") for name, value in point.items()}
        try:
            set_values(pipeline, given)
        except ValueError as error:
            raise TrialFailed(str(error)) from error
        name, model = pipeline.steps[-1]
        if (booster := booster_of(model)) is not None:
            model = booster.for_target(model, self._data.target)
            pipeline.steps[-1] = (name, model)
        if hasattr(model, "set_params"):
            model.set_params(**threads.defaults(model, seed))
        pipeline.set_params(**_seeds(pipeline, seed))
        return pipeline

    def _address(self, name: str) -> str:
        """`C` belongs to the last step; `scaler__with_mean` names its step, and `scaler` is a step as a whole."""
        if name.partition("__")[0] in self._pipeline.named_steps:
            return name
        return f"{self._pipeline.steps[-1][0]}__{name}"

    def _evaluate(
        self, pipeline: Pipeline, fold: Fold, watch: RoundWatch | None = None
    ) -> tuple[dict[str, float], int | None]:
        """The metrics of one fold, and how many rounds were best of a booster that stops early."""
        train, test = fold
        fitted = self._fitter.fit(pipeline, train, watch)
        return self._scoring.metrics(fitted.pipeline, fitted.seconds, self._data.take(test)), fitted.rounds


def _prepared(
    data: tables.Data, steps: Sequence[tuple[str, Any]], parameters: Sequence[Parameter]
) -> Preparation | None:
    """Raises ObjectiveRejected for numbers and dates that were read as text: prepared as text they would say little."""
    found = prepare(data.features, [_estimators(step, parameters) for step in steps])
    if found is not None and (problem := data_problems.misread(data.features)) is not None:
        raise ObjectiveRejected(f"dataset: {problem}")
    return found


def _estimators(step: tuple[str, Any], parameters: Sequence[Parameter]) -> list[Any]:
    """What may be in the step's place: the manifest's class, and the choices where the step is a parameter."""
    name, written = step
    chosen = [choice for parameter in parameters if parameter.name == name for choice in _choices(parameter)]
    return chosen or [written]


def _choices(parameter: Parameter) -> list[Any]:
    return [build(value, f"parameters.{parameter.name}") for value in parameter.values or []]


def _seeds(pipeline: Pipeline, seed: int) -> dict[str, Any]:
    """Parameters that the manifest leaves to chance."""
    given = pipeline.get_params()
    seeds: dict[str, Any] = {
        name: seed for name, value in given.items() if name.endswith("random_state") and value is None
    }
    folds = StratifiedKFold if is_classifier(pipeline) else KFold
    for name, value in given.items():
        if isinstance(value, TargetEncoder) and isinstance(value.cv, int):  # it has no seed of its own
            seeds[f"{name}__cv"] = folds(value.cv, shuffle=True, random_state=seed)
    return seeds


def _arguments(model: Any) -> tuple[set[str], bool]:
    """Names that the class takes besides those that get_params tells, and whether it takes any."""
    parameters = inspect.signature(type(model)).parameters.values()
    return {p.name for p in parameters}, any(p.kind is p.VAR_KEYWORD for p in parameters)


def _takes_weights(model: Any) -> bool:
    parameters = inspect.signature(model.fit).parameters
    return "sample_weight" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _means(folds: list[dict[str, float]]) -> dict[str, float]:
    return {name: fmean(fold[name] for fold in folds) for name in folds[0] if all(name in fold for fold in folds)}


def _has_parameters(choice: Any) -> bool:
    return hasattr(choice, "get_params") and not isinstance(choice, type)
