"""Whether trials meet the study's constraints."""

import math
from collections.abc import Mapping, Sequence

from optuna.trial import FrozenTrial

from tuning_study.api.metrics import Constraint


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


def excess(constraints: Sequence[Constraint], metrics: Mapping[str, float]) -> float:
    """How far outside the constraints: the sum of what each is missed by, as a fraction of its bound (of 1 for a bound
    of 0), so that seconds and bytes can be compared. Infinite where a metric is missing."""
    if any(constraint.metric not in metrics for constraint in constraints):
        return math.inf
    return sum(
        max(0.0, missed) / (abs(bound) or 1.0)
        for constraint in constraints
        for bound, missed in (
            (constraint.min, (constraint.min or 0.0) - metrics[constraint.metric]),
            (constraint.max, metrics[constraint.metric] - (constraint.max or 0.0)),
        )
        if bound is not None
    )


def describe_violations(constraints: Sequence[Constraint], metrics: Mapping[str, float]) -> list[str]:
    """`latencyMs is 61, and at most 50 is feasible`, for each bound that is missed."""
    found = []
    for constraint in constraints:
        value = metrics.get(constraint.metric)
        if value is None:
            continue
        if constraint.min is not None and value < constraint.min:
            found.append(f"{constraint.metric} is {value:.6g}, and at least {constraint.min:g} is feasible")
        if constraint.max is not None and value > constraint.max:
            found.append(f"{constraint.metric} is {value:.6g}, and at most {constraint.max:g} is feasible")
    return found


def is_feasible(trial: FrozenTrial) -> bool:
    """Whether every constraint holds that the trial's worker has told."""
    return all_hold(trial.constraints)


def all_hold(violations: Mapping[str, float]) -> bool:
    """Each constraint by its name, with a value that is feasible up to zero."""
    return all(value <= 0 for value in violations.values())
