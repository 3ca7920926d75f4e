"""Which trials are the best, kept in order while they end: never sorted again, and of a Pareto front only a part."""

import math
from bisect import bisect
from collections.abc import Sequence
from typing import Any

import numpy as np
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from tuning_study.optuna_internals import non_domination_ranks, solve_hypervolume_subset
from tuning_study.search.samplers._types import Array, Numbers

Key = tuple[int, float, float]

_SHARE = 0.1  # of all trials count as the best, within the limits below
_MOST_BEST = 25  # trials, in a study with one objective
_MOST_BEST_OF_MANY = 100  # trials, in a study with several
_POOL = 200  # trials among which a front is looked for


class Ranking:
    """Complete trials first, then pruned ones by how far they came, then infeasible ones by their violation."""

    def __init__(self, directions: Sequence[StudyDirection]) -> None:
        self._signs = [-1.0 if direction is StudyDirection.MAXIMIZE else 1.0 for direction in directions]
        self._keys: list[tuple[Key, int]] = []
        self._numbers = np.empty(64, dtype=np.intp)
        self._pool: dict[int, Array] = {}  # costs of the trials that may be on a front, by number

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, trial: FrozenTrial) -> None:
        key = (self._key(trial), trial.number)
        place = bisect(self._keys, key)
        if len(self) == len(self._numbers):
            self._numbers = np.resize(self._numbers, 2 * len(self))
        self._numbers[place + 1 : len(self) + 1] = self._numbers[place : len(self)]
        self._numbers[place] = trial.number
        self._keys.insert(place, key)
        if len(self._signs) > 1 and key[0][0] == 0:
            self._pool[trial.number] = np.array(trial.values) * self._signs
            if len(self._pool) >= 2 * _POOL:
                self._pool = {int(number): self._pool[number] for number in self._front(_POOL)[:_POOL]}

    def best(self) -> int:
        """How many trials count as the best."""
        most = _MOST_BEST if len(self._signs) == 1 else _MOST_BEST_OF_MANY
        return min(math.ceil(_SHARE * len(self)), most)

    def numbers(self) -> Numbers:
        """Best first. With several objectives, trials that are on no front stand in the order of their numbers."""
        ranked = self._numbers[: len(self)]
        if not self._pool:
            return ranked
        front = self._front(self.best())
        return np.concatenate([front, ranked[~np.isin(ranked, front)]])

    def _key(self, trial: FrozenTrial) -> Key:
        violation = sum(value for value in trial.constraints.values() if value > 0)
        if violation > 0:
            return 2, violation, 0.0
        if trial.state is TrialState.COMPLETE:
            return 0, self._signs[0] * trial.values[0] if len(self._signs) == 1 else 0.0, 0.0
        if not trial.intermediate_values:
            return 1, 1.0, 0.0
        step, value = max(trial.intermediate_values.items())
        return 1, -step, math.inf if math.isnan(value) else self._signs[0] * value

    def _front(self, size: int) -> Numbers:
        """The pool, best first: whole fronts, and of the one that `size` cuts the part with the largest hypervolume."""
        numbers = np.array(list(self._pool), dtype=np.intp)
        costs = np.array(list(self._pool.values()))
        ranks = non_domination_ranks(costs, n_below=min(size, len(numbers)))
        by_rank = np.argsort(ranks, kind="stable")
        cut = ranks[by_rank[min(size, len(numbers)) - 1]]
        inside, tied = by_rank[ranks[by_rank] < cut], by_rank[ranks[by_rank] == cut]
        missing = size - len(inside)
        if missing < len(tied):
            chosen: Any = solve_hypervolume_subset(costs[tied], tied, missing, _reference(costs[tied]))
            tied = np.concatenate([chosen, tied[~np.isin(tied, chosen)]])
        ordered: Numbers = numbers[np.concatenate([inside, tied, by_rank[ranks[by_rank] > cut]])]
        return ordered


def _reference(costs: Array) -> Array:
    """A point that is worse than all in every objective."""
    worst = costs.max(axis=0)
    reference: Array = np.maximum(1.1 * worst, 0.9 * worst)
    reference[reference == 0] = 1e-12
    return reference
