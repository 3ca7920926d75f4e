"""A Gaussian process over settled rows: its hyperparameters by maximum a posteriori, its mean and deviation anywhere.

Kernel: Matérn 5/2 with a length scale for each parameter, on numbers that a learned curve bends (Snoek et al. 2014,
arXiv:1402.0929: Kumaraswamy's distribution function), plus a polynomial in each parameter alone, for what has the same
effect wherever the others stand. Length scales have a prior that grows with the dimension (Hvarfner et al. 2024,
arXiv:2402.02229).
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import cho_solve, lapack, solve_triangular
from scipy.optimize import minimize

from tuning_study.search.samplers._types import Array, Mask
from tuning_study.search.samplers.gaussian.space import Space

_SQRT5 = math.sqrt(5.0)
_ITERATIONS = 20  # of the search for hyperparameters
_JITTER = 1e-8
_EDGE = 1e-5  # numbers keep this distance from 0 and 1, where the curve has no slope


@dataclass(frozen=True)
class Prior:
    """Of the logarithms of hyperparameters: normal, with bounds."""

    mean: Array
    spread: Array
    low: Array
    high: Array


class Layout:
    """Where each hyperparameter stands in a vector of them, all as logarithms."""

    def __init__(self, space: Space, active: float) -> None:
        size, numbers = space.size, int((~space.is_category).sum())
        self.numbers = np.flatnonzero(~space.is_category)
        self.length = slice(0, size)
        self.bend_a = slice(size, size + numbers)
        self.bend_b = slice(size + numbers, size + 2 * numbers)
        self.noise, self.effects, self.signal = (size + 2 * numbers + offset for offset in range(3))
        parts = [
            (size, math.log(0.3 * math.sqrt(max(active, 1.0))), 1.0, math.log(0.02), math.log(50.0)),
            (2 * numbers, 0.0, 0.35, -1.5, 1.5),
            (1, math.log(1e-3), 2.0, math.log(1e-6), 0.0),
            (1, math.log(0.3), 1.0, math.log(1e-3), math.log(10.0)),
            (1, 0.0, 0.5, math.log(0.05), math.log(10.0)),
        ]
        columns = [np.concatenate([np.full(part[0], part[column]) for part in parts]) for column in range(1, 5)]
        self.prior = Prior(*columns)


@dataclass(frozen=True)
class _Curve:
    """The curve u -> 1 - (1 - u^a)^b at some numbers, and its slopes by the logarithms of a and b."""

    values: Array
    by_a: Array
    by_b: Array


class GaussianProcess:
    """Not safe for several threads."""

    def __init__(self, space: Space, active: float) -> None:
        self._space = space
        self._layout = Layout(space, active)
        self._at = np.searchsorted(space.owner, self._layout.numbers)  # columns of numbers
        self.hyperparameters = self._layout.prior.mean.copy()

    def fit(self, rows: Array, active: Mask, targets: Array, variances: Array) -> None:
        """Hyperparameters of the largest posterior density, from the prior's mean: the same data give the same ones."""
        columns, effects = self._space.embedded(rows), _effects(self._space, rows, active)
        shared = effects @ effects.T
        prior = self._layout.prior

        def loss(given: Array) -> tuple[float, Array]:
            return self._loss(given, columns, shared, targets, variances)

        found: Any = minimize(
            loss,
            prior.mean,
            jac=True,
            method="L-BFGS-B",
            bounds=list(zip(prior.low, prior.high, strict=True)),
            options={"maxiter": _ITERATIONS},
        )
        self.hyperparameters = found.x

    def condition(self, rows: Array, active: Mask, targets: Array, variances: Array) -> None:
        """What is known, for `predict`."""
        layout, given = self._layout, self.hyperparameters
        self._scale = np.exp(-given[layout.length])[self._space.owner]
        self._known = self._bent(given, self._space.embedded(rows)) * self._scale
        self._squares = (self._known**2).sum(axis=1)
        self._effects = _effects(self._space, rows, active)
        self._noise, self._share, self._signal = np.exp(given[[layout.noise, layout.effects, layout.signal]])
        covariance = self._covariance(self._known, self._effects)
        noisy = covariance.copy()
        noisy.flat[:: len(rows) + 1] += (self._noise + _JITTER) + variances
        factor = np.linalg.cholesky(noisy)
        self._weights = cho_solve((factor, True), targets, check_finite=False)
        self._inverse = solve_triangular(factor, np.eye(len(rows)), lower=True, check_finite=False)
        self.fitted: Array = covariance @ self._weights
        """The mean at what is known, without the noise."""

    def predict(self, rows: Array, active: Mask) -> tuple[Array, Array]:
        """Mean and standard deviation at settled rows, without the noise."""
        columns = self._bent(self.hyperparameters, self._space.embedded(rows)) * self._scale
        effects = _effects(self._space, rows, active)
        covariance = self._covariance(columns, effects)
        prior = self._signal + self._share * (effects**2).sum(axis=1)
        explained = covariance @ self._inverse.T
        variance = np.maximum(prior - (explained**2).sum(axis=1), 1e-12)
        return covariance @ self._weights, np.sqrt(variance)

    def _covariance(self, columns: Array, effects: Array) -> Array:
        squares = (columns**2).sum(axis=1)[:, None] + self._squares - 2 * columns @ self._known.T
        distance = np.sqrt(np.maximum(squares, 0.0))
        matern = (1 + _SQRT5 * distance + (5 / 3) * distance**2) * np.exp(-_SQRT5 * distance)
        both: Array = self._signal * matern + self._share * (effects @ self._effects.T)
        return both

    def _bent(self, given: Array, columns: Array) -> Array:
        """Embedded columns with the curve laid on their numbers."""
        bent = columns.copy()
        bent[:, self._at] = self._curve(given, columns).values
        return bent

    def _curve(self, given: Array, columns: Array) -> _Curve:
        a, b = np.exp(given[self._layout.bend_a]), np.exp(given[self._layout.bend_b])
        logarithms = np.log(np.clip(columns[:, self._at], _EDGE, 1 - _EDGE))
        power = np.exp(a * logarithms)
        rest = 1 - power
        tail = rest**b
        return _Curve(1 - tail, a * b * tail / rest * power * logarithms, -b * tail * np.log(rest))

    def _loss(
        self, given: Array, columns: Array, shared: Array, targets: Array, variances: Array
    ) -> tuple[float, Array]:
        """The negative logarithm of the posterior density, and its gradient."""
        layout, prior, count = self._layout, self._layout.prior, len(targets)
        curve, at = self._curve(given, columns), self._at
        bent = columns.copy()
        bent[:, at] = curve.values
        weights = np.exp(-2 * given[layout.length])[self._space.owner]
        scaled = bent * np.sqrt(weights)
        norms = (scaled**2).sum(axis=1)
        squares = np.maximum(norms[:, None] + norms - 2 * scaled @ scaled.T, 0.0)
        squares.flat[:: count + 1] = 0.0
        distance = np.sqrt(squares)
        decay = np.exp(-_SQRT5 * distance)
        noise, share, signal = np.exp(given[[layout.noise, layout.effects, layout.signal]])
        matern = signal * (1 + _SQRT5 * distance + (5 / 3) * squares) * decay
        covariance = matern + share * shared
        covariance.flat[:: count + 1] += noise + _JITTER + variances
        factor, info = lapack.dpotrf(covariance, lower=1, clean=1)
        if info:
            return 1e10, np.zeros_like(given)
        solved = cho_solve((factor, True), targets, check_finite=False)
        inverse, _ = lapack.dpotri(factor, lower=1)
        inverse = np.tril(inverse) + np.tril(inverse, -1).T
        pull = np.outer(solved, solved) - inverse
        # The slope by squared distances. Sums over pairs of (x_i - x_j)(y_i - y_j) are products with this matrix.
        slope = pull * (signal * (5 / 3) * (1 + _SQRT5 * distance) * decay)
        rows = slope.sum(axis=1)
        products = slope @ bent
        by_column = 2 * ((bent**2 * rows[:, None]).sum(axis=0) - (bent * products).sum(axis=0))
        gradient = np.empty_like(given)
        gradient[layout.length] = -0.5 * np.bincount(self._space.owner, by_column * weights, self._space.size)
        for part, direction in ((layout.bend_a, curve.by_a), (layout.bend_b, curve.by_b)):
            moved = bent[:, at] * rows[:, None] - products[:, at]
            gradient[part] = (direction * moved).sum(axis=0) * weights[at]
        gradient[layout.noise] = -0.5 * noise * np.trace(pull)
        gradient[layout.effects] = -0.5 * share * (pull * shared).sum()
        gradient[layout.signal] = -0.5 * (pull * matern).sum()
        away = (given - prior.mean) / prior.spread
        loss = 0.5 * targets @ solved + np.log(np.diag(factor)).sum() + 0.5 * away @ away
        return float(loss), gradient + away / prior.spread


def _effects(space: Space, rows: Array, active: Mask) -> Array:
    """Features whose products are the covariance of effects that each parameter has by itself: a polynomial of a
    number, one value for each category."""
    centred = np.where(active & ~space.is_category, 2 * rows - 1, 0.0)[:, ~space.is_category]
    there = active[:, ~space.is_category]
    linear, quadratic = centred, np.where(there, 1.5 * (centred**2 - 1 / 3), 0.0)
    parts = [np.full((len(rows), 1), 0.5), linear, quadratic]
    for number in np.flatnonzero(space.is_category):
        parts.append((rows[:, number, None] == np.arange(space.categories[number])) * 0.7)
    return np.hstack(parts) / math.sqrt(space.size)
