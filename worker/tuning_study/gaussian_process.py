"""Bayesian optimisation with scikit-learn's Gaussian process: Optuna's own needs PyTorch, gigabytes in every image.

Sources: expected improvement, Jones et al. 1998; several objectives by random augmented Tchebycheff weights,
Knowles 2006 (ParEGO); what runs already is taken to end as predicted, Ginsbourger et al. 2010 (kriging believer).
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution
from optuna.search_space import IntersectionSearchSpace
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tuning_study.history import all_trials
from tuning_study.reseeded import ReseededSampler

Array = NDArray[np.float64]

_MOST_TRIALS = 300  # fitting costs their cube; the best and the newest are kept
_CANDIDATES = 2000
_STEPS = (0.1, 0.03, 0.01)  # of the search around the best candidates, as shares of each range
_RHO = 0.05  # ParEGO's weight of the sum beside the worst objective


class GaussianProcessSampler(ReseededSampler):
    """Samples the parameters that all trials share from the process; the others, and the first trials, at random."""

    def __init__(self, n_startup_trials: int = 10, seed: int | None = None) -> None:
        self._startup = n_startup_trials
        self._space = IntersectionSearchSpace()
        super().__init__(seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        space = self._space.calculate(study, use_cache=True)
        return {name: distribution for name, distribution in space.items() if not distribution.single()}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        trials = all_trials(study)
        complete = [t for t in trials if t.state is TrialState.COMPLETE and t.values]
        if not search_space or len(complete) < self._startup:
            return {}
        transform = _SearchSpaceTransform(search_space, transform_0_1=True)
        costs = _scalarised(_costs(complete, study.directions), self._rng)
        kept = _worth_keeping(costs)
        points = np.array([transform.transform(complete[index].params) for index in kept])
        running = [
            transform.transform(other.params)
            for other in trials
            if other.state is TrialState.RUNNING and search_space.keys() <= other.params.keys()
        ]
        process, points, costs = _believe(_fitted(points, costs[kept]), points, costs[kept], running)
        return transform.untransform(self._most_promising(process, points, costs))

    def _most_promising(self, process: Any, points: Array, costs: Array) -> Array:
        """The candidate of the largest expected improvement: first anywhere, then around the best found."""
        dimensions = points.shape[1]
        candidates = np.vstack([self._rng.random((_CANDIDATES, dimensions)), points[np.argsort(costs)[:10]]])
        for step in _STEPS:
            gains = _expected_improvement(process, candidates, costs.min())
            best = candidates[np.argsort(gains)[-10:]]
            around = best.repeat(20, axis=0) + self._rng.normal(0, step, (200, dimensions))
            candidates = np.vstack([best, np.clip(around, 0, 1)])
        gains = _expected_improvement(process, candidates, costs.min())
        chosen: Array = candidates[int(np.argmax(gains))]
        return chosen


def _costs(trials: Sequence[FrozenTrial], directions: Sequence[StudyDirection]) -> Array:
    """Values to minimise, each objective from 0 to 1; an infeasible trial costs as much as the worst."""
    signs = np.array([-1.0 if direction is StudyDirection.MAXIMIZE else 1.0 for direction in directions])
    values = np.array([trial.values for trial in trials]) * signs
    finite = np.where(np.isfinite(values), values, np.nan)
    low, high = np.nanmin(finite, axis=0), np.nanmax(finite, axis=0)
    scaled: Array = (np.clip(values, low, high) - low) / np.where(high > low, high - low, 1.0)
    infeasible = [any(value > 0 for value in trial.constraints.values()) for trial in trials]
    scaled[infeasible] = 1.0
    return scaled


def _scalarised(costs: Array, rng: np.random.Generator) -> Array:
    if costs.shape[1] == 1:
        single: Array = costs[:, 0]
        return single
    weights = rng.dirichlet(np.ones(costs.shape[1]))
    both: Array = (costs * weights).max(axis=1) + _RHO * (costs * weights).sum(axis=1)
    return both


def _worth_keeping(costs: Array) -> NDArray[np.intp]:
    half = _MOST_TRIALS // 2
    if len(costs) <= _MOST_TRIALS:
        return np.arange(len(costs))
    newest = np.arange(len(costs) - half, len(costs))
    best = np.argsort(costs[:-half])[:half]
    return np.concatenate([best, newest])


def _fitted(points: Array, costs: Array) -> Any:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

    scales = np.full(points.shape[1], 0.5)
    kernel = ConstantKernel(1.0, (1e-2, 1e2)) * Matern(scales, (1e-2, 1e2), nu=2.5) + WhiteKernel(1e-3, (1e-6, 1.0))
    process = GaussianProcessRegressor(kernel, normalize_y=True, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length scale at its bound is an answer too
        return process.fit(points, costs)


def _believe(process: Any, points: Array, costs: Array, running: Sequence[Array]) -> tuple[Any, Array, Array]:
    """The process as if each running trial had ended as predicted, so that workers do not crowd together."""
    if not running:
        return process, points, costs
    believed = np.array(running)
    points, costs = np.vstack([points, believed]), np.concatenate([costs, process.predict(believed)])
    fixed = type(process)(process.kernel_, optimizer=None, normalize_y=True)
    return fixed.fit(points, costs), points, costs


def _expected_improvement(process: Any, candidates: Array, best: float) -> Array:
    from scipy.stats import norm

    mean, deviation = process.predict(candidates, return_std=True)
    deviation = np.maximum(deviation, 1e-9)
    z = (best - mean) / deviation
    gains: Array = deviation * (z * norm.cdf(z) + norm.pdf(z))
    return gains
