"""How trials ended, and how busy workers were: constraints, failures, pruning, idle time."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median

from optuna.trial import FrozenTrial, TrialState

from tuning_study.api.strategy import Pruner
from tuning_study.failures import grouped
from tuning_study.results.diagnosis.evidence import Evidence, number, percent
from tuning_study.results.feasibility import is_feasible
from tuning_study.text import truncate

_LEAST_TO_BE_FEASIBLE = 10

_LEAST_FAILED, _FAILED_SHARE = 3, 0.1
_CAUSES = (
    (
        "memory",
        re.compile(r"memory|\bOOM", re.IGNORECASE),
        "raise workers.resources.limits.memory, or lower what needs it",
    ),
    ("time", re.compile(r"trialDuration"), "raise budget.trialDuration, or leave out the slow settings"),
    (
        "a value that is no number",
        re.compile(r"\bNaN\b|\binf(inity|inite)?\b|non-finite|not finite", re.IGNORECASE),
        "leave out the settings that diverge: a smaller max of the learning rate, or more regularisation",
    ),
)
_NAMED = 2  # other reasons
_LONGEST = 120  # characters of each

_LEAST_TO_PRUNE, _LEAST_TO_HALVE = 30, 60
_LEAST_PRUNED = 50
_COMPLETE, _COMPLETE_OF_HALVING = 0.05, 0.02  # of the trials: halving leaves few by design
_HALVING = frozenset({"SuccessiveHalving", "Hyperband"})
_SELDOM = frozenset({"None", "Threshold", "Patient"})  # none pruned is no surprise

_TRIALS_PER_WORKER = 10
_LEAST_SECONDS = 60.0
_IDLE = 0.5


def no_feasible_trial(evidence: Evidence) -> Iterator[str]:
    complete = evidence.complete
    if not evidence.spec.constraints or len(complete) < _LEAST_TO_BE_FEASIBLE or any(map(is_feasible, complete)):
        return
    missed = Counter(name for trial in complete for name, by in trial.constraints.items() if by > 0)
    name, times = missed.most_common(1)[0]
    closest = min(trial.constraints[name] for trial in complete if name in trial.constraints)
    by = f", the closest by {number(closest)}" if closest > 0 else ", though each is met by some"
    yield (
        f"none of {len(complete)} complete trials meets every constraint; {times} miss {name}{by}: relax it, or widen "
        "the search space where it can be met"
    )


def failures_by_cause(evidence: Evidence) -> Iterator[str]:
    failed = sum(count for _, count in evidence.failures)
    if failed < _LEAST_FAILED or failed < _FAILED_SHARE * (failed + len(evidence.used)):
        return
    told, rest = [], list(evidence.failures)
    for cause, pattern, advice in _CAUSES:
        count = sum(times for reason, times in rest if pattern.search(reason))
        rest = [(reason, times) for reason, times in rest if not pattern.search(reason)]
        if count:
            told.append((count, f"{count} for {cause}: {advice}"))
    told += [(group.count, f"{group.count} × {_short(group.reason)}") for group in grouped(rest)[:_NAMED]]
    causes = "; ".join(sentence for _, sentence in sorted(told, key=lambda entry: -entry[0]))
    yield f"{failed} of {failed + len(evidence.used)} trials failed: {causes}"


def _short(reason: str) -> str:
    return truncate(" ".join(reason.split()), _LONGEST)


def nothing_pruned(evidence: Evidence) -> Iterator[str]:
    for phase, trials in evidence.by_phase:
        judge = (phase.pruner.wrapped or phase.pruner).type
        least = _LEAST_TO_HALVE if judge in _HALVING else _LEAST_TO_PRUNE
        if judge in _SELDOM or len(trials) < least or any(trial.state is TrialState.PRUNED for trial in trials):
            continue
        reports = median(len(trial.intermediate_values) for trial in trials)
        yield f"{judge} has pruned none of {len(trials)} trials: {_why_none(reports, phase.pruner)}"
        return


def _why_none(reports: float, pruner: Pruner) -> str:
    if reports == 0:
        return (
            "they report no intermediate values. Report them (trial.report in Python, `step` in a command's metrics), "
            "or write `pruner: {type: None}`"
        )
    if reports <= 2:
        return f"they have {reports:.0f} reports each, too few to stop one early. Report more often, or write None"
    late = "minResource" if (pruner.wrapped or pruner).type in _HALVING else "nWarmupSteps"
    return f"of their {reports:.0f} reports none was reason enough. Lower {late}, or write `pruner: {{type: None}}`"


def nearly_all_pruned(evidence: Evidence) -> Iterator[str]:
    for phase, trials in evidence.by_phase:
        judge = (phase.pruner.wrapped or phase.pruner).type
        complete = sum(trial.state is TrialState.COMPLETE for trial in trials)
        most = _COMPLETE_OF_HALVING if judge in _HALVING else _COMPLETE
        if len(trials) < _LEAST_PRUNED or complete > most * len(trials):
            continue
        reports = median(len(trial.intermediate_values) for trial in trials if trial.state is TrialState.PRUNED)
        softer = "raise minResource" if judge in _HALVING else "raise nWarmupSteps or nStartupTrials"
        yield (
            f"{judge} has pruned {len(trials) - complete} of {len(trials)} trials, half of them after {reports:.0f} "
            f"reports or fewer, and the best is chosen among {complete}: {softer}, or take a gentler pruner (Median)"
        )
        return


def idle_workers(evidence: Evidence) -> Iterator[str]:
    """Workers that ran side by side at some time, and mostly did not."""
    ran = [
        (trial.datetime_start, trial.datetime_complete)
        for trial in evidence.trials
        if trial.datetime_start is not None and trial.datetime_complete is not None
    ]
    if not ran:
        return
    span = (max(end for _, end in ran) - min(start for start, _ in ran)).total_seconds()
    seconds = min(span, evidence.active_seconds if evidence.active_seconds is not None else span)
    workers = _most_at_once(evidence.trials)
    if workers < 2 or len(ran) < _TRIALS_PER_WORKER * workers or seconds < _LEAST_SECONDS:
        return
    busy = sum((end - start).total_seconds() for start, end in ran)
    idle = 1 - busy / (workers * seconds)
    if idle < _IDLE:
        return
    typical = median((end - start).total_seconds() for start, end in ran)
    yield (
        f"{workers} workers were idle {percent(idle)} of {seconds:.0f} s: trials take {number(typical)} s each. Write "
        f"`workers.replicas: {max(1, round(busy / seconds))}`, or let a trial do more"
    )


def _most_at_once(trials: Sequence[FrozenTrial]) -> int:
    moments = sorted(
        moment
        for trial in trials
        if trial.datetime_start is not None and trial.datetime_complete is not None
        for moment in ((trial.datetime_start, 1), (trial.datetime_complete, -1))
    )
    at_once = most = 0
    for _, change in moments:
        at_once += change
        most = max(most, at_once)
    return most
