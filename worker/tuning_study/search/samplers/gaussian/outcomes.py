"""What trials came to, as the process sees it: costs, how sure they are, and what may not be."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tuning_study.search.samplers._types import Array, Mask

_TAIL = 3.0  # spreads above the median, from which on a bad cost counts by its logarithm
_FARTHEST = 8.0  # spreads; what is farther is as bad as this
_BELIEVED = 0.25  # the variance of what a pruned trial would have come to, in squared spreads of all costs
_MOST_VIOLATED = 3.0  # spreads; how far beyond a limit says little more
_RHO = 0.05  # ParEGO's weight of the sum beside the worst objective


@dataclass(frozen=True)
class Outcomes:
    """Of trials in an order that only grows; each array has one entry for each of them."""

    costs: Array
    """trials × objectives, to be minimised and finite; NaN while no trial is complete."""
    variances: Array
    """What is unsure about the costs, beside the noise that all have, when their spread is 1."""
    limits: Array
    """trials × limits: above 0 a trial broke the limit; NaN where it is not known. A failure breaks a limit of its
    own."""

    @property
    def has_cost(self) -> Mask:
        found: Mask = ~np.isnan(self.costs[:, 0])
        return found

    @property
    def feasible(self) -> Mask:
        found: Mask = self.has_cost & ~(self.limits > 0).any(axis=1)
        return found


def outcomes(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> Outcomes:
    """Of finished trials. A pruned one is believed to end between the median and the worst, as near to its last report
    as that allows: it was stopped for being bad. One that failed is believed to be as bad as the worst."""
    signs = np.array([-1.0 if direction is StudyDirection.MAXIMIZE else 1.0 for direction in directions])
    costs = np.full((len(trials), len(signs)), np.nan)
    for number, trial in enumerate(trials):
        if trial.state is TrialState.COMPLETE:
            costs[number] = np.array(trial.values) * signs
    complete = np.array([trial.state is TrialState.COMPLETE for trial in trials], dtype=bool)
    _make_finite(costs, complete)
    variances = np.zeros(len(trials))
    for number, trial in enumerate(trials):
        if trial.state is not TrialState.COMPLETE and complete.any():
            costs[number] = _believed(trial, signs, costs[complete])
            variances[number] = _BELIEVED
    return Outcomes(costs, variances, _limits(trials))


def standardised(costs: Array) -> Array:
    """Mean 0 and spread 1. Good costs keep their distances; far bad ones, which say little about where the best is, are
    drawn in.

    A spread is the distance from the median to the best tenth.
    """
    median = np.median(costs)
    spread = max(
        median - np.quantile(costs, 0.1),
        1e-3 * (median - costs.min()),
        1e-12 * np.ptp(costs),
        1e-300,
    )
    scaled = (costs - median) / spread
    bad = scaled > _TAIL
    scaled[bad] = np.minimum(_TAIL + 2 * np.log1p((scaled[bad] - _TAIL) / 2), _FARTHEST)
    deviation = scaled.std()
    centred: Array = (scaled - scaled.mean()) / (deviation if deviation > 0 else 1.0)
    return centred


def scalarised(costs: Array, rng: np.random.Generator) -> Array:
    """One cost of several, each from 0 to 1, by weights of chance: augmented Tchebycheff (Knowles 2006, ParEGO)."""
    if costs.shape[1] == 1:
        only: Array = costs[:, 0]
        return only
    low, high = costs.min(axis=0), costs.max(axis=0)
    shares = (costs - low) / np.where(high > low, high - low, 1.0) * rng.dirichlet(np.ones(costs.shape[1]))
    both: Array = shares.max(axis=1) + _RHO * shares.sum(axis=1)
    return both


def _make_finite(costs: Array, complete: Mask) -> None:
    """Infinite costs become the best or the worst of the others."""
    for column in costs.T:
        finite = column[complete & np.isfinite(column)]
        low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
        column[complete] = np.clip(column[complete], low, high)


def _believed(trial: FrozenTrial, signs: Array, complete: Array) -> Array:
    worst: Array = complete.max(axis=0)
    if trial.state is TrialState.FAIL or not trial.intermediate_values or len(signs) > 1:
        return worst
    last = trial.intermediate_values[max(trial.intermediate_values)] * signs
    if math.isnan(last[0]):
        return worst
    believed: Array = np.clip(last, np.median(complete, axis=0), worst)
    return believed


def _limits(trials: Sequence[FrozenTrial]) -> Array:
    told = [trial.constraints for trial in trials]
    names = sorted({name for constraints in told for name in constraints})
    found = np.full((len(trials), len(names) + 1), np.nan)
    for number, trial in enumerate(trials):
        for column, name in enumerate(names):
            found[number, column] = told[number].get(name, math.nan)
        found[number, -1] = 1.0 if trial.state is TrialState.FAIL else -1.0
    if not (found[:, -1] > 0).any():
        found = found[:, :-1]
    spreads = np.sqrt(np.nanmean(np.where(np.isfinite(found), found, np.nan) ** 2, axis=0)) if found.size else 1.0
    scaled = found / np.where(np.asarray(spreads) > 0, spreads, 1.0)
    limited: Array = np.clip(scaled, -_MOST_VIOLATED, _MOST_VIOLATED)
    return limited
