"""CMA-ES without pickle: Optuna's sampler keeps its optimiser as a pickle in the store, so that whoever may write there
runs code in every worker. Here the optimiser is rebuilt from the finished trials, generation by generation.

Sources: Hansen 2016 (arXiv:1604.00772), with margin for steps Hamano et al. 2022, learning rate adaptation Nomura et
al. 2023, diagonal covariance Ros and Hansen 2008; all by the library cmaes.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna._transform import _SearchSpaceTransform
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tuning_study.history import Cursor, all_trials
from tuning_study.reseeded import ReseededSampler

_DRAWN = "cma:drawn"  # system attribute of a trial: of which generation it is
_SMALLEST = 1e-10  # step size that the library still divides by


class Solution(NamedTuple):
    """A finished trial of a generation. Sorted, they stand in the order in which they are told."""

    ended: datetime
    number: int
    params: Mapping[str, Any]
    cost: float
    point: Sequence[float] | None
    """Where the optimiser drew it, if that is not where it was tried (with margin)."""


class CovarianceMatrixSampler(ReseededSampler):
    """Draws the ordered parameters that all trials share together; the others, and the first trials, at random.

    A generation is over when as many of its trials have ended as it has members. Those that ended first are told, so
    that each worker comes to the same next generation, whenever it looks; those that end later are not used. One
    instance serves a process for all trials of one study; `reseed` makes each of them repeatable.

    The options are those of Optuna's CmaEsSampler.
    """

    def __init__(
        self,
        sigma0: float | None = None,
        n_startup_trials: int = 1,
        popsize: int | None = None,
        consider_pruned_trials: bool = False,
        use_separable_cma: bool = False,
        with_margin: bool = False,
        lr_adapt: bool = False,
        seed: int | None = None,
    ) -> None:
        if use_separable_cma + with_margin + lr_adapt > 1:
            raise ValueError("only one of useSeparableCma, withMargin and lrAdapt can be true")
        self._sigma0 = sigma0
        self._startup = n_startup_trials
        self._popsize = popsize
        self._consider_pruned = consider_pruned_trials
        self._separable = use_separable_cma
        self._margin = with_margin
        self._lr_adapt = lr_adapt
        self._lock = Lock()
        self._cursor = Cursor()
        self._count = 0
        self._space: dict[str, BaseDistribution] | None = None  # what all finished trials share
        self._generations: dict[tuple[int, int], list[Solution]] = defaultdict(list)  # by dimensions and generation
        self._search: _Search | None = None
        super().__init__(seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        with self._lock:
            self._read(study)
            return {
                name: distribution
                for name, distribution in sorted((self._space or {}).items())
                if not distribution.single() and not isinstance(distribution, CategoricalDistribution)
            }

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        with self._lock:
            self._read(study)
            if not search_space or self._count < self._startup:
                return {}
            if self._search is None or self._search.space != search_space:
                # With margin, steps are the optimiser's affair.
                unit = _SearchSpaceTransform(search_space, transform_step=not self._margin, transform_0_1=True)
                self._search = _Search(search_space, unit, self._optimiser(unit))
            params, drawn = self._search.draw(self._generations, int(self._rng.integers(2**32)))
        study._storage.set_trial_system_attr(trial._trial_id, _DRAWN, drawn)
        return params

    def _read(self, study: optuna.Study) -> None:
        # Of several objectives the first, by which the best trial is named, too.
        sign = -1.0 if study.directions[0] is StudyDirection.MAXIMIZE else 1.0
        for trial in self._cursor.finished(all_trials(study)):
            value = self._value(trial)
            if value is None:
                continue
            self._count += 1
            shared = trial.distributions if self._space is None else self._space
            self._space = {name: d for name, d in shared.items() if trial.distributions.get(name) == d}
            match trial.system_attrs.get(_DRAWN), trial.datetime_complete:
                case {
                    "dimensions": int(dimensions),
                    "generation": int(generation),
                    "point": point,
                }, datetime() as ended:
                    solution = Solution(ended, trial.number, trial.params, sign * value, point)
                    insort(self._generations[dimensions, generation], solution, key=lambda s: (s.ended, s.number))

    def _value(self, trial: FrozenTrial) -> float | None:
        if trial.state is TrialState.COMPLETE:
            return float(trial.values[0])
        if trial.state is TrialState.PRUNED and self._consider_pruned and trial.intermediate_values:
            return float(trial.intermediate_values[max(trial.intermediate_values)])
        return None

    def _optimiser(self, unit: _SearchSpaceTransform) -> Any:
        import cmaes

        dimensions = len(unit.bounds)
        settings: dict[str, Any] = {
            "mean": np.full(dimensions, 0.5),
            "sigma": max(self._sigma0 or 1 / 6, _SMALLEST),
            "bounds": unit.bounds,
            "n_max_resampling": 10 * dimensions,
            "population_size": self._popsize,
        }
        if self._margin:
            return cmaes.CMAwM(steps=_relative_steps(unit), **settings)
        if self._separable and dimensions > 1:
            return cmaes.SepCMA(**settings)
        return cmaes.CMA(lr_adapt=self._lr_adapt, **settings)


class _Search:
    """The optimiser of one space, and how far it has come."""

    def __init__(self, space: dict[str, BaseDistribution], unit: _SearchSpaceTransform, optimiser: Any) -> None:
        self.space = space
        self._unit = unit
        self._optimiser = optimiser

    def draw(
        self, generations: Mapping[tuple[int, int], Sequence[Solution]], seed: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """The parameters of a new member of the newest generation, and what its trial has to remember."""
        optimiser, size = self._optimiser, self._optimiser.population_size
        while len(ended := generations.get((len(self.space), optimiser.generation), ())) >= size:
            optimiser.tell([(self._point(solution), solution.cost) for solution in ended[:size]])
        optimiser.reseed_rng(seed)
        match optimiser.ask():
            case tried, drawn:
                point = drawn.tolist()
            case tried:
                point = None
        remember = {"dimensions": len(self.space), "generation": optimiser.generation, "point": point}
        return self._unit.untransform(tried), remember

    def _point(self, solution: Solution) -> NDArray[np.float64]:
        if solution.point is not None:
            return np.array(solution.point, dtype=float)
        point: NDArray[np.float64] = self._unit.transform(dict(solution.params))
        return point


def _relative_steps(unit: _SearchSpaceTransform) -> NDArray[np.float64]:
    """Each parameter's step as a share of its range; 0 where there is none."""
    steps = np.zeros(len(unit.bounds))
    for distribution, columns in zip(unit._search_space.values(), unit.column_to_encoded_columns, strict=True):
        if isinstance(distribution, FloatDistribution | IntDistribution) and distribution.step and not distribution.log:
            steps[columns] = distribution.step / (distribution.high - distribution.low)
    return steps
