"""Ways in which Auto's model could learn from an earlier study's trials, beside trying its best ones first.

`make bench-transfer` runs them. They know one objective, no limits, no failures and one worker.
"""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from optuna.distributions import CategoricalDistribution
from scipy.stats import spearmanr
from tasks.task import Point

from tuning_study.search.samplers._types import Array, Mask
from tuning_study.search.samplers.gaussian.acquisition import log_expected_improvement, most_promising
from tuning_study.search.samplers.gaussian.outcomes import Outcomes, standardised
from tuning_study.search.samplers.gaussian.proposal import Proposer, Surrogate
from tuning_study.search.samplers.gaussian.space import Dimension, Points, Space

_DOUBT = 4  # trials after which half of their agreement with the earlier study is believed
_BOWL, _BOWL_TRIALS, _MARGIN = 0.6, 10, 0.03  # as in the product
_TOPS, _EARLIER_TOPS = 8, 3  # points around which the search begins


class _Learner(Proposer):
    """The product's proposer, with another belief about what has not been tried."""

    def __init__(self, space: Space, points: Sequence[Point], costs: Sequence[float]) -> None:
        super().__init__(space)
        self.earlier = Points(*space.settled(np.array([space.row(point) for point in points])))
        self.costs = np.array(costs)

    @abstractmethod
    def learn(self, known: Points, costs: Array) -> Array:
        """What the model believes of the known points."""

    @abstractmethod
    def predict(self, points: Points) -> tuple[Array, Array]:
        """Mean and standard deviation."""

    def next(self, finished: Points, found: Outcomes, running: Points, rng: np.random.Generator) -> Array:
        fitted = self.learn(finished, found.costs[:, 0])
        there = self.earlier.rows[np.argsort(self.costs)[:_EARLIER_TOPS]]
        tops = np.vstack([finished.rows[np.argsort(fitted)[:_TOPS]], there])
        aim = float(fitted.min()) - _MARGIN * (len(finished) % 2)

        def score(rows: Array, active: Mask) -> Array:
            return log_expected_improvement(*self.predict(Points(rows, active)), aim)

        return most_promising(self._space, score, tops, {row.tobytes() for row in finished.rows}, rng)

    def bowl(self, points: Points, trials: int) -> Array:
        shrunk: Array = _BOWL * _BOWL_TRIALS / (_BOWL_TRIALS + trials) * self._bowl(points)
        return shrunk


class PriorMean(_Learner):
    """A process fitted to the earlier study is the prior mean, times how well it ranks the new study's trials: their
    rank correlation, shrunk while they are few. What is left is believed as without an earlier study."""

    def __init__(self, space: Space, points: Sequence[Point], costs: Sequence[float]) -> None:
        super().__init__(space, points, costs)
        self._then = Surrogate(space, self._active)
        self._then.learn(self.earlier, self.costs, np.zeros(len(costs)), self._bowl_then)

    def learn(self, known: Points, costs: Array) -> Array:
        self._known = len(known)
        before = self._before(known)
        agreement = spearmanr(before, costs).statistic if np.ptp(before) > 0 and np.ptp(costs) > 0 else 0.0
        self._weight = max(0.0, float(agreement)) * len(known) / (len(known) + _DOUBT)
        self._cost.learn(known, costs, np.zeros(len(known)), self._belief)
        fitted: Array = self._cost.process.fitted + self._belief(known)
        return fitted

    def predict(self, points: Points) -> tuple[Array, Array]:
        mean, deviation = self._cost.process.predict(points.rows, points.active)
        return mean + self._belief(points), deviation

    def _belief(self, points: Points) -> Array:
        mixed: Array = (1 - self._weight) * self.bowl(points, self._known) + self._weight * self._before(points)
        return mixed

    def _before(self, points: Points) -> Array:
        found: Array = self._then.process.predict(points.rows, points.active)[0] + self._bowl_then(points)
        return found

    def _bowl_then(self, points: Points) -> Array:
        return self.bowl(points, len(self.earlier))


class TaskKernel(_Learner):
    """Both studies' trials are in one process, where the study is one more category: its length scale, learned with the
    others, says how much they have in common. Costs are standardised by study."""

    def __init__(self, space: Space, points: Sequence[Point], costs: Sequence[float]) -> None:
        super().__init__(space, points, costs)
        both = Space([*space.dimensions, Dimension("study", CategoricalDistribution((0, 1)))])
        self._cost = Surrogate(both, self._active + 1)
        self._then = standardised(self.costs)

    def learn(self, known: Points, costs: Array) -> Array:
        self._known = len(known)
        every = _of_study(self.earlier, 0).and_also(_of_study(known, 1))
        # The belief is taken off here: a surrogate would standardise both studies' costs together.
        targets = np.concatenate([self._then, standardised(costs)]) - self._belief(every)
        process, nothing = self._cost.process, np.zeros(len(every))
        process.fit(every.rows, every.active, targets, nothing)
        process.condition(every.rows, every.active, targets, nothing)
        fitted: Array = (process.fitted + self._belief(every))[len(self.earlier) :]
        return fitted

    def predict(self, points: Points) -> tuple[Array, Array]:
        now = _of_study(points, 1)
        mean, deviation = self._cost.process.predict(now.rows, now.active)
        return mean + self._belief(now), deviation

    def _belief(self, points: Points) -> Array:
        size = self._space.size
        return self.bowl(Points(points.rows[:, :size], points.active[:, :size]), self._known + len(self.earlier))


def _of_study(points: Points, study: int) -> Points:
    column = np.full((len(points), 1), float(study))
    return Points(np.hstack([points.rows, column]), np.hstack([points.active, np.ones((len(points), 1), dtype=bool)]))
