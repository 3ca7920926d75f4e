"""The next point to try, from what trials came to and what runs. It knows no Optuna: rows in, a row out."""

import math
from collections.abc import Callable

import numpy as np

from tuning_study.search.samplers._types import Array, Mask, Numbers
from tuning_study.search.samplers.gaussian.acquisition import (
    log_expected_improvement,
    log_probability_below,
    most_promising,
)
from tuning_study.search.samplers.gaussian.outcomes import Outcomes, scalarised, standardised
from tuning_study.search.samplers.gaussian.process import GaussianProcess
from tuning_study.search.samplers.gaussian.space import Points, Space, active_parameters

_BOWL = 0.6  # spreads by which the edges are believed to be worse than the middle, before anything is known
_BOWL_TRIALS = 10  # after which half of that belief is left
_MARGINS = (0.0, 0.03)  # spreads by which the best must be improved on, in turn: no turn polishes, the other explores
_TOPS = 8  # of the best points, around which the search begins
_MOST_FITTED = 100  # trials that hyperparameters are fitted to
_MOST_TRIALS = 200  # that are modelled: the cost grows with their cube


Belief = Callable[[Points], Array]
"""What costs are believed to be before anything is known, in spreads."""


class Proposer:
    """Keeps the hyperparameters of its processes while they need not be found again. One thread at a time."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._active = active_parameters(space)
        self._cost = Surrogate(space, self._active)
        self._limits: list[Surrogate] = []

    def next(self, finished: Points, found: Outcomes, running: Points, rng: np.random.Generator) -> Array:
        """A settled row. `finished` are the points of `found`, in the same order."""
        at = np.flatnonzero(found.has_cost)
        at = at[_worth_modelling(found.costs[at])]
        costs = scalarised(found.costs[at], rng)
        known = finished[at]
        weight = _BOWL * _BOWL_TRIALS / (_BOWL_TRIALS + len(known))

        def belief(points: Points) -> Array:
            return weight * self._bowl(points)

        # With several objectives the weights are others for each trial, and so is the process.
        self._cost.learn(known, costs, found.variances[at], belief, anew=found.costs.shape[1] > 1)
        self._cost.believe(running)
        limits = self._learn_limits(finished, found, running)
        everywhere = known.and_also(running)
        fitted = self._cost.process.fitted + belief(everywhere)
        allowed = np.concatenate([found.feasible[at], np.full(len(running), bool(found.feasible.any()))])
        worth = np.where(allowed, fitted, fitted + np.ptp(fitted)) if allowed.any() else fitted
        tops = everywhere.rows[np.argsort(worth)[:_TOPS]]
        incumbent = float(fitted[allowed].min()) if allowed.any() else None
        margin = _MARGINS[len(everywhere) % len(_MARGINS)]

        def score(rows: Array, active: Mask) -> Array:
            points = Points(rows, active)
            total = np.zeros(len(rows))
            if incumbent is not None:
                mean, deviation = self._cost.process.predict(rows, active)
                total += log_expected_improvement(mean + belief(points), deviation, incumbent - margin)
            for limit in limits:
                total += log_probability_below(*limit.process.predict(rows, active), 0.0)
            return total

        tried = {row.tobytes() for row in np.vstack([finished.rows, running.rows])}
        return most_promising(self._space, score, tops, tried, rng)

    def _learn_limits(self, finished: Points, found: Outcomes, running: Points) -> list["Surrogate"]:
        while len(self._limits) < found.limits.shape[1]:
            self._limits.append(Surrogate(self._space, self._active))
        used = []
        for surrogate, values in zip(self._limits, found.limits.T, strict=False):
            known = np.flatnonzero(~np.isnan(values))[-_MOST_TRIALS:]
            if (values[known] > 0).any():
                surrogate.learn(finished[known], values[known], np.zeros(len(known)))
                surrogate.believe(running)
                used.append(surrogate)
        return used

    def _bowl(self, points: Points) -> Array:
        numbers = points.active & ~self._space.is_category
        away = np.where(numbers, (2 * points.rows - 1) ** 2 - 1 / 3, 0.0)
        total: Array = away.sum(axis=1) / math.sqrt(max(self._active, 1.0))
        return total


class Surrogate:
    """A process, what it was fitted to, and what it was told since."""

    def __init__(self, space: Space, active: float) -> None:
        self.process = GaussianProcess(space, active)
        self._fitted_to = 0

    def learn(
        self, points: Points, costs: Array, variances: Array, belief: Belief | None = None, anew: bool = False
    ) -> None:
        """Costs are standardised, and beliefs about them taken off, if there is one; limits are taken as they are."""
        fit_to = len(points) if anew else _fitted_trials(len(points))
        if anew or fit_to != self._fitted_to:
            some = _thinned(fit_to)
            targets = _targets(points[some], costs[some], belief)
            self.process.fit(points.rows[some], points.active[some], targets, variances[some])
            self._fitted_to = fit_to
        self._points, self._variances = points, variances
        self._targets = _targets(points, costs, belief)
        self.process.condition(points.rows, points.active, self._targets, variances)

    def believe(self, running: Points) -> None:
        """What runs is taken to end as predicted (Ginsbourger et al. 2010, kriging believer)."""
        if not len(running):
            return
        mean, _ = self.process.predict(running.rows, running.active)
        every = self._points.and_also(running)
        targets = np.concatenate([self._targets, mean])
        variances = np.concatenate([self._variances, np.zeros(len(running))])
        self.process.condition(every.rows, every.active, targets, variances)


def _targets(points: Points, costs: Array, belief: Belief | None) -> Array:
    return costs if belief is None else standardised(costs) - belief(points)


def _fitted_trials(count: int) -> int:
    """How many trials hyperparameters are fitted to when `count` have ended: they change ever less. It depends on
    nothing else, so that every worker finds the same ones."""
    every = 1 if count < 20 else 2 if count < 50 else 4 if count < 120 else 10
    return count - count % every


def _thinned(count: int) -> Numbers:
    """Which of so many trials hyperparameters are fitted to: evenly some, as the cost grows with their cube."""
    return np.unique(np.linspace(0, count - 1, min(count, _MOST_FITTED)).astype(int))


def _worth_modelling(costs: Array) -> Numbers:
    """Indices of the best and of the newest, in their order."""
    if len(costs) <= _MOST_TRIALS:
        return np.arange(len(costs))
    newest = np.arange(len(costs) - _MOST_TRIALS // 2, len(costs))
    ranks = costs[: newest[0]].argsort(axis=0).argsort(axis=0).sum(axis=1)
    return np.concatenate([np.sort(ranks.argsort()[: _MOST_TRIALS // 2]), newest])
