"""Mixtures of product kernels over a mixed space: the two densities of a tree-structured Parzen estimator.

Every ordered parameter is mapped to the unit interval (its logarithm where the scale is one; a stepped one with half a
step to either side), so that a kernel is a normal distribution truncated to [0, 1] whatever the parameter is.
Sources: kernels and prior, Bergstra et al. 2011; products instead of single parameters, Falkner et al. 2018 (BOHB);
bandwidths and categorical kernels as Optuna has them, Watanabe 2023 (arXiv:2304.11127).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuning_study.search.samplers._types import Array

_NARROWEST = 100  # no kernel is narrower than this part of its range
_ANY = -1.0  # in place of an observed choice
_TINY = 1e-300  # where a cell's probability vanishes, its logarithm stays finite


@dataclass(frozen=True)
class Scale:
    """One parameter's way to the unit interval and back. Values are Optuna's internal ones: numbers."""

    distribution: BaseDistribution

    @property
    def choices(self) -> int:
        """How many values an unordered parameter has; 0 for an ordered one."""
        return len(self.distribution.choices) if isinstance(self.distribution, CategoricalDistribution) else 0

    @property
    def step(self) -> float:
        """0 for a continuous parameter."""
        return float(self._ordered.step or 0)

    @property
    def _ordered(self) -> FloatDistribution | IntDistribution:
        assert isinstance(self.distribution, FloatDistribution | IntDistribution)
        return self.distribution

    def unit(self, values: Array) -> Array:
        low, high = self._ends()
        inside = np.clip(values, *self._range())
        units: Array = ((np.log(inside) if self._ordered.log else inside) - low) / (high - low)
        return units

    def value(self, unit: Array) -> Array:
        low, high = self._ends()
        raw = low + unit * (high - low)
        values = np.exp(raw) if self._ordered.log else raw
        if self.step:
            values = self._ordered.low + np.round((values - self._ordered.low) / self.step) * self.step
        return np.clip(values, self._ordered.low, self._ordered.high)

    def _range(self) -> tuple[float, float]:
        return self._ordered.low - self.step / 2, self._ordered.high + self.step / 2

    def _ends(self) -> tuple[float, float]:
        low, high = self._range()
        return (math.log(low), math.log(high)) if self._ordered.log else (low, high)


@dataclass(frozen=True)
class Kernels:
    """What a density is built from: `rows` (kernels × parameters), their weights, and of how many they stand."""

    rows: Array
    weights: Array
    stands_for: int


class Mixture:
    """A density over some parameters: a kernel for each row, and one for the prior with the weight 1."""

    def __init__(self, scales: Sequence[Scale], kernels: Kernels) -> None:
        self._scales = scales
        weights = np.append(kernels.weights, 1.0)
        self._weights = weights / weights.sum()
        self._ordered = [index for index, scale in enumerate(scales) if not scale.choices]
        self._unordered = [index for index, scale in enumerate(scales) if scale.choices]
        observed = np.empty((len(kernels.rows), len(self._ordered)))
        for column, index in enumerate(self._ordered):
            observed[:, column] = scales[index].unit(kernels.rows[:, index])
        self._centres = np.vstack([observed, np.full((1, len(self._ordered)), 0.5)])
        self._widths = np.vstack([_widths(observed, kernels.stands_for), np.ones((1, len(self._ordered)))])
        self._choices = np.vstack([kernels.rows[:, self._unordered], np.full((1, len(self._unordered)), _ANY)])
        self._smoothing = 1 / (kernels.stands_for + 1)  # the weight of each choice beside the observed one's

    def sample(self, rng: np.random.Generator, size: int) -> Array:
        """Points in internal values: size × parameters."""
        from scipy.special import ndtri

        chosen = rng.choice(len(self._weights), size=size, p=self._weights)
        points = np.empty((size, len(self._scales)))
        centres, widths = self._centres[chosen], self._widths[chosen]
        low, mass = _tail_and_mass(centres, widths)
        units = np.clip(centres + widths * ndtri(low + rng.random(low.shape) * mass), 0, 1)
        for column, index in enumerate(self._ordered):
            points[:, index] = self._scales[index].value(units[:, column])
        for column, index in enumerate(self._unordered):
            observed, among = self._choices[chosen, column], self._scales[index].choices
            any_of_them = among * self._smoothing / (1 + among * self._smoothing)
            random = (observed == _ANY) | (rng.random(size) < any_of_them)
            points[:, index] = np.where(random, rng.integers(among, size=size), observed)
        return points

    def log_density(self, points: Array) -> Array:
        """Of each point; its probability as far as parameters are discrete."""
        terms = np.log(self._weights) - np.log(_tail_and_mass(self._centres, self._widths)[1]).sum(axis=1)
        terms = terms + self._log_smooth(points)
        for column, index in enumerate(self._ordered):
            if self._scales[index].step:
                terms += self._log_cells(points[:, index], column)
        for column, index in enumerate(self._unordered):
            terms += self._log_choices(points[:, index], column)
        most = terms.max(axis=1)
        densities: Array = most + np.log(np.exp(terms - most[:, None]).sum(axis=1))
        return densities

    def _log_smooth(self, points: Array) -> Array:
        """points × kernels, summed over the continuous parameters: their squared distances as three products."""
        columns = [column for column, index in enumerate(self._ordered) if not self._scales[index].step]
        units = np.empty((len(points), len(columns)))
        for place, column in enumerate(columns):
            units[:, place] = self._scales[self._ordered[column]].unit(points[:, self._ordered[column]])
        centres, widths = self._centres[:, columns], self._widths[:, columns]
        precision = widths**-2
        squares = (centres**2 * precision).sum(axis=1) - 2 * units @ (centres * precision).T + units**2 @ precision.T
        logs: Array = -0.5 * squares - np.log(widths * math.sqrt(2 * math.pi)).sum(axis=1)
        return logs

    def _log_cells(self, values: Array, column: int) -> Array:
        """points × kernels for a stepped parameter. Few values and kernels differ from each other."""
        from scipy.special import ndtr

        scale = self._scales[self._ordered[column]]
        cells, cell_of = np.unique(values, return_inverse=True)
        kernels, kernel_of = np.unique(self._centres[:, column] + 1j * self._widths[:, column], return_inverse=True)
        ends = scale.unit(np.stack([cells - scale.step / 2, cells + scale.step / 2]))[..., None]
        left, right = ndtr((ends - kernels.real) / kernels.imag)
        logs: Array = np.log(np.maximum(right - left, _TINY))[cell_of[:, None], kernel_of]
        return logs

    def _log_choices(self, values: Array, column: int) -> Array:
        """points × kernels for an unordered parameter."""
        among, smoothing = self._scales[self._unordered[column]].choices, self._smoothing
        same = values[:, None] == self._choices[:, column]
        logs: Array = np.log(np.where(same, 1 + smoothing, smoothing) / (1 + among * smoothing))
        logs[:, -1] = -math.log(among)
        return logs


def closeness(scales: Sequence[Scale], rows: Array, points: Array) -> Array:
    """Of each row to the nearest of the points: the logarithm of a narrow kernel there, up to a constant."""
    ordered = [index for index, scale in enumerate(scales) if not scale.choices]
    units, anchors = (
        np.stack([_NARROWEST * scales[i].unit(values[:, i]) for i in ordered])
        if ordered
        else np.zeros((1, len(values)))
        for values in (rows, points)
    )
    squares = (units**2).sum(axis=0) - 2 * anchors.T @ units + (anchors**2).sum(axis=0)[:, None]
    for index, scale in enumerate(scales):
        if scale.choices:
            squares += 2 * math.log(len(rows) + 1) * (rows[:, index] != points[:, index, None])
    nearest: Array = -0.5 * squares.min(axis=0)
    return nearest


def _tail_and_mass(centres: Array, widths: Array) -> tuple[Array, Array]:
    """What a normal distribution has below 0, and what it has between 0 and 1."""
    from scipy.special import ndtr

    below = ndtr(-centres / widths)
    return below, ndtr((1 - centres) / widths) - below


def _widths(centres: Array, stands_for: int) -> Array:
    """The larger distance to a neighbour, in each column; at the ends the one that there is."""
    count = len(centres)
    order = np.argsort(centres, axis=0)
    padded = np.vstack(
        [np.zeros((1, centres.shape[1])), np.take_along_axis(centres, order, 0), np.ones((1, centres.shape[1]))]
    )
    gaps = np.diff(padded, axis=0)
    larger = np.maximum(gaps[:-1], gaps[1:])
    if count > 1:
        larger[0], larger[-1] = gaps[1], gaps[-2]
    widths = np.empty_like(centres)
    np.put_along_axis(widths, order, larger, 0)
    return np.clip(widths, 1 / min(_NARROWEST, 2 + stands_for), 1)
