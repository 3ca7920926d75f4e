"""The optimisers of the library cmaes behind one face: asked for parameters of a trial, told what came of a generation.

`cma_es` makes one for each start and each space. A space with categories takes the one of `mixed_cma`, one of
numbers the optimiser that the options name.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuning_study.optuna_internals import SearchSpaceTransform
from tuning_study.search.samplers.restarts import Start

Space = Mapping[str, BaseDistribution]
_SMALLEST = 1e-10  # step size that the library still divides by


class Solution(NamedTuple):
    """A finished trial of a generation. Sorted, they stand in the order in which they are told."""

    ended: datetime
    number: int
    params: Mapping[str, Any]
    cost: float
    point: Sequence[float] | None
    """Where the optimiser drew it, if that is not where it was tried."""


class Settings(NamedTuple):
    """Options of the sampler that an optimiser is made with."""

    sigma0: float | None = None
    popsize: int | None = None
    separable: bool = False
    margin: bool = False
    lr_adapt: bool = False

    @property
    def for_numbers_only(self) -> bool:
        """Whether they name an optimiser that knows no categories."""
        return self.separable or self.margin or self.lr_adapt

    def population(self, dimensions: int, start: Start) -> int:
        return math.floor((self.popsize or 4 + math.floor(3 * math.log(dimensions))) * start.population)

    def sigma(self, start: Start) -> float:
        """Of the unit cube."""
        return max((self.sigma0 or 1 / 6) * start.step, _SMALLEST)


class Optimiser(Protocol):
    @property
    def population_size(self) -> int: ...

    def ask(self, seed: int) -> tuple[dict[str, Any], list[float] | None]:
        """Parameters to try, and the point to remember with them."""

    def tell(self, solutions: Sequence[Solution]) -> None:
        """A whole generation. Raises ArithmeticError, AssertionError or LinAlgError for one that nothing can be learned
        from; what was told before is lost then, too."""

    def has_converged(self) -> bool: ...


def key_of(space: Space) -> int | tuple[int, int]:
    """Tells the generations of one space from those of others: by its dimensions, of a mixed one by those of each
    kind."""
    choices = sum(isinstance(distribution, CategoricalDistribution) for distribution in space.values())
    return (len(space) - choices, choices) if choices else len(space)


def make_optimiser(space: Space, settings: Settings, start: Start) -> Optimiser:
    if isinstance(key_of(space), int):
        return Numeric(space, settings, start)
    from tuning_study.search.samplers.mixed_cma import Mixed  # it imports cmaes, which the operator need not do

    return Mixed(space, settings, start)


class Numeric:
    """Covariance matrix adaptation of parameters that have an order."""

    def __init__(self, space: Space, settings: Settings, start: Start) -> None:
        import cmaes

        # With margin, steps are the optimiser's affair.
        self._unit = SearchSpaceTransform(dict(space), transform_step=not settings.margin, transform_0_1=True)
        dimensions = len(space)
        given: dict[str, Any] = {
            "mean": start.mean(dimensions),
            "sigma": settings.sigma(start),
            "bounds": self._unit.bounds,
            "n_max_resampling": 10 * dimensions,
            "population_size": settings.population(dimensions, start),
        }
        self._library: Any
        if settings.margin:
            self._library = cmaes.CMAwM(steps=_relative_steps(self._unit), **given)
        elif settings.separable and dimensions > 1:
            self._library = cmaes.SepCMA(**given)
        else:
            self._library = cmaes.CMA(lr_adapt=settings.lr_adapt, **given)

    @property
    def population_size(self) -> int:
        return int(self._library.population_size)

    def ask(self, seed: int) -> tuple[dict[str, Any], list[float] | None]:
        self._library.reseed_rng(seed)
        match self._library.ask():
            case tried, drawn:
                point = drawn.tolist()
            case tried:
                point = None
        return self._unit.untransform(tried), point

    def tell(self, solutions: Sequence[Solution]) -> None:
        with np.errstate(divide="raise", invalid="raise"):
            self._library.tell([(self._point(solution), solution.cost) for solution in solutions])

    def has_converged(self) -> bool:
        return bool(self._library.should_stop())

    def _point(self, solution: Solution) -> NDArray[np.float64]:
        if solution.point is not None:
            return np.array(solution.point, dtype=float)
        point: NDArray[np.float64] = self._unit.transform(dict(solution.params))
        return point


def _relative_steps(unit: SearchSpaceTransform) -> NDArray[np.float64]:
    """Each parameter's step as a share of its range; 0 where there is none."""
    steps = np.zeros(len(unit.bounds))
    for distribution, columns in zip(unit._search_space.values(), unit.column_to_encoded_columns, strict=True):
        if isinstance(distribution, FloatDistribution | IntDistribution) and distribution.step and not distribution.log:
            steps[columns] = distribution.step / (distribution.high - distribution.low)
    return steps
