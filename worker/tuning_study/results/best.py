"""The one trial to name, the order of all, and whether the goals are reached."""

import math
from collections.abc import Sequence
from typing import Any

from optuna.trial import FrozenTrial

from tuning_study.api.metrics import Metric
from tuning_study.api.selection import Selection
from tuning_study.api.spec import TuningStudySpec
from tuning_study.results.candidates import Candidate, candidates, costs
from tuning_study.results.pareto import pareto_front
from tuning_study.results.selection import choose, in_order


def best(
    objectives: Sequence[Metric], found: Sequence[Candidate], selection: Selection | None = None
) -> Candidate | None:
    """The candidate to name. With a selection the one of the Pareto set that its policy names, or none where none is
    feasible; without, feasible before infeasible, then by the objectives in their order, then the earlier."""
    if selection is not None:
        return choose(selection, objectives, found)
    return min(found, key=lambda c: (not c.feasible, costs(objectives, c), c.number), default=None)


def ranked(
    objectives: Sequence[Metric], found: Sequence[Candidate], selection: Selection | None = None
) -> list[Candidate]:
    """All candidates, those worth trying again first: the Pareto front, in the order of the selection's policy, then
    the rest in the order of `best`."""
    front = pareto_front(objectives, found)
    if selection is not None:
        chosen = {entry.number: entry for entry in in_order(selection, objectives, found)}
        front = [*chosen.values(), *(entry for entry in front if entry.number not in chosen)]
    members = {entry.number for entry in front}
    rest = sorted(
        (c for c in found if c.number not in members), key=lambda c: (not c.feasible, costs(objectives, c), c.number)
    )
    return front + rest


def best_parameters(spec: TuningStudySpec, trials: Sequence[FrozenTrial], most: int) -> list[dict[str, Any]]:
    """The parameters of the best trials, at most `most`, those worth trying again first."""
    by_number = {trial.number: trial.params for trial in trials}
    return [by_number[entry.number] for entry in ranked(spec.objectives, candidates(trials), spec.selection)[:most]]


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
