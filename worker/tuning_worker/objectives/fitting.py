"""Fits a pipeline on some rows: with their weights, with categories as categories, and stopping early.

`sklearn` calls it for each fold of a trial, and `tuning fit` once for all rows.
"""

import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy
import structlog
from sklearn.pipeline import Pipeline

from tuning_study.api.objective import EarlyStopping
from tuning_worker.objectives.boosters import EarlyStop, RoundWatch, booster_of
from tuning_worker.objectives.preparation import Preparation
from tuning_worker.objectives.rehearsal import Fold
from tuning_worker.objectives.scoring import Scoring, first_line
from tuning_worker.objectives.splits import Splits
from tuning_worker.objectives.tables import Data, Rows

log = structlog.get_logger()

_REPORT_EVERY = 10  # rounds


@dataclass(frozen=True)
class Fitted:
    pipeline: Pipeline
    seconds: float
    rounds: int | None
    """How many were best, of a booster that stopped early."""


@dataclass(frozen=True)
class Fitter:
    data: Data
    splits: Splits
    preparation: Preparation | None
    stopping: EarlyStopping | None

    def fit(self, pipeline: Pipeline, index: Any, watch: RoundWatch | None = None) -> Fitted:
        """A copy of the pipeline, fitted on the rows at these positions. `watch` hears of a booster's rounds.

        Raises whatever the pipeline does, and TrialPruned from the watch.
        """
        pipeline, began, rounds = deepcopy(pipeline), time.perf_counter(), None  # CatBoost's models may not be cloned
        booster, last = booster_of(pipeline[-1]), pipeline.steps[-1][0]
        more = self._of_categories(pipeline)
        if self.stopping is not None and booster is not None:
            kept, apart = self._held_out(index, self.stopping)
            rows, evaluation = _transformed(pipeline, self.data.take(kept), self.data.take(apart))
            plan = EarlyStop(evaluation, self.stopping.rounds, watch or NoReports())
            rounds = booster.fit(pipeline[-1], rows, plan, more)
        else:
            rows = self.data.take(index)
            weights = {"sample_weight": rows.weights} if rows.weights is not None else {}
            arguments = {f"{last}__{name}": value for name, value in {**more, **weights}.items()}
            pipeline.fit(rows.features, rows.target, **arguments)
        return Fitted(pipeline, time.perf_counter() - began, rounds)

    def fit_all(self, pipeline: Pipeline, rounds: int | None) -> Pipeline:
        """A copy that is fitted on all rows; with so many rounds of a booster, where early stopping has found them."""
        pipeline, everything = deepcopy(pipeline), numpy.arange(len(self.data.target))
        booster = booster_of(pipeline[-1])
        if booster is None or rounds is None:
            return self.fit(pipeline, everything).pipeline
        booster.set_rounds(pipeline[-1], rounds)
        return Fitter(self.data, self.splits, self.preparation, None).fit(pipeline, everything).pipeline

    def _held_out(self, index: Any, stopping: EarlyStopping) -> Fold:
        try:
            return self.splits.hold_out(index, stopping.fraction)
        except ValueError as error:
            raise ValueError(
                f"earlyStopping cannot keep {stopping.fraction:.0%} of {len(index)} rows apart: {error}; give a larger "
                "`fraction`, or remove it"
            ) from error

    def _of_categories(self, pipeline: Pipeline) -> Mapping[str, Any]:
        """What the model's `fit` is told of the prepared table's categories."""
        prepared = self.preparation
        if prepared is None or prepared.booster is None or not prepared.categories:
            return {}
        return prepared.booster.declare_categories(pipeline[-1], prepared.categories, prepared.columns)


def _transformed(pipeline: Pipeline, rows: Rows, evaluation: Rows) -> tuple[Rows, Rows]:
    """What the model is given, by transformers that are fitted on `rows` alone."""
    if len(pipeline.steps) == 1:
        return rows, evaluation
    transformers = Pipeline(pipeline.steps[:-1])
    fitted_on = transformers.fit_transform(rows.features, rows.target)
    pipeline.steps[:-1] = transformers.steps
    return (
        Rows(fitted_on, rows.target, rows.weights),
        Rows(transformers.transform(evaluation.features), evaluation.target, evaluation.weights),
    )


class NoReports:
    metric: str | None = None

    def is_due(self, rounds: int) -> bool:
        return False

    def score(self, rounds: int, predicted: Any, evaluation: Rows) -> None: ...

    def value(self, rounds: int, value: float) -> None: ...


class RoundReports:
    """Reports an objective's score on the eval rows after every tenth round. `report` takes it and the rounds."""

    def __init__(self, scoring: Scoring, name: str, report: Callable[[float, int], None]) -> None:
        self._scoring, self._name, self._report = scoring, name, report
        self._possible = scoring.is_scorer(name)
        self.metric = scoring.plain_scorer(name)

    def is_due(self, rounds: int) -> bool:
        return self._possible and rounds % _REPORT_EVERY == 0

    def score(self, rounds: int, predicted: Any, evaluation: Rows) -> None:
        try:
            value = self._scoring.score(self._name, predicted, evaluation)
        except Exception as error:  # of a scorer that wants more of a model than its predictions
            self._possible = False
            log.warning("boosting rounds are not reported", metric=self._name, reason=first_line(error))
            return
        self.value(rounds, value)

    def value(self, rounds: int, value: float) -> None:
        self._report(value, rounds)
