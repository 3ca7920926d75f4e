"""Where an evolution strategy starts again once it has converged. Nothing here knows trials; `cma_es` asks.

All is found from the number of the start and from how many trials the starts before it took, so that every worker comes
to the same next start. Sources: IPOP, a larger population each time, Auger and Hansen 2005; BIPOP, large and small ones
in turn, Hansen 2009.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Strategy = Literal["None", "IPOP", "BIPOP"]
_ALIKE = 1e-3  # of the widest spread of costs that there was
_IN_A_ROW = 3  # generations, lest one decide that is alike by chance
_SEED = 20050902  # any number, and the same in every worker


class Start(NamedTuple):
    number: int = 0
    population: float = 1.0
    """How many times that of the first start."""
    step: float = 1.0
    """Initial step size, as a share of that of the first start."""

    def mean(self, dimensions: int) -> NDArray[np.float64]:
        """Where it begins in the unit cube: the first in the middle, later ones anywhere."""
        if self.number == 0:
            return np.full(dimensions, 0.5)
        return np.random.default_rng([_SEED, self.number]).random(dimensions)


class Convergence:
    """Tells from the costs of one start's generations whether more of them are worth little.

    The library's criteria ask for differences of 1e-12, which few studies live to see.
    """

    def __init__(self) -> None:
        self._widest = 0.0
        self._in_a_row = 0

    def reached_with(self, costs: Sequence[float]) -> bool:
        """Whether the better half of this generation, and of the ones before, is as good as its best."""
        ordered = sorted(costs)
        spread = ordered[len(ordered) // 2] - ordered[0]
        if math.isfinite(spread):
            self._widest = max(self._widest, spread)
        self._in_a_row = self._in_a_row + 1 if spread <= _ALIKE * self._widest else 0
        return self._in_a_row >= _IN_A_ROW


class Restarts:
    """Says what the next start is like."""

    def __init__(self, strategy: Strategy, increase: int) -> None:
        self._strategy = strategy
        self._increase = increase
        self._large = 0  # starts with a large population, besides the first
        self._trials = {"large": 0, "small": 0}
        self._regime: Literal["large", "small"] = "large"

    @property
    def wanted(self) -> bool:
        return self._strategy != "None"

    def after(self, start: Start, trials: int) -> Start:
        """The start after one that took so many trials."""
        if self._strategy == "None":
            return start
        number = start.number + 1
        if self._strategy == "IPOP":
            return Start(number, float(self._increase**number))
        if number > 1:  # the first is of neither regime
            self._trials[self._regime] += trials
        if self._trials["small"] < self._trials["large"]:
            self._regime = "small"
            chance, narrow = np.random.default_rng([_SEED, number, 1]).random(2)
            return Start(number, self._increase ** (self._large * chance**2), 10.0 ** (-2 * narrow))
        self._regime = "large"
        self._large += 1
        return Start(number, float(self._increase**self._large))
