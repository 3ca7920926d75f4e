"""How runs of one study with different samplers or pruners compare, paired by their seed.

Pure. `tuning compare` reads the runs, the report shows what is found here. What a trial was worth when it was pruned
never counts, every run is cut at the same budget, and a difference is told from chance by an interval over the seeds.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from statistics import fmean, stdev
from typing import Literal

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from tuning_study.api.metrics import Metric
from tuning_study.optuna_internals import compute_hypervolume
from tuning_study.results.candidates import Candidate, candidate, costs
from tuning_study.results.pareto import pareto_front
from tuning_study.results.student import t_quantile

SHARES = (0.1, 0.25, 0.5, 1.0)
"""Of the budget, at which runs are compared on the way."""
Axis = Literal["trials", "reports", "seconds"]
AXES: tuple[Axis, ...] = ("trials", "reports", "seconds")
Verdict = Literal["better", "worse", "no difference shown"]

_CONFIDENCE = 0.95
_MARGIN = 1.1  # how far beyond the combined Pareto set the reference of its volume lies
_CHARGED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True)
class Moment:
    """How far a run was when one more trial of its budget had ended."""

    trials: int
    reports: int
    """Intermediate values that had been reported, by failed trials too."""
    seconds: float
    """During which at least one trial was running, so that pauses do not count."""
    candidate: Candidate | None
    """The trial; None for one that was pruned."""


@dataclass(frozen=True)
class Run:
    """One run of one strategy."""

    moments: Sequence[Moment]
    failed: int
    per_trial: float
    """Reports of a complete trial, on average."""
    verified: float | None = None
    """The mean of the best trial's runs, where it was measured again."""

    @property
    def trials(self) -> int:
        return len(self.moments)

    @property
    def pruned(self) -> int:
        return sum(moment.candidate is None for moment in self.moments)

    def total(self, axis: Axis) -> float:
        return float(getattr(self.moments[-1], axis)) if self.moments else 0.0

    def complete(self, axis: Axis = "trials", limit: float = math.inf) -> list[Candidate]:
        """The complete trials that had ended when so much of the axis was used."""
        return [
            moment.candidate
            for moment in self.moments
            if moment.candidate is not None and getattr(moment, axis) <= limit + 1e-9
        ]


def run_of(trials: Sequence[FrozenTrial], *, budget: int | None, verified: float | None = None) -> Run:
    """The run with these trials, cut after `budget` complete and pruned ones in the order in which they ended."""
    ended = sorted((trial for trial in trials if trial.state.is_finished()), key=_end)
    charged = [trial for trial in ended if trial.state in _CHARGED][:budget]
    last = _end(charged[-1]) if charged else (datetime.min, 0)
    ended = [trial for trial in ended if _end(trial) <= last]
    clock = _clock(ended)
    moments: list[Moment] = []
    reports = 0
    for trial in ended:
        reports += len(trial.intermediate_values)
        if trial.state in _CHARGED:
            found = candidate(trial) if trial.state is TrialState.COMPLETE else None
            moments.append(Moment(len(moments) + 1, reports, clock(_end(trial)[0]), found))
    whole = [len(trial.intermediate_values) for trial in charged if trial.state is TrialState.COMPLETE]
    return Run(moments, len(ended) - len(charged), fmean(whole) if whole else 0.0, verified)


def _end(trial: FrozenTrial) -> tuple[datetime, int]:
    return trial.datetime_complete or datetime.max, trial.number


