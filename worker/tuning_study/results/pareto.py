"""The trials that no other one beats."""

from collections.abc import Sequence

from tuning_study.api.metrics import Metric
from tuning_study.results.candidates import Candidate, costs


def pareto_front(objectives: Sequence[Metric], found: Sequence[Candidate]) -> list[Candidate]:
    """The feasible candidates that no other one beats, best first by the objectives in their order."""
    front: list[tuple[tuple[float, ...], Candidate]] = []
    # In this order a later candidate never dominates an earlier one.
    for cost, entry in sorted(((costs(objectives, c), c) for c in found if c.feasible), key=_order):
        if not any(_dominates(other, cost) for other, _ in front):
            front.append((cost, entry))
    return [entry for _, entry in front]


def _order(costed: tuple[tuple[float, ...], Candidate]) -> tuple[tuple[float, ...], int]:
    return costed[0], costed[1].number


def _dominates(left: Sequence[float], right: Sequence[float]) -> bool:
    return left != right and all(x <= y for x, y in zip(left, right, strict=True))
