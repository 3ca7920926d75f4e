"""A search space as rows of numbers, which the model and the search for the next point work on."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuning_study.search.samplers._types import Array, Mask, Numbers

_ABSENT = -1.0  # the category of a parameter that a point does not have
_MIDDLE = 0.5  # the number of one


@dataclass(frozen=True)
class Condition:
    """The parameter exists where another, which stands before it, has one of these values."""

    parameter: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Dimension:
    name: str
    distribution: BaseDistribution
    condition: Condition | None = None


@dataclass(frozen=True)
class Points:
    """Settled rows, and what they have."""

    rows: Array
    active: Mask

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: slice | Numbers | Mask) -> "Points":
        return Points(self.rows[which], self.active[which])

    def and_also(self, others: "Points") -> "Points":
        return Points(np.vstack([self.rows, others.rows]), np.vstack([self.active, others.active]))


class Space:
    """Rows are n × dimensions: a number lies in (0, 1) on its own scale, discrete ones at the middle of their bin; a
    category is its index. What a point does not have is 0.5, or the category -1, so that it adds no distance."""

    def __init__(self, dimensions: Sequence[Dimension]) -> None:
        self.dimensions = tuple(dimensions)
        self.size = len(dimensions)
        self._index = {dimension.name: number for number, dimension in enumerate(dimensions)}
        kinds = [dimension.distribution for dimension in dimensions]
        self.categories = np.array([len(d.choices) if isinstance(d, CategoricalDistribution) else 0 for d in kinds])
        self.is_category: Mask = self.categories > 0
        edges = [_edges(d) for d in kinds]
        self._low = np.array([low for low, _ in edges])
        self._width = np.array([high - low if high > low else 1.0 for low, high in edges])
        self._is_log = np.array([_is_log(d) for d in kinds])
        self.levels = np.array([_levels(d) for d in kinds])
        self._log_integers = np.flatnonzero(self._is_log & (self.levels > 0))
        self._linear_levels = np.flatnonzero(~self._is_log & (self.levels > 0))
        self._conditions = [
            (number, self._index[d.condition.parameter], self._allowed(d.condition))
            for number, d in enumerate(dimensions)
            if d.condition is not None
        ]
        self.parents = sorted({parent for _, parent, _ in self._conditions})
        self.smallest_step = np.where(~self._is_log & (self.levels > 0), 1 / np.maximum(self.levels, 1), 0.0)
        self.is_conditional: Mask = np.array([dimension.condition is not None for dimension in dimensions])
        self.owner: Numbers = np.repeat(np.arange(self.size), np.maximum(self.categories, 1))
        """The dimension that each column of `embedded` belongs to."""

    def children(self, parent: int) -> list[int]:
        return [child for child, other, _ in self._conditions if other == parent]

    def random(self, count: int, rng: np.random.Generator) -> Array:
        """Rows that are not settled yet: every parameter has a value."""
        rows = rng.random((count, self.size))
        rows[:, self.is_category] = np.floor(rows[:, self.is_category] * self.categories[self.is_category])
        return rows

    def settled(self, rows: Array) -> tuple[Array, Mask]:
        """The rows with discrete numbers at the middle of their bins and without what they do not have; and what they
        have."""
        rows = np.array(rows)
        numbers = ~self.is_category
        rows[:, numbers] = np.clip(rows[:, numbers], 0.0, 1.0)
        at = self._linear_levels
        levels = self.levels[at]
        rows[:, at] = (np.minimum(np.floor(rows[:, at] * levels), levels - 1) + 0.5) / levels
        for number in map(int, self._log_integers):
            whole = np.log(self._value(number, rows[:, number]))
            rows[:, number] = (whole - self._low[number]) / self._width[number]
        active = self.active(rows)
        return np.where(active, rows, np.where(self.is_category, _ABSENT, _MIDDLE)), active

    def active(self, rows: Array) -> Mask:
        """Which parameters each row has, by the values that it has for all of them."""
        active = np.ones(rows.shape, dtype=bool)
        for number, parent, allowed in self._conditions:
            active[:, number] = active[:, parent] & allowed(rows[:, parent])
        return active

    def changed(self, rows: Array, rng: np.random.Generator, width: Array) -> Array:
        """Rows with some of their parameters changed: numbers by about `width`, categories to any other.

        What exists in a row only after the change is drawn anew.
        """
        count = len(rows)
        active = self.active(rows)
        there = np.maximum(active.sum(axis=1), 1)
        few = rng.random(count) < 0.5
        share = np.where(few, np.minimum(1.0, 1.5 / there), 0.5 + 0.5 * rng.random(count))
        luck = np.where(active, rng.random(rows.shape), np.inf)
        luck[np.arange(count), luck.argmin(axis=1)] = 0.0
        chosen = luck < share[:, None]
        step = rng.standard_normal(rows.shape) * width[:, None]
        step = np.where(np.abs(step) < self.smallest_step, np.copysign(self.smallest_step, step), step)
        moved = rows + step
        reflected = rng.random(count)[:, None] < 0.5  # beyond an edge: back inside, or on it
        moved = np.where(reflected, np.abs(moved), moved)
        moved = np.clip(np.where(reflected & (moved > 1), 2 - moved, moved), 0.0, 1.0)
        fresh = self.random(count, rng)
        choices = np.maximum(self.categories, 1)
        other = (rows + 1 + np.floor(fresh * (choices - 1) / choices)) % choices
        switched = chosen & reflected  # categories change in half of the rows only: each change is a leap
        new = np.where(self.is_category, np.where(switched, other, rows), np.where(chosen, moved, rows))
        return np.where(active, new, fresh)

    def row(self, point: Mapping[str, Any]) -> Array:
        """Of a trial's parameters; not settled."""
        row = np.empty(self.size)
        for number, dimension in enumerate(self.dimensions):
            if dimension.name not in point:
                row[number] = 0.0 if self.is_category[number] else _MIDDLE
                continue
            internal = dimension.distribution.to_internal_repr(point[dimension.name])
            row[number] = internal if self.is_category[number] else self._unit(number, internal)
        return row

    def holds(self, point: Mapping[str, Any]) -> bool:
        """Whether every category of the point is one of this space: a trial that was given one may have any."""
        for dimension in self.dimensions:
            if dimension.name in point and isinstance(dimension.distribution, CategoricalDistribution):
                try:
                    dimension.distribution.to_internal_repr(point[dimension.name])
                except ValueError:
                    return False
        return True

    def is_whole(self, point: Mapping[str, Any]) -> bool:
        """Whether it has all that a point may have with these values: a trial may fail before it has asked for all."""
        have = self.active(self.row(point)[None])[0]
        return all(dimension.name in point for dimension, has in zip(self.dimensions, have, strict=True) if has)

    def point(self, row: Array, active: Mask) -> dict[str, Any]:
        """The parameters that a settled row has, with their values."""
        point = {}
        for number in map(int, np.flatnonzero(active)):
            dimension = self.dimensions[number]
            internal = row[number] if self.is_category[number] else self._value(number, row[number])
            point[dimension.name] = dimension.distribution.to_external_repr(float(internal))
        return point

    def embedded(self, rows: Array) -> Array:
        """Settled rows as columns in which squared distances are those of the kernel: numbers as they are, categories
        one-hot, two different ones at a distance of 1."""
        columns = np.empty((len(rows), len(self.owner)))
        start = 0
        for number, count in enumerate(np.maximum(self.categories, 1)):
            if self.is_category[number]:
                hot = rows[:, number, None] == np.arange(count)
                columns[:, start : start + count] = hot * math.sqrt(0.5)
            else:
                columns[:, start] = rows[:, number]
            start += count
        return columns

    def _allowed(self, condition: Condition) -> Any:
        parent = self._index[condition.parameter]
        distribution = self.dimensions[parent].distribution
        values = np.array([distribution.to_internal_repr(value) for value in condition.values], dtype=float)
        if self.is_category[parent]:
            return lambda column: np.isin(column, values)
        return lambda column: np.isclose(self._value(parent, column)[:, None], values, rtol=1e-9, atol=0).any(axis=1)

    def _unit(self, number: int, internal: float) -> float:
        scaled = math.log(internal) if self._is_log[number] else internal
        return float((scaled - self._low[number]) / self._width[number])

    def _value(self, number: int, unit: Any) -> Any:
        """The internal value at a place of (0, 1)."""
        distribution: Any = self.dimensions[number].distribution
        scaled = self._low[number] + unit * self._width[number]
        value = np.exp(scaled) if self._is_log[number] else scaled
        if self.levels[number] > 1:  # what has one value only is clipped to it
            step = (distribution.step if not self._is_log[number] else None) or 1
            value = distribution.low + np.rint((value - distribution.low) / step) * step
        return np.clip(value, distribution.low, distribution.high)


def _is_log(distribution: BaseDistribution) -> bool:
    return isinstance(distribution, FloatDistribution | IntDistribution) and distribution.log


def _levels(distribution: BaseDistribution) -> int:
    """How many values a number may have; 0 for any in its range, and for categories."""
    if isinstance(distribution, FloatDistribution) and distribution.single():
        return 1
    if isinstance(distribution, IntDistribution) or (
        isinstance(distribution, FloatDistribution) and distribution.step is not None
    ):
        return round((distribution.high - distribution.low) / (distribution.step or 1)) + 1
    return 0


def _edges(distribution: BaseDistribution) -> tuple[float, float]:
    """What 0 and 1 stand for, on the parameter's own scale: discrete values have half a step on both sides."""
    if not isinstance(distribution, FloatDistribution | IntDistribution):
        return 0.0, 1.0
    half = (distribution.step or 1) / 2 if _levels(distribution) > 1 else 0.0
    low, high = distribution.low - half, distribution.high + half
    return (math.log(low), math.log(high)) if distribution.log else (low, high)


def active_parameters(space: Space) -> float:
    """How many parameters a point has on average."""
    rows = space.random(256, np.random.default_rng(0))
    return float(space.active(rows).sum(axis=1).mean())
