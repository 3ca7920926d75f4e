"""A tree-structured Parzen estimator whose cost does not grow with a study's history. Optuna's looks at every finished
trial for every suggestion; this one reads each trial once, into columns, and bounds the densities that it builds.

The algorithm is that of Optuna's TPESampler with `multivariate`, `group` and `constant_liar`: Bergstra et al. 2011, the
joint densities of Falkner et al. 2018 (BOHB), the settings of Watanabe 2023 (arXiv:2304.11127).
"""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from tuning_study.search.samplers._types import Array, Numbers
from tuning_study.search.samplers.parzen import Kernels, Mixture, Scale, closeness
from tuning_study.search.samplers.ranking import Ranking
from tuning_study.search.samplers.reseeded import ReseededSampler
from tuning_study.search.samplers.trial_cursor import Cursor, all_trials

_POOL = 4096  # trials outside the best: at most this many are sampled to represent all
_NEAR = 768  # of the pool, those nearest to the candidates are all kept
_SAMPLED = 256  # of the rest of the pool, this many are sampled to represent it
_ANCHORS = 4  # candidates that nearness is measured to; all candidates are drawn where the best trials are
_MOST_RUNNING = 256  # running trials that are avoided, the newest
_FRESH = 25  # trials that count in full; older ones count less, in proportion to their age


