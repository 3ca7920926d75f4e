"""Which trial of a Pareto set is named the best: the policies of `spec.selection`. Pure; asked by `best` and `ranked`.

Only feasible trials with finite values are chosen among: infinity comes from a division or an overflow, and has no
place on a scale. Weighted, Knee and AchievementScalarizing scale each objective to the range that it has on the Pareto
set, from 0, the best value, to 1, the worst, so that seconds and bytes can be compared. Where a policy cannot tell
trials apart the objectives decide in their order, and then the earlier trial.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from tuning_study.api.metrics import Metric
from tuning_study.api.selection import Selection
from tuning_study.results.candidates import Candidate, costs
from tuning_study.results.pareto import pareto_front

_AUGMENTATION = 1e-4  # of the sum of all objectives: of trials whose worst objective is alike, the better one wins

Costs = Sequence[float]
"""Of one candidate, in the order of the objectives; the smaller the better."""


def choose(selection: Selection, objectives: Sequence[Metric], found: Sequence[Candidate]) -> Candidate | None:
    """The candidate that the policy names; None where none is feasible with finite values."""
    return next(in_order(selection, objectives, found), None)


def in_order(selection: Selection, objectives: Sequence[Metric], found: Sequence[Candidate]) -> Iterator[Candidate]:
    """The candidates of the Pareto set, those first that suit the policy best."""
    front = selectable_front(objectives, found)
    listed = [costs(objectives, entry) for entry in front]
    if selection.policy == "Lexicographic":
        yield from (front[place] for place in _lexicographic(selection, objectives, listed))
    elif front:
        scores = _SCORES[selection.policy](selection, objectives, listed)
        # The front is in the order of the objectives, and of equal scores the first stays first.
        yield from (front[place] for place in sorted(range(len(front)), key=lambda place: scores[place]))


def chosen_by(selection: Selection, among: int) -> str:
    """`Knee among 12`: how the best was chosen, and from how many."""
    return f"{selection.policy} among {among}"


def selectable_front(objectives: Sequence[Metric], found: Sequence[Candidate]) -> list[Candidate]:
    """What a policy chooses among, in the order of the objectives."""
    return pareto_front(objectives, [entry for entry in found if all(map(math.isfinite, entry.values))])


def _lexicographic(selection: Selection, objectives: Sequence[Metric], front: Sequence[Costs]) -> Iterator[int]:
    """Objective by objective those within the tolerance of the best value stay. Among the rest the objectives decide
    that are not named, then those that are, without tolerance. Then the same without the one that was found."""
    names = [metric.name for metric in objectives]
    order, tolerance = [names.index(name) for name in selection.order or ()], selection.tolerance or {}
    decisive = [*(place for place in range(len(names)) if place not in order), *order]
    left = list(range(len(front)))
    while left:
        alike = left
        for objective in order:
            best = min(front[place][objective] for place in alike)
            worst = best + tolerance.get(names[objective], 0.0) * abs(best)
            alike = [place for place in alike if front[place][objective] <= worst]
        found = min(alike, key=lambda place: ([front[place][objective] for objective in decisive], place))
        left.remove(found)
        yield found


def _weighted(selection: Selection, objectives: Sequence[Metric], front: Sequence[Costs]) -> list[float]:
    weights = selection.weights or {}
    return _weigh([weights.get(metric.name, 0.0) for metric in objectives], _scaled(front, of=front))


def _knee(selection: Selection, objectives: Sequence[Metric], front: Sequence[Costs]) -> list[float]:
    """Das (1999), On characterizing the 'knee' of the Pareto curve: the largest distance, towards the ideal point, from
    the plane through the extremes, which are the trials that are best in one objective. Where one trial is the best in
    several, or the extremes lie so that the plane favours worse values, the plane cuts all axes at 1."""
    scaled = _scaled(front, of=front)
    extremes = [min(scaled, key=lambda cost: (cost[place], sum(cost))) for place in range(len(objectives))]
    try:
        normal = np.linalg.solve(np.array(extremes), np.ones(len(objectives))).tolist()
    except np.linalg.LinAlgError:
        normal = []
    if not normal or not all(0 < part < math.inf for part in normal):
        normal = [1.0] * len(objectives)
    return _weigh(normal, scaled)


def _achievement(selection: Selection, objectives: Sequence[Metric], front: Sequence[Costs]) -> list[float]:
    """Wierzbicki (1980), The use of reference objectives in multiobjective optimization: the largest shortfall of any
    objective from its aspiration counts, and beyond the aspirations the smallest gain."""
    aspiration = selection.aspiration or {}
    wanted = costs(objectives, Candidate(0, tuple(aspiration[metric.name] for metric in objectives)))
    (goals,) = _scaled([wanted], of=front)
    differ = [place for place, column in enumerate(zip(*front, strict=True)) if min(column) < max(column)]
    short = [[cost[place] - goals[place] for place in differ] for cost in _scaled(front, of=front)]
    return [max(each, default=0.0) + _AUGMENTATION * sum(each) for each in short]


_SCORES = {"Weighted": _weighted, "Knee": _knee, "AchievementScalarizing": _achievement}
"""Of each candidate, the smaller the better."""


def _weigh(weights: Sequence[float], listed: Sequence[Costs]) -> list[float]:
    return [sum(weight * value for weight, value in zip(weights, cost, strict=True)) for cost in listed]


def _scaled(listed: Sequence[Costs], *, of: Sequence[Costs]) -> list[list[float]]:
    """The costs as parts of the range that each objective has in `of`; 0 where it has none."""
    ranges = [(min(column) / 2, max(column) / 2) for column in zip(*of, strict=True)]  # halves: a range may overflow
    return [
        [
            (value / 2 - low) / (high - low) if high > low else 0.0
            for value, (low, high) in zip(cost, ranges, strict=True)
        ]
        for cost in listed
    ]
