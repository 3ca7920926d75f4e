"""CatCMA with margin (Hamano et al. 2025, arXiv:2504.07884): the optimiser of a space in which some have no order.

Made by `cma_optimisers.make_optimiser`, for `cma_es`.
"""

from collections.abc import Sequence
from typing import Any

import cmaes
import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tuning_study.optuna_internals import SearchSpaceTransform
from tuning_study.search.samplers.cma_optimisers import Settings, Solution, Space
from tuning_study.search.samplers.restarts import Start

_MOST_VALUES = 100  # of a stepped parameter; one of more is as good as continuous


class Mixed:
    """Numbers by covariance matrix adaptation and choices by their probabilities, learned together.

    A step is drawn with a margin, so that no value dies out; a parameter of two values is a choice, whatever its kind.
    """

    def __init__(self, space: Space, settings: Settings, start: Start) -> None:
        values = {name: _values(distribution) for name, distribution in space.items()}
        self._choices = {
            name: distribution.choices if isinstance(distribution, CategoricalDistribution) else values[name]
            for name, distribution in space.items()
            if isinstance(distribution, CategoricalDistribution) or len(values[name]) == 2
        }
        numbers = {name: distribution for name, distribution in space.items() if name not in self._choices}
        stepped = {name for name in numbers if 2 < len(values[name]) <= _MOST_VALUES}
        # The library has steps behind what is continuous.
        self._unit = (
            SearchSpaceTransform(
                {name: numbers[name] for name in sorted(numbers, key=lambda name: (name in stepped, name))},
                transform_0_1=True,
            )
            if numbers
            else None
        )
        self._library = _Library(
            x_space=[[0.0, 1.0]] * (len(numbers) - len(stepped)) or None,
            z_space=[_units(numbers[name], name, values[name]) for name in sorted(stepped)] or None,
            c_space=[len(choices) for choices in self._choices.values()],
            population_size=settings.population(len(space), start),
            mean=start.mean(len(numbers)),
            sigma=settings.sigma(start),
            cov=np.eye(len(numbers)),
        )

    @property
    def population_size(self) -> int:
        return int(self._library.population_size)

    def ask(self, seed: int) -> tuple[dict[str, Any], list[float] | None]:
        self._library.reseed_rng(seed)
        drawn = self._library.ask()
        chosen = np.argmax(drawn.c, axis=1)
        params = {name: choices[index] for (name, choices), index in zip(self._choices.items(), chosen, strict=True)}
        if self._unit is None:
            return params, []
        tried = np.concatenate([part for part in (drawn.x, drawn.z) if part is not None])
        return params | self._unit.untransform(tried), drawn._v_raw.tolist()

    def tell(self, solutions: Sequence[Solution]) -> None:
        with np.errstate(divide="raise", invalid="raise", over="raise"):
            self._library.tell([(self._told(solution), solution.cost) for solution in solutions])

    def has_converged(self) -> bool:
        return self._unit is not None and bool(self._library.should_stop())  # the library judges numbers alone

    def _told(self, solution: Solution) -> Any:
        chosen = np.zeros((len(self._choices), max(map(len, self._choices.values()))), dtype=bool)
        for row, (name, choices) in enumerate(self._choices.items()):
            chosen[row, choices.index(solution.params[name])] = True
        point = None if self._unit is None else np.array(solution.point, dtype=float)
        return self._library.Solution(c=chosen, _v_raw=point)


def _values(distribution: BaseDistribution) -> list[Any]:
    """Of a stepped parameter with few of them."""
    if not isinstance(distribution, FloatDistribution | IntDistribution) or not distribution.step:
        return []
    last = round((distribution.high - distribution.low) / distribution.step)
    if last >= _MOST_VALUES:
        return []
    return [*(distribution.low + index * distribution.step for index in range(last)), distribution.high]


def _units(distribution: BaseDistribution, name: str, values: Sequence[Any]) -> list[float]:
    """The values as the optimiser knows them, in the unit interval."""
    unit = SearchSpaceTransform({name: distribution}, transform_0_1=True)
    return [float(unit.transform({name: value})[0]) for value in values]


class _Library(cmaes.CatCMAwM):
    def _calc_continuous_penalty(self, v_raw: NDArray[np.float64], sorted_fvals: NDArray[np.float64]) -> Any:
        """The library measures penalties by the spread of costs, and has no answer before there was any."""
        size = self.population_size
        spread = sorted_fvals[3 * size // 4] - sorted_fvals[size // 4]
        if not self._iqhist_values and not 0 < spread < np.inf:
            return np.zeros(size)
        return super()._calc_continuous_penalty(v_raw, sorted_fvals)
