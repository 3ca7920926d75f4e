"""Whether budget, workers, pruner and verification go together, and how many workers a budget suits.

Called by advice and by `tuning validate`.
"""

from collections.abc import Iterator

from tuning_study.api.spec import TuningStudySpec
from tuning_study.api.strategy import Phase
from tuning_study.exceptions import InvalidStudy
from tuning_study.search.samplers.grid import SharedGridSampler

_TRIALS_PER_PARAMETER = 10
"""Loeppky, Sacks and Welch 2009 (Technometrics 51:4): how many runs a model of a computer experiment needs."""

_TIERS = (
    (100, 1, 4, "any store"),
    (1_000, 4, 16, "PostgreSQL"),
    (10_000, 16, 64, "PostgreSQL"),
)
_LARGEST_TIER = (64, 256, "PostgreSQL of its own")
_FEW_EACH = 5  # trials of a worker
_CONNECTIONS = 2  # of each worker: its own, and its heartbeat's


def of_scale(spec: TuningStudySpec) -> Iterator[str]:
    """One sentence for each thing to reconsider, with its place."""
    yield from _of_trials(spec)
    yield from _of_workers(spec)
    yield from _of_verification(spec)
    for phase in spec.phases:
        yield from _of_reports(phase, spec)


def suits(spec: TuningStudySpec) -> str | None:
    """How many workers and what store the budget's trials suit; None for a budget of time alone."""
    trials = spec.budget.trials
    if trials is None:
        return None
    least, most, store = _tier(trials)
    return (
        f"{trials} trials suit {least} to {most} workers and {store}; each worker has up to {_CONNECTIONS} connections "
        f"to it, so {_CONNECTIONS * spec.workers.replicas} with workers.replicas: {spec.workers.replicas}"
    )


def _tier(trials: int) -> tuple[int, int, str]:
    for limit, least, most, store in _TIERS:
        if trials <= limit:
            return least, most, store
    return _LARGEST_TIER


def _of_trials(spec: TuningStudySpec) -> Iterator[str]:
    trials = spec.budget.trials
    if trials is None or not spec.parameters:
        return
    if all(phase.sampler.type == "Grid" for phase in spec.phases):
        yield from _of_grid(spec, trials)
        return
    varying = [p for p in spec.parameters if p.when is None and (len(p.choices) > 1 or p.min != p.max)]
    wanted = _TRIALS_PER_PARAMETER * len(varying)
    if trials < wanted / 2:
        yield (
            f"budget.trials: {trials} trials are few for {_parameters(len(varying))}, as about "
            f"{_TRIALS_PER_PARAMETER} for each are usual: write {wanted}, or fix the parameters that matter least"
        )


def _of_grid(spec: TuningStudySpec, trials: int) -> Iterator[str]:
    try:
        points = SharedGridSampler(spec.parameters).size
    except InvalidStudy:  # told as a problem
        return
    if trials < points:
        yield (
            f"budget.trials: the grid has {points} points, and {trials} trials walk only a part of it: write {points}, "
            "or take TPE"
        )


def _of_workers(spec: TuningStudySpec) -> Iterator[str]:
    trials, replicas = spec.budget.trials, spec.workers.replicas
    if trials is None:
        return
    most = _tier(trials)[1]
    if replicas > most and trials < _FEW_EACH * replicas:
        yield (
            f"workers.replicas: {replicas} workers learn little from each other, as each runs "
            f"{trials / replicas:.2g} of {trials} trials: {most} are enough, or write a larger budget"
        )


def _of_verification(spec: TuningStudySpec) -> Iterator[str]:
    wanted, trials = spec.verification, spec.budget.trials
    if wanted is None or trials is None:
        return
    runs = min(wanted.top, trials) * wanted.repeats
    if runs > trials:
        yield (
            f"verification: {wanted.top} × {wanted.repeats} runs are more than the search's {trials} trials: lower "
            f"`top` or `repeats`, or write `budget.trials: {runs}` or more"
        )


def _of_reports(phase: Phase, spec: TuningStudySpec) -> Iterator[str]:
    """A fold is a report; boosting rounds are too, whose number nobody knows."""
    sklearn, judge = spec.objective.sklearn, phase.pruner.wrapped or phase.pruner
    if sklearn is None or sklearn.early_stopping is not None or not isinstance(sklearn.splitter, str):
        return
    how = sklearn.cross_validation
    reports = (1 if sklearn.splitter == "Holdout" else how.folds) * how.repeats
    options, place = judge.options, f"strategy: {judge.type}"
    if judge.type in ("SuccessiveHalving", "Hyperband") and isinstance(options.min_resource, int):
        if options.min_resource >= reports:
            yield (
                f"{place} judges from report {options.min_resource} on, and a trial has {reports} (one for each fold): "
                "write `minResource: 1`, or more folds"
            )
    elif judge.type in ("Median", "Percentile") and (options.n_warmup_steps or 0) >= reports:
        yield (
            f"{place} waits for {options.n_warmup_steps} reports, and a trial has {reports} (one for each fold): write "
            "`nWarmupSteps: 1`, or more folds"
        )


def _parameters(count: int) -> str:
    return "1 parameter" if count == 1 else f"{count} parameters"