def _clock(trials: Sequence[FrozenTrial]) -> Callable[[datetime], float]:
    """Seconds until then during which at least one of the trials was running."""
    merged: list[tuple[datetime, datetime]] = []
    for begin, end in sorted(
        (trial.datetime_start, trial.datetime_complete)
        for trial in trials
        if trial.datetime_start is not None and trial.datetime_complete is not None
    ):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return lambda now: sum((min(end, now) - begin).total_seconds() for begin, end in merged if begin < now)


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds, and within what it lies; no bounds where the values cannot tell."""

    mean: float
    low: float | None = None
    high: float | None = None


def estimate(values: Sequence[float], *, among: int = 1) -> Estimate:
    """With 95 % certainty; of `among` estimates for all of them together (Bonferroni). One value has no interval, nor
    have values that are all the same, as of a metric with few steps: their spread says nothing about other seeds."""
    mean, spread = fmean(values), stdev(values) if len(values) > 1 else 0.0
    if spread == 0:
        return Estimate(mean)
    half = t_quantile(1 - (1 - _CONFIDENCE) / (2 * among), len(values) - 1) * spread / math.sqrt(len(values))
    return Estimate(mean, mean - half, mean + half)


@dataclass(frozen=True)
class Comparison:
    """Strategies by what they are called, the first of which the others are compared with. Each has a run for every
    seed, in one order."""

    objectives: Sequence[Metric]
    runs: Mapping[str, Sequence[Run]]

    @property
    def names(self) -> list[str]:
        return list(self.runs)

    @property
    def repeats(self) -> int:
        return len(next(iter(self.runs.values())))

    @property
    def maximized(self) -> bool:
        """Whether more of the value is better; a volume's always is."""
        return len(self.objectives) > 1 or self.objectives[0].direction == "Maximize"

    @property
    def has_reports(self) -> bool:
        return any(run.total("reports") for runs in self.runs.values() for run in runs)

    def finals(self, name: str) -> list[float | None]:
        """The value of each run at its end, of one objective the verified one; None where no trial was feasible."""
        return [
            run.verified if run.verified is not None and len(self.objectives) == 1 else self.value(run.complete())
            for run in self.runs[name]
        ]

    def best(self, name: str) -> Estimate | None:
        """Over the seeds with a feasible trial; None without one."""
        found = [value for value in self.finals(name) if value is not None]
        return estimate(found) if found else None

    def difference(self, name: str) -> Estimate | None:
        """To the first strategy, seed by seed; None where no seed has a value of both."""
        pairs = zip(self.finals(name), self.finals(self.names[0]), strict=True)
        found = [mine - first for mine, first in pairs if mine is not None and first is not None]
        return estimate(found, among=len(self.runs) - 1) if found else None

    def verdict(self, name: str) -> Verdict:
        found = self.difference(name)
        if found is None or found.low is None or found.high is None or found.low <= 0 <= found.high:
            return "no difference shown"
        return "better" if (found.mean > 0) == self.maximized else "worse"

    def along(self, name: str, axis: Axis, share: float) -> float | None:
        """The mean of what was found with that share of what the thriftiest run of the same seed used in all: of as
        many trials, reports or seconds for every strategy. None where a run had found nothing by then."""
        found = [
            self.value(run.complete(axis, share * limit))
            for run, limit in zip(self.runs[name], self._least_used(axis), strict=True)
        ]
        known = [value for value in found if value is not None]
        return fmean(known) if len(known) == len(found) else None

    def common(self, axis: Axis) -> float:
        """What every run of a seed used at least, as a mean over the seeds."""
        return fmean(self._least_used(axis))

    def total(self, name: str, axis: Axis) -> float:
        """The mean over the runs."""
        return fmean(run.total(axis) for run in self.runs[name])

    def pruned(self, name: str) -> float:
        """The share of the trials."""
        trials = sum(run.trials for run in self.runs[name])
        return sum(run.pruned for run in self.runs[name]) / trials if trials else 0.0

    def saved(self, name: str) -> float | None:
        """The share of the reports that were not made because trials were pruned; None where nothing was reported."""
        whole = sum(run.per_trial * run.trials for run in self.runs[name])
        return max(0.0, 1 - sum(run.total("reports") for run in self.runs[name]) / whole) if whole else None

    def _least_used(self, axis: Axis) -> list[float]:
        """By seed, how much every strategy used at least."""
        return [min(run.total(axis) for run in runs) for runs in zip(*self.runs.values(), strict=True)]

    def value(self, found: Sequence[Candidate]) -> float | None:
        """The best feasible value; of several objectives the share of their combined Pareto set's volume that the
        trials dominate. None where none is feasible and finite."""
        usable = list(filter(_is_usable, found))
        if not usable:
            return None
        if len(self.objectives) == 1:
            return min(usable, key=lambda entry: costs(self.objectives, entry)).values[0]
        return self._dominated(pareto_front(self.objectives, usable)) / self._whole

    @cached_property
    def _whole(self) -> float:
        """The volume that all runs together dominate."""
        return self._dominated(self._front)

    @cached_property
    def _front(self) -> list[Candidate]:
        """The Pareto set of all runs together."""
        every = (entry for runs in self.runs.values() for run in runs for entry in run.complete())
        return pareto_front(self.objectives, list(filter(_is_usable, every)))

    def _dominated(self, front: Sequence[Candidate]) -> float:
        """The volume up to a little beyond the worst values of the combined set, each objective scaled to its range."""
        combined = np.array([costs(self.objectives, entry) for entry in self._front])
        low, width = combined.min(axis=0), np.ptp(combined, axis=0)
        values = np.array([costs(self.objectives, entry) for entry in front])
        scaled = (values - low) / np.where(width > 0, width, 1.0)
        inside = scaled[(scaled <= _MARGIN).all(axis=1)]
        return float(compute_hypervolume(inside, np.full(len(low), _MARGIN))) if len(inside) else 0.0


def _is_usable(entry: Candidate) -> bool:
    return entry.feasible and all(map(math.isfinite, entry.values))
