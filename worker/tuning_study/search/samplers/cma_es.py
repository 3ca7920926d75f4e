"""CMA-ES without pickle: Optuna's sampler keeps its optimiser as a pickle in the store, so that whoever may write there
runs code in every worker. Here the optimiser is rebuilt from the finished trials, generation by generation.

Sources: Hansen 2016 (arXiv:1604.00772), with margin for steps Hamano et al. 2022, learning rate adaptation Nomura et
al. 2023, diagonal covariance Ros and Hansen 2008; all by the library cmaes, which `cma_optimisers` knows. Spaces with
categories are in `mixed_cma`, restarts in `restarts`.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import Lock
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tuning_study.optuna_internals import set_system_attribute
from tuning_study.search.samplers.cma_optimisers import Settings, Solution, key_of, make_optimiser
from tuning_study.search.samplers.reseeded import ReseededSampler
from tuning_study.search.samplers.restarts import Convergence, Restarts, Start, Strategy
from tuning_study.search.samplers.trial_cursor import Cursor, all_trials

Key = tuple[int | tuple[int, int], int]  # the space and the number of a generation
_DRAWN = "cma:drawn"  # system attribute of a trial: of which generation it is


class CovarianceMatrixSampler(ReseededSampler):
    """Draws the parameters that all trials share together; the others, and the first trials, at random.

    A generation is over when as many of its trials have ended as it has members. Those that ended first are told, so
    that each worker comes to the same next generation, whenever it looks; those that end later are not used. One
    instance serves a process for all trials of one study; `reseed` makes each of them repeatable.

    The options are those of Optuna's CmaEsSampler; restarts are what Optuna had until version 4.4.
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
        restarts: Strategy = "None",
        inc_popsize: int = 2,
        seed: int | None = None,
    ) -> None:
        if use_separable_cma + with_margin + lr_adapt > 1:
            raise ValueError("only one of useSeparableCma, withMargin and lrAdapt can be true")
        self._startup = n_startup_trials
        self._consider_pruned = consider_pruned_trials
        self._settings = Settings(sigma0, popsize, use_separable_cma, with_margin, lr_adapt)
        self._restarts, self._increase = restarts, inc_popsize
        self._lock = Lock()
        self._cursor = Cursor()
        self._count = 0
        self._space: dict[str, BaseDistribution] | None = None  # what all finished trials share
        self._generations: dict[Key, list[Solution]] = defaultdict(list)
        self._search: _Search | None = None
        super().__init__(seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        with self._lock:
            self._read(study)
            return {
                name: distribution
                for name, distribution in sorted((self._space or {}).items())
                if not distribution.single() and not self._is_left_out(distribution)
            }

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        with self._lock:
            self._read(study)
            if not search_space or self._count < self._startup:
                return {}
            if self._search is None or self._search.space != search_space:
                self._search = _Search(search_space, self._settings, Restarts(self._restarts, self._increase))
            params, drawn = self._search.draw(self._generations, int(self._rng.integers(2**32)))
        set_system_attribute(study, trial, _DRAWN, drawn)
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
                    "dimensions": int() | [int(), int()] as dimensions,
                    "generation": int(generation),
                    "point": point,
                }, datetime() as ended:
                    solution = Solution(ended, trial.number, trial.params, sign * value, point)
                    key = tuple(dimensions) if isinstance(dimensions, list) else dimensions
                    insort(self._generations[key, generation], solution, key=lambda s: (s.ended, s.number))

    def _is_left_out(self, distribution: BaseDistribution) -> bool:
        return self._settings.for_numbers_only and isinstance(distribution, CategoricalDistribution)

    def _value(self, trial: FrozenTrial) -> float | None:
        if trial.state is TrialState.COMPLETE:
            return float(trial.values[0])
        if trial.state is TrialState.PRUNED and self._consider_pruned and trial.intermediate_values:
            return float(trial.intermediate_values[max(trial.intermediate_values)])
        return None


class _Search:
    """The optimiser of one space, and how far it has come."""

    def __init__(self, space: dict[str, BaseDistribution], settings: Settings, restarts: Restarts) -> None:
        self.space = space
        self._settings = settings
        self._restarts = restarts
        self._key = key_of(space)
        self._start, self._trials = Start(), 0
        self._convergence = Convergence()
        self._optimiser = make_optimiser(space, settings, self._start)
        self._generation = 0  # of the study: an optimiser that starts anew counts on

    def draw(self, generations: Mapping[Key, Sequence[Solution]], seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
        """The parameters of a new member of the newest generation, and what its trial has to remember."""
        while len(ended := generations.get((self._key, self._generation), ())) >= self._optimiser.population_size:
            self._tell(ended[: self._optimiser.population_size])
        params, point = self._optimiser.ask(seed)
        dimensions = list(self._key) if isinstance(self._key, tuple) else self._key  # as JSON has it
        return params, {"dimensions": dimensions, "generation": self._generation, "point": point}

    def _tell(self, solutions: Sequence[Solution]) -> None:
        self._generation += 1
        self._trials += len(solutions)
        try:
            self._optimiser.tell(solutions)
            ended = self._restarts.wanted and self._has_converged_with(solutions)
        except (ArithmeticError, AssertionError, np.linalg.LinAlgError):
            # A generation whose points are all one does not move the mean, and the library divides by how far it moved.
            # What has gone beyond all bounds it asserts not to have.
            ended = True
        if ended:
            self._start, self._trials = self._restarts.after(self._start, self._trials), 0
            self._convergence = Convergence()
            self._optimiser = make_optimiser(self.space, self._settings, self._start)

    def _has_converged_with(self, solutions: Sequence[Solution]) -> bool:
        alike = self._convergence.reached_with([solution.cost for solution in solutions])
        return alike or self._optimiser.has_converged()
