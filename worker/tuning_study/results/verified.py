"""What a verification came to: each candidate's runs, who can hardly win any more, and which one to name.

Pure. Workers ask who is dropped, the operator, the command and the report which one is the best.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from optuna.trial import FrozenTrial, TrialState

from tuning_study.api.metrics import Constraint, Metric
from tuning_study.api.selection import Selection
from tuning_study.api.spec import TuningStudySpec
from tuning_study.attributes import METRICS_ATTRIBUTE
from tuning_study.results.best import best
from tuning_study.results.candidates import Candidate, costs
from tuning_study.results.feasibility import all_hold, is_feasible, violations
from tuning_study.results.selection import choose, selectable_front
from tuning_study.results.student import t_quantile
from tuning_study.round import ResolvedRound
from tuning_study.verification import run_of

_FIRST_LOOK = 3  # runs of both, before one of two candidates may be dropped
_SURE = 0.98  # one-sided, of each look; with it the dropped one would hardly ever have won (see the simulation's test)
_CONFIDENCE = 0.95  # of intervals
_CHEAPER = 0.9  # of the seconds: less of a difference is no reason to prefer one


@dataclass(frozen=True)
class Measured:
    """A candidate and its runs, in the order of repeats."""

    trial: int
    """Its number in the search."""
    values: Mapping[int, tuple[float, ...]]
    """The objectives of each complete run, by its repeat."""
    metrics: Mapping[str, float]
    """Means of all metrics that each complete run has."""
    seconds: float
    """That a complete run took on average."""
    failed: int
    feasible: int
    """Complete runs that met every constraint."""

    @property
    def runs(self) -> int:
        return len(self.values)

    def mean(self, objective: int) -> float:
        return fmean(values[objective] for values in self.values.values())

    def spread(self, objective: int) -> float | None:
        """The standard deviation of the runs; None for fewer than two."""
        return stdev(values[objective] for values in self.values.values()) if self.runs > 1 else None

    def interval(self, objective: int, overlap: float = 0.0) -> tuple[float, float] | None:
        """Within which the mean of endless runs lies with 95 %. `overlap` is explained at `Verified`."""
        spread = self.spread(objective)
        if spread is None:
            return None
        half = t_quantile((1 + _CONFIDENCE) / 2, self.runs - 1) * spread * math.sqrt(1 / self.runs + overlap)
        return self.mean(objective) - half, self.mean(objective) + half


@dataclass(frozen=True)
class Verified:
    """All candidates, and the one to name.

    Runs of cross-validation share rows, so that their spread says too little: `overlap` is the share of a run's test
    rows in its training rows, by which the variance of a mean is larger (Nadeau and Bengio 2003). 0 for other runs.
    """

    candidates: Sequence[Measured]
    overlap: float
    best: int | None
    """The place of the best candidate; None when no run of any is complete."""
    alike: Sequence[int]
    """The places of those that cannot be told apart from the best by the first objective, the best itself left out.
    Empty with a selection, which weighs all objectives."""
    among: int = 0
    """Of how many a selection has chosen the best: the Pareto set of the means. 0 without a selection."""
    incumbent: int | None = None
    """The place of the parameters of before, in a retuning that measured them."""

    @property
    def none_is_feasible(self) -> bool:
        """Whether a selection has chosen nothing, as no candidate is feasible by its means."""
        return self.best is None and any(candidate.runs for candidate in self.candidates)


def overlap_of(spec: TuningStudySpec) -> float:
    """The share that `Verified` explains, of the verification of such a study."""
    sklearn = spec.objective.sklearn
    if sklearn is None:
        return 0.0
    wanted = spec.verification.folds if spec.verification is not None else None
    return 1 / ((wanted or sklearn.cross_validation.folds) - 1)


def measured(verification: ResolvedRound, candidates: Sequence[int], trials: Sequence[FrozenTrial]) -> list[Measured]:
    """What is known of each candidate. `candidates` are numbers of the search's trials, `trials` the verification's."""
    runs: list[dict[int, FrozenTrial]] = [{} for _ in candidates]
    failed = [0] * len(candidates)
    for trial in trials:
        run = run_of(trial.number, verification)
        if run is None:
            continue
        if trial.state is TrialState.COMPLETE:
            runs[run.candidate][run.repeat] = trial
        failed[run.candidate] += trial.state is TrialState.FAIL
    return [
        Measured(
            trial=number,
            values={repeat: tuple(trial.values) for repeat, trial in sorted(mine.items())},
            metrics=_means([trial.user_attrs.get(METRICS_ATTRIBUTE) or {} for trial in mine.values()]),
            seconds=_mean_seconds(mine.values()),
            failed=lost,
            feasible=sum(map(is_feasible, mine.values())),
        )
        for number, mine, lost in zip(candidates, runs, failed, strict=True)
    ]


def dropped(objectives: Sequence[Metric], found: Sequence[Measured]) -> set[int]:
    """The places of candidates that can hardly win any more: their runs are worse than the leader's, run by run, by
    more than the noise of all candidates' runs explains. The leader has met every constraint in every run. Of several
    objectives nobody is dropped."""
    if len(objectives) > 1:
        return set()
    known = [place for place, candidate in enumerate(found) if candidate.runs >= _FIRST_LOOK]
    cost = {place: _costs(objectives, found[place]) for place in known}
    leaders = [place for place in known if found[place].feasible == found[place].runs]
    if not leaders:
        return set()
    leader = min(leaders, key=lambda place: fmean(cost[place].values()))
    return {place for place in known if place != leader and _is_hopeless(cost, place, leader)}


def _is_hopeless(cost: Mapping[int, Mapping[int, float]], place: int, leader: int) -> bool:
    shared = sorted(cost[place].keys() & cost[leader].keys())
    if len(shared) < _FIRST_LOOK:
        return False
    behind = fmean(cost[place][repeat] - cost[leader][repeat] for repeat in shared)
    rows = [[mine[repeat] for repeat in shared] for mine in cost.values() if set(shared) <= mine.keys()]
    variance, degrees = _noise(rows)
    return behind > 0 and behind >= t_quantile(_SURE, degrees) * math.sqrt(2 * variance / len(shared))


def _noise(rows: Sequence[Sequence[float]]) -> tuple[float, int]:
    """The variance of runs that neither their candidate nor their repeat explains, and its degrees of freedom."""
    by_row, by_column = [fmean(row) for row in rows], [fmean(column) for column in zip(*rows, strict=True)]
    whole = fmean(by_row)
    degrees = (len(rows) - 1) * (len(by_column) - 1)
    squares = sum(
        (value - by_row[i] - by_column[j] + whole) ** 2 for i, row in enumerate(rows) for j, value in enumerate(row)
    )
    return squares / degrees, degrees


def verdict(
    objectives: Sequence[Metric],
    constraints: Sequence[Constraint],
    found: Sequence[Measured],
    overlap: float,
    selection: Selection | None = None,
) -> Verified:
    """Names the best by the means: with a selection the one that its policy chooses among those that are feasible.
    Without, feasible before infeasible, then by the objectives in their order; of those that cannot be told apart from
    it, the one whose runs take clearly less time. One that was dropped is not named, though it may be alike: it has
    fewer runs."""
    out = dropped(objectives, found)
    entries = [
        Candidate(place, tuple(candidate.mean(i) for i in range(len(objectives))), meets(constraints, candidate))
        for place, candidate in enumerate(found)
        if candidate.runs
    ]
    if selection is not None:
        chosen = choose(selection, objectives, entries)
        among = len(selectable_front(objectives, entries))
        return Verified(found, overlap, chosen.number if chosen is not None else None, (), among)
    first = best(objectives, [entry for entry in entries if entry.number not in out])
    if first is None:
        return Verified(found, overlap, None, ())
    rivals = [entry.number for entry in entries if entry.feasible == first.feasible and entry.number != first.number]
    alike = [place for place in rivals if not _differ(objectives, found[place], found[first.number], overlap)]
    cheapest = min(
        [first.number, *(place for place in alike if place not in out)], key=lambda place: found[place].seconds
    )
    named = first.number
    if len(objectives) == 1 and found[cheapest].seconds < _CHEAPER * found[named].seconds:
        named = cheapest
    return Verified(found, overlap, named, [place for place in [first.number, *alike] if place != named])


def _differ(objectives: Sequence[Metric], one: Measured, other: Measured, overlap: float) -> bool:
    mine, theirs = _costs(objectives, one), _costs(objectives, other)
    differences = [mine[repeat] - theirs[repeat] for repeat in sorted(mine.keys() & theirs.keys())]
    if len(differences) < 2:
        return False
    error = stdev(differences) * math.sqrt(1 / len(differences) + overlap)
    return abs(fmean(differences)) > t_quantile((1 + _CONFIDENCE) / 2, len(differences) - 1) * error


def _costs(objectives: Sequence[Metric], candidate: Measured) -> dict[int, float]:
    """Of the first objective, by repeat: the smaller the better."""
    return {
        repeat: costs(objectives, Candidate(candidate.trial, values))[0] for repeat, values in candidate.values.items()
    }


def meets(constraints: Sequence[Constraint], candidate: Measured) -> bool:
    """Whether the means of its runs meet every constraint."""
    return all(constraint.metric in candidate.metrics for constraint in constraints) and all_hold(
        violations(constraints, candidate.metrics)
    )


def _mean_seconds(runs: Iterable[FrozenTrial]) -> float:
    seconds = [trial.duration.total_seconds() for trial in runs if trial.duration is not None]
    return fmean(seconds) if seconds else 0.0


def _means(runs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return dict(_mean_of_each(runs))


def _mean_of_each(runs: Sequence[Mapping[str, float]]) -> Iterator[tuple[str, float]]:
    for name in runs[0] if runs else ():
        if all(name in run for run in runs):
            yield name, fmean(run[name] for run in runs)
