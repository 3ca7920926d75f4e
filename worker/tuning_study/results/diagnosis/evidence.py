"""What a diagnosis is made from, and what several rules ask of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState

from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.strategy import Phase
from tuning_study.attributes import POINT_ATTRIBUTE
from tuning_study.results.candidates import candidate, costs
from tuning_study.results.feasibility import is_feasible
from tuning_study.results.verified import Verified

Floats = NDArray[np.float64]

_UNGUIDED = frozenset({"Random", "QMC", "Grid"})


@dataclass(frozen=True)
class Evidence:
    """A round at any moment, running or over."""

    spec: TuningStudySpec
    trials: Sequence[FrozenTrial]
    """All of them, in the order of their numbers."""
    failures: Sequence[tuple[str, int]] = field(default=())
    """Reasons of failed trials and how often, the most frequent first."""
    verified: Verified | None = None
    active_seconds: float | None = None
    """That the round has run, without pauses; None where nobody knows."""
    over: bool = False
    """Whether the round takes no more trials."""

    @cached_property
    def used(self) -> list[FrozenTrial]:
        """Complete and pruned trials."""
        return [trial for trial in self.trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]

    @cached_property
    def complete(self) -> list[FrozenTrial]:
        return [trial for trial in self.trials if trial.state is TrialState.COMPLETE and trial.values]

    @cached_property
    def ranked(self) -> list[FrozenTrial]:
        """Feasible trials with a finite value of the first objective, in the order of their numbers: what can be
        compared."""
        return [trial for trial in self.complete if is_feasible(trial) and math.isfinite(trial.values[0])]

    @cached_property
    def costs(self) -> Floats:
        """Of `ranked`, by the first objective: the smaller the better."""
        return np.array([self.cost(trial) for trial in self.ranked], dtype=np.float64)

    def cost(self, trial: FrozenTrial) -> float:
        return costs(self.spec.objectives, candidate(trial))[0]

    def value(self, cost: float) -> str:
        """As the first objective has it."""
        return number(-cost if self.spec.objectives[0].direction == "Maximize" else cost)

    @property
    def single(self) -> bool:
        """Whether one value says which of two trials is better."""
        return len(self.spec.objectives) == 1

    @property
    def guided(self) -> bool:
        """Whether a sampler learns from the trials before."""
        return any(phase.sampler.type not in _UNGUIDED for phase in self.spec.phases)

    @property
    def by_phase(self) -> list[tuple[Phase, list[FrozenTrial]]]:
        """The complete and pruned trials of each phase that has begun. The last phase has no end."""
        found, begun = [], 0
        for phase in self.spec.phases:
            ended = begun + phase.trials if phase is not self.spec.phases[-1] else None
            found.append((phase, self.used[begun:ended]))
            begun += phase.trials
        return [(phase, trials) for phase, trials in found if trials]

    @property
    def metric(self) -> str:
        return self.spec.objectives[0].name


def was_given(trial: FrozenTrial) -> bool:
    """Whether its parameters were given, by a warm start, instead of drawn."""
    return POINT_ATTRIBUTE in trial.system_attrs


def unit(distribution: BaseDistribution, value: Any) -> float | None:
    """Where a number lies between the ends of its range, 0 to 1; None for what has no order, or no extent."""
    if not isinstance(distribution, FloatDistribution | IntDistribution) or distribution.low == distribution.high:
        return None
    low, high, at = float(distribution.low), float(distribution.high), float(value)
    if distribution.log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / (high - low)


def coordinates(trials: Sequence[FrozenTrial]) -> dict[str, Floats]:
    """Of each parameter where each trial is: numbers between 0 and 1, the index of a choice, NaN where it is absent."""
    names = dict.fromkeys(name for trial in trials for name in trial.params)
    return {name: np.array([_coordinate(trial, name) for trial in trials]) for name in names}


def distances(trials: Sequence[FrozenTrial]) -> Floats:
    """Between each two trials: over all parameters the sum of how far apart they are, each 0 to 1."""
    found = np.zeros((len(trials), len(trials)))
    for name, at in coordinates(trials).items():
        apart = np.abs(at[:, None] - at[None, :])
        if any(isinstance(trial.distributions.get(name), CategoricalDistribution) for trial in trials):
            apart = (apart > 0).astype(np.float64)
        absent = np.isnan(at)
        apart[absent[:, None] & absent[None, :]] = 0.0
        apart[absent[:, None] ^ absent[None, :]] = 1.0
        found += apart
    return found


def _coordinate(trial: FrozenTrial, name: str) -> float:
    if name not in trial.params:
        return math.nan
    distribution, value = trial.distributions[name], trial.params[name]
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.to_internal_repr(value))
    return unit(distribution, value) or 0.0


def ranks(values: Floats) -> Floats:
    """From 1; equal values share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    shared: Floats = (last - (count - 1) / 2)[place]
    return shared


def number(value: float) -> str:
    return f"{value:.4g}"


def percent(share: float) -> str:
    return f"{share:.0%}".replace("%", " %")
