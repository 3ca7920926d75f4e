"""What each parameter matters to an objective, and how sure that is. Pure; seconds for a long history.

The figure is Optuna's conditional PED-ANOVA: how far the best trials' values of a parameter lie from those of all
trials. It is no share of a whole: a parameter that exists in some trials only is judged among those. Beside each figure
stand its spread over resamples, and what a parameter without any effect would get from as many trials.
"""

import math
import warnings
from collections.abc import Container, Mapping, Sequence
from typing import TypedDict

import numpy as np
import optuna
from optuna.importance import PedAnovaImportanceEvaluator
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tuning_report.round_history import History

LEAST = 10
"""Complete trials; fewer say nothing about parameters."""
_MOST = 500  # trials that one figure is computed from: its time grows with them
_RESAMPLES, _SHUFFLES = 20, 10
_SPREAD = (0.05, 0.95)
_BEST_SHARE, _LEAST_BEST, _MOST_BEST_SHARE = 0.1, 5, 0.5  # the trials that count as best; fewer than 5 are chance


class Importance(TypedDict):
    """The figures of an objective are in units of the strongest parameter's."""

    parameter: str
    value: float
    low: float
    """In nine of ten resamples it lies between `low` and `high`, in units of the strongest parameter of each."""
    high: float
    chance: float
    """What the parameter reaches when the objective's values are dealt to the trials at random."""
    trials: int
    """Complete trials that have the parameter."""


class Importances(TypedDict):
    objective: str
    complete: int
    least: int
    """Complete trials that are needed."""
    parameters: list[Importance]
    """The strongest first; empty where nothing can be told."""


def importances(history: History) -> list[Importances]:
    """One for each objective. The same history gives the same figures."""
    found = []
    for index, metric in enumerate(history.resolved.spec.objectives):
        trials = [trial for trial in history.complete if math.isfinite(trial.values[index])]
        values = [trial.values[index] for trial in trials]
        direction = StudyDirection.MAXIMIZE if metric.direction == "Maximize" else StudyDirection.MINIMIZE
        told = _importances(trials, values, direction) if len(trials) >= LEAST else []
        found.append(Importances(objective=metric.name, complete=len(trials), least=LEAST, parameters=told))
    return found


def _importances(trials: Sequence[FrozenTrial], values: Sequence[float], direction: StudyDirection) -> list[Importance]:
    random = np.random.default_rng(len(trials))
    size = min(len(trials), _MOST)

    def drawn(order: Sequence[int], dealt: Sequence[int]) -> Mapping[str, float]:
        return _evaluate([trials[i] for i in order], [values[i] for i in dealt], direction)

    spaced = np.linspace(0, len(trials) - 1, size).astype(int).tolist()
    figures = drawn(spaced, spaced)
    scale = max(figures.values(), default=0.0)
    if scale <= 0:
        return []
    resamples = [_scaled(drawn(some, some)) for some in random.integers(len(trials), size=(_RESAMPLES, size)).tolist()]
    shuffles = [drawn(spaced, random.permutation(spaced).tolist()) for _ in range(_SHUFFLES)]

    def importance(name: str) -> Importance:
        low, high = np.quantile([resample.get(name, 0.0) for resample in resamples], _SPREAD)
        return Importance(
            parameter=name,
            value=figures[name] / scale,
            low=float(low),
            high=float(high),
            chance=max(shuffle.get(name, 0.0) for shuffle in shuffles) / scale,
            trials=sum(name in trial.params for trial in trials),
        )

    return [importance(name) for name in sorted(figures, key=lambda name: -figures[name])]


def _evaluate(trials: Sequence[FrozenTrial], values: Sequence[float], direction: StudyDirection) -> Mapping[str, float]:
    """By parameter, unscaled; those that never varied are left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study = _Sample(trials, values, direction)
        best = min(_MOST_BEST_SHARE, max(_BEST_SHARE, _LEAST_BEST / len(trials)))
        figures = PedAnovaImportanceEvaluator(target_quantile=best).evaluate(study)
    return {name: value for name, value in figures.items() if math.isfinite(value) and _varies(name, trials)}


def _scaled(figures: Mapping[str, float]) -> Mapping[str, float]:
    scale = max(figures.values(), default=0.0) or 1.0
    return {name: value / scale for name, value in figures.items()}


class _Sample(optuna.Study):
    """Trials with other values, for an evaluator: a study of a storage would copy each of them, which takes longer."""

    def __init__(self, trials: Sequence[FrozenTrial], values: Sequence[float], direction: StudyDirection) -> None:
        self._sample = [
            _with(trial, place, value) for place, (trial, value) in enumerate(zip(trials, values, strict=True))
        ]
        self._direction = direction

    @property
    def directions(self) -> list[StudyDirection]:
        return [self._direction]

    def get_trials(self, deepcopy: bool = True, states: Container[TrialState] | None = None) -> list[FrozenTrial]:
        return self._sample


def _with(trial: FrozenTrial, place: int, value: float) -> FrozenTrial:
    return FrozenTrial(
        number=place,
        trial_id=place,  # the evaluator tells trials apart by it; a resample has some twice
        state=TrialState.COMPLETE,
        value=value,
        datetime_start=None,
        datetime_complete=None,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


def _varies(name: str, trials: Sequence[FrozenTrial]) -> bool:
    seen = {repr(trial.params[name]) for trial in trials if name in trial.params}
    return len(seen) > 1
