"""Complete trials as far as choosing among them needs them."""

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from tuning_study.api.metrics import Metric
from tuning_study.results.feasibility import is_feasible


@dataclass(frozen=True)
class Candidate:
    """A complete trial as far as choosing needs it; `values` in the order of the objectives."""

    number: int
    values: tuple[float, ...]
    feasible: bool = True


def candidate(trial: FrozenTrial) -> Candidate:
    return Candidate(trial.number, tuple(trial.values), is_feasible(trial))


def candidates(trials: Sequence[FrozenTrial]) -> list[Candidate]:
    return [candidate(trial) for trial in trials if trial.state is TrialState.COMPLETE and trial.values]


def costs(objectives: Sequence[Metric], entry: Candidate) -> tuple[float, ...]:
    """The values in the order of the objectives, each the better the smaller."""
    return tuple(
        -value if metric.direction == "Maximize" else value
        for metric, value in zip(objectives, entry.values, strict=True)
    )