class TreeParzenSampler(ReseededSampler):
    """One instance serves a process for all trials of one study; `reseed` makes each of them repeatable.

    The options are those of Optuna's TPESampler. Without `group`, only parameters that every trial has are drawn
    together; without `multivariate`, none are.
    """

    def __init__(
        self,
        n_startup_trials: int = 10,
        n_ei_candidates: int = 24,
        multivariate: bool = True,
        group: bool = True,
        constant_liar: bool = True,
        seed: int | None = None,
    ) -> None:
        self._startup = n_startup_trials
        self._candidates = n_ei_candidates
        self._multivariate = multivariate
        self._group = group
        self._constant_liar = constant_liar
        self._lock = Lock()
        self._past: _Past | None = None
        super().__init__(seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        if not self._multivariate:
            return {}
        with self._lock:
            past = self._read(study)
            return {name: past.distributions[name] for names in past.groups(self._group) for name in names}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        drawn: dict[str, Any] = {}
        with self._lock:
            past = self._read(study)
            if past.count < self._startup:
                return drawn
            running = self._running(study, trial)
            for names in past.groups(self._group):
                space = {name: search_space[name] for name in names if name in search_space}
                if space:
                    drawn |= self._draw(past, running, space)
        return drawn

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        with self._lock:
            past = self._read(study)
            if past.count >= self._startup:
                return self._draw(past, self._running(study, trial), {param_name: param_distribution})[param_name]
        return super().sample_independent(study, trial, param_name, param_distribution)

    def _read(self, study: optuna.Study) -> "_Past":
        if self._past is None:
            self._past = _Past(study)
        self._past.read(all_trials(study))
        return self._past

    def _running(self, study: optuna.Study, trial: FrozenTrial) -> list[FrozenTrial]:
        if not self._constant_liar or self._past is None:
            return []
        return self._past.cursor.running(all_trials(study), besides=trial)[-_MOST_RUNNING:]

    def _draw(
        self, past: "_Past", running: Sequence[FrozenTrial], space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Of the candidates that the best trials suggest, the one that is the least like the others."""
        names, scales = list(space), [Scale(distribution) for distribution in space.values()]
        best, others = past.split(names)
        promising = Mixture(scales, Kernels(past.rows(best, names), np.ones(len(best)), len(best)))
        candidates = promising.sample(self._rng, self._candidates)
        liars = [trial for trial in running if trial.params.keys() >= set(names)]
        tried = Mixture(
            scales, self._tried(past, others, liars, names, lambda rows: closeness(scales, rows, candidates[:_ANCHORS]))
        )
        chosen = candidates[np.argmax(promising.log_density(candidates) - tried.log_density(candidates))]
        return {
            name: distribution.to_external_repr(value.item())
            for (name, distribution), value in zip(space.items(), chosen, strict=True)
        }

    def _tried(
        self,
        past: "_Past",
        others: Numbers,
        liars: Sequence[FrozenTrial],
        names: Sequence[str],
        close: Callable[[Array], Array],
    ) -> Kernels:
        """All that were not among the best, and all that run: taken to be bad, lest workers crowd together."""
        weights = _by_age(len(others) + len(liars))
        of_others, of_liars = weights[: len(others)], weights[len(others) :]
        if len(others) > _POOL:
            drawn = _drawn(of_others, _POOL, self._rng)
            others, of_others = others[drawn], np.full(_POOL, of_others.sum() / _POOL)
        rows = past.rows(others, names)
        if len(others) > _NEAR + _SAMPLED:
            kept, of_others = _bounded(close(rows), of_others, self._rng)
            rows = rows[kept]
        believed = np.array([[_internal(trial, name) for name in names] for trial in liars]).reshape(-1, len(names))
        return Kernels(np.vstack([rows, believed]), np.concatenate([of_others, of_liars]), len(weights))


class _Past:
    """A study's complete and pruned trials as columns of internal values; the row is the trial's number."""

    def __init__(self, study: optuna.Study) -> None:
        self.cursor = Cursor()
        self.distributions: dict[str, BaseDistribution] = {}  # as first seen
        self._ranking = Ranking(study.directions)
        self._columns: dict[str, Array] = {}
        self._shapes: set[frozenset[str]] = set()  # the parameters of a trial, of every kind of trial there was
        self._groups: list[frozenset[str]] = []  # parameters that occur together or not at all
        self._rows = 64

    @property
    def count(self) -> int:
        return len(self._ranking)

    def read(self, trials: Sequence[FrozenTrial]) -> None:
        for trial in self.cursor.finished(trials):
            if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
                self._add(trial)

    def groups(self, every: bool) -> list[list[str]]:
        """The names of each group that leaves a choice; without `every` of the one that all trials have."""
        found = [group for group in self._groups if every or all(group <= shape for shape in self._shapes)]
        return sorted(
            names for group in found if (names := sorted(n for n in group if not self.distributions[n].single()))
        )

    def split(self, names: Sequence[str]) -> tuple[Numbers, Numbers]:
        """The study's best trials, and the others, oldest first: the numbers of those that have a group's names."""
        is_best = np.zeros(self._rows, dtype=bool)
        is_best[self._ranking.numbers()[: self._ranking.best()]] = True
        there = ~np.isnan(self._column(names[0]))
        return np.flatnonzero(there & is_best), np.flatnonzero(there & ~is_best)

    def rows(self, numbers: Numbers, names: Sequence[str]) -> Array:
        """numbers × names, a parameter's values side by side in memory"""
        return np.stack([self._column(name)[numbers] for name in names]).T

    def _add(self, trial: FrozenTrial) -> None:
        while trial.number >= self._rows:
            self._rows *= 2
        for name, distribution in trial.distributions.items():
            self.distributions.setdefault(name, distribution)
            self._column(name)[trial.number] = _internal(trial, name)
        shape = frozenset(trial.distributions)
        if shape not in self._shapes:
            self._shapes.add(shape)
            self._groups = _decomposed(self._groups, shape)
        self._ranking.add(trial)

    def _column(self, name: str) -> Array:
        column = self._columns.get(name, np.empty(0))
        if len(column) < self._rows:
            column = np.concatenate([column, np.full(self._rows - len(column), np.nan)])
            self._columns[name] = column
        return column


def _internal(trial: FrozenTrial, name: str) -> float:
    return trial.distributions[name].to_internal_repr(trial.params[name])


def _decomposed(groups: Sequence[frozenset[str]], shape: frozenset[str]) -> list[frozenset[str]]:
    """The groups, cut so that a trial of this shape has the whole of each or nothing."""
    parts = [part for group in groups for part in (group & shape, group - shape)]
    return [part for part in [*parts, shape.difference(*groups)] if part]


def _by_age(count: int) -> Array:
    """Weights from 1 / count for the oldest to 1 for the newest ones, as Optuna's default_weights."""
    if count <= _FRESH:
        return np.ones(count)
    return np.concatenate([np.linspace(1 / count, 1, count - _FRESH), np.ones(_FRESH)])


def _bounded(close: Array, weights: Array, rng: np.random.Generator) -> tuple[Numbers, Array]:
    """Which kernels to keep, and their weights: the closest, and a sample that has the weight of the rest."""
    near = np.argpartition(close, -_NEAR)[-_NEAR:]
    far = np.ones(len(close), dtype=bool)
    far[near] = False
    rest = np.flatnonzero(far)
    sampled = rest[_drawn(weights[rest], _SAMPLED, rng)]
    return np.append(near, sampled), np.append(weights[near], np.full(_SAMPLED, weights[rest].sum() / _SAMPLED))


def _drawn(weights: Array, size: int, rng: np.random.Generator) -> Numbers:
    """Indices, each with a probability in proportion to its weight, evenly spread along the weights: with equal weights
    of its own, any sum over the sample has the whole's as its expectation (systematic sampling)."""
    upto = np.cumsum(weights)
    picked = np.searchsorted(upto, (np.arange(size) + rng.random()) * upto[-1] / size)
    inside: Numbers = np.minimum(picked, len(weights) - 1)
    return inside
