"""How much of what is possible a Pareto set covers: one number for several objectives, which grows as the set does."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tuning_study.api.metrics import Metric
from tuning_study.optuna_internals import compute_hypervolume
from tuning_study.results.candidates import Candidate, costs
from tuning_study.results.pareto import pareto_front

_MOST, _MOST_OF_FOUR = 128, 32  # members of a large front that are measured: of four objectives each costs much
_MOMENTS = 30  # of a history


def hypervolume(objectives: Sequence[Metric], found: Sequence[Candidate]) -> float | None:
    """The share of a box that the feasible candidates dominate; its corners are the best and the worst feasible finite
    value of each objective. None while the box has no volume: fewer than two candidates, or an objective in which all
    are equal.
    """
    history = hypervolume_history(objectives, found, moments=1)
    return history[-1][1] if history else None


def hypervolume_history(
    objectives: Sequence[Metric], found: Sequence[Candidate], moments: int = _MOMENTS
) -> list[tuple[int, float]]:
    """Numbers of trials, and the share up to each, in the box of all candidates: so it never falls. The last is that of
    all candidates, and there are at most `moments`. Of a front of more than 128 members (32 with four objectives)
    as many are measured, evenly along the first objective."""
    usable = [entry for entry in found if entry.feasible and np.isfinite(entry.values).all()]
    if len(usable) < 2:
        return []
    values = np.array([costs(objectives, entry) for entry in usable])
    best, worst = values.min(axis=0), values.max(axis=0)
    if not (worst > best).all():
        return []
    scaled = {entry.number: row for entry, row in zip(usable, (values - best) / (worst - best), strict=True)}
    places = np.unique(np.linspace(len(usable), 1, min(moments, len(usable))).astype(int))
    told: list[tuple[int, float]] = []
    front: list[Candidate] = []
    before, share = 0, 0.0
    for place in places:
        front = pareto_front(objectives, [*front, *usable[before:place]])
        before = place
        share = max(share, _share(np.array([scaled[entry.number] for entry in front])))
        told.append((usable[place - 1].number, share))
    return told


def _share(front: NDArray[np.float64]) -> float:
    most = min(len(front), _MOST if front.shape[1] < 4 else _MOST_OF_FOUR)
    some = front[np.unique(np.linspace(0, len(front) - 1, most).astype(int))]
    return float(compute_hypervolume(some, np.ones(front.shape[1])))
