"""Which trials are best: feasibility, the Pareto front, and the one trial to name."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial, TrialState

from tuning_study.spec import Constraint, Metric

CONSTRAINT_PREFIX = "constraints:"  # Optuna's key of a trial's constraint in its system attributes
METRICS_ATTRIBUTE = "tuning:metrics"  # user attribute: every metric that the trial reported
FAILURE_ATTRIBUTE = "tuning:failure"  # user attribute: why the trial failed


@dataclass(frozen=True)
class Candidate:
    """A complete trial as far as choosing needs it; `values` in the order of the objectives."""

    number: int
    values: tuple[float, ...]
    feasible: bool = True


def candidate(trial: FrozenTrial) -> Candidate:
    return Candidate(trial.number, tuple(trial.values), all(value <= 0 for value in trial.constraints.values()))


def candidates(trials: Sequence[FrozenTrial]) -> list[Candidate]:
    return [candidate(trial) for trial in trials if trial.state is TrialState.COMPLETE and trial.values]


def violations(constraints: Sequence[Constraint], metrics: Mapping[str, float]) -> dict[str, float]:
    """Each constraint as Optuna wants it: a name, and a value that is feasible up to zero."""
    found: dict[str, float] = {}
    for constraint in constraints:
        value = metrics[constraint.metric]
        if constraint.min is not None:
            found[f"{constraint.metric}>={constraint.min:g}"] = constraint.min - value
        if constraint.max is not None:
            found[f"{constraint.metric}<={constraint.max:g}"] = value - constraint.max
    return found


def reaches_goals(objectives: Sequence[Metric], values: Sequence[float], feasible: bool) -> bool:
    """Whether a trial reaches every objective's goal; an objective without one keeps the study going.

    Infinity reaches none: it comes from a division or an overflow, and would end the study with it.
    """
    return feasible and all(
        metric.goal is not None
        and math.isfinite(value)
        and (value >= metric.goal if metric.direction == "Maximize" else value <= metric.goal)
        for metric, value in zip(objectives, values, strict=True)
    )


def pareto_front(objectives: Sequence[Metric], found: Sequence[Candidate]) -> list[Candidate]:
    """The feasible candidates that no other one beats, best first by the objectives in their order."""
    front: list[Candidate] = []
    # In this order a later candidate never dominates an earlier one.
    for entry in sorted((c for c in found if c.feasible), key=lambda c: (_costs(objectives, c), c.number)):
        if not any(_dominates(objectives, other, entry) for other in front):
            front.append(entry)
    return front


def best(objectives: Sequence[Metric], found: Sequence[Candidate]) -> Candidate | None:
    """The candidate to name: feasible before infeasible, then by the objectives in their order, then the earlier."""
    return min(found, key=lambda c: (not c.feasible, _costs(objectives, c), c.number), default=None)


def ranked(objectives: Sequence[Metric], found: Sequence[Candidate]) -> list[Candidate]:
    """All candidates, those worth trying again first: the Pareto front, then the rest in the order of `best`."""
    front = pareto_front(objectives, found)
    members = {entry.number for entry in front}
    rest = sorted(
        (c for c in found if c.number not in members), key=lambda c: (not c.feasible, _costs(objectives, c), c.number)
    )
    return front + rest


def _costs(objectives: Sequence[Metric], entry: Candidate) -> tuple[float, ...]:
    return tuple(
        -value if metric.direction == "Maximize" else value
        for metric, value in zip(objectives, entry.values, strict=True)
    )


def _dominates(objectives: Sequence[Metric], left: Candidate, right: Candidate) -> bool:
    a, b = _costs(objectives, left), _costs(objectives, right)
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))
