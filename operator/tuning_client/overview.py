"""A study's state and its best trial as `-o json` and `-o yaml` tell them: alike, wherever the study ran.

A study on a cluster has its status from the operator; for one on this machine the same status is made of its history.
Pure; called by the commands.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from tuning_report.format import cell, duration
from tuning_report.round_history import (
    History,
    artifacts_of,
    attributes_of,
    best_is_feasible,
    best_metrics,
    parameters_of,
)
from tuning_report.text import REASONS, round_state, state, state_of
from tuning_store.values import Progress
from tuning_study.api.status import (
    Best,
    Condition,
    ConditionType,
    StorageStatus,
    TuningStudyStatus,
    VerificationStatus,
    WorkerCounts,
)
from tuning_study.budget import SUCCESSES
from tuning_study.results.candidates import candidate, candidates
from tuning_study.results.describe import (
    describe_best,
    describe_front,
    describe_verified,
    metric_value,
    parameter_value,
    trial_counts,
    verification_message,
)
from tuning_study.round import ResolvedRound
from tuning_study.search.auto import sampler_status
from tuning_study.search.phases import phase_at


def told_of_history(history: History) -> dict[str, Any]:
    """A study on this machine as one on a cluster tells of itself; its state may be Interrupted too."""
    return {
        "name": history.resolved.name,
        **status_of_history(history).manifest(),
        "state": state_of(history),
    }


def row_of_history(history: History, now: datetime) -> dict[str, object]:
    status = status_of_history(history)
    objectives = [metric.name for metric in history.resolved.spec.objectives]
    told = row(history.resolved.name, status, objectives, status.start_time, now)
    return told | {"state": state_of(history)}


def row(
    name: str, status: TuningStudyStatus, objectives: Sequence[str], created: datetime | None, now: datetime
) -> dict[str, object]:
    """One study among others; `objectives` are the names of its metrics that have a direction."""
    return {
        "name": name,
        "state": status.state,
        "trials": status.trials.summary,
        "failed": status.trials.failed,
        "best": _best_of(status.best, objectives),
        "workers": f"{status.workers.ready}/{status.workers.desired}",
        "round": status.round,
        "age": duration((now - created).total_seconds()) if created else None,
    }


def round_row(
    resolved: ResolvedRound, progress: Progress, best: Sequence[float] | None, *, interrupted: bool = False
) -> dict[str, object]:
    """One round among others, of a study on this machine. `best` are the objectives of its best trial."""
    counts, target = progress.counts, progress.limits.trials
    return _round_row(
        resolved.name,
        resolved.number,
        round_state(progress, interrupted=interrupted),
        trial_counts(counts, target).summary,
        _told(list(map(metric_value, best))) if best else None,
        progress.started_at.replace(tzinfo=UTC),
    )


def round_rows_of_status(name: str, status: TuningStudyStatus, objectives: Sequence[str]) -> list[dict[str, object]]:
    """The rounds that a study on a cluster still tells of; `objectives` as for `row`."""
    return [
        _round_row(
            name,
            entry.round,
            status.state if entry.round == status.round else "Over",
            status.trials.summary if entry.round == status.round else None,
            _best_of(entry.best, objectives),
            entry.start_time,
        )
        for entry in status.rounds
    ]


def _best_of(best: Best | None, objectives: Sequence[str]) -> object:
    if best is None:
        return None
    values = {metric.name: metric.value for metric in best.metrics}
    found = [values[name] for name in objectives if name in values]
    return _told(found) if found else best.summary or None  # of a round whose metrics had other names


def _told(values: Sequence[float | str | None]) -> object:
    """One value as it is; of several objectives a text with all of them."""
    return values[0] if len(values) == 1 else ", ".join(map(cell, values))


def _round_row(
    name: str, number: int, state: str | None, trials: str | None, best: object, started: datetime | None
) -> dict[str, object]:
    began = started.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if started else None
    return {"name": name, "round": number, "state": state, "trials": trials, "best": best, "started": began}


def best_of_status(best: Best) -> dict[str, Any]:
    """The best trial of a study on a cluster: values as they were, as far as the status holds them whole."""
    return {
        "trial": best.trial,
        "metrics": {metric.name: metric.value for metric in best.metrics},
        "feasible": best.feasible,
        "verified": best.verified,
        **({"chosenBy": best.chosen_by} if best.chosen_by else {}),
        "parameters": {entry.name: parameter_value(entry.value) for entry in best.parameters},
    }


def best_of_history(history: History) -> dict[str, Any] | None:
    """The same of a study on this machine; None while no trial is complete."""
    best = history.best
    if best is None:
        return None
    left = {"attributes": attributes_of(best), "artifacts": artifacts_of(best, history)}
    return {
        "trial": best.number,
        "metrics": {name: metric_value(value) for name, value in best_metrics(history).items()},
        "feasible": best_is_feasible(history),
        "verified": history.verified_best is not None,
        **({"chosenBy": history.chosen_by} if history.chosen_by else {}),
        "parameters": parameters_of(best, history),
        **{key: value for key, value in left.items() if value},  # a status has neither
    }


def status_of_history(history: History) -> TuningStudyStatus:
    """As the operator would tell it."""
    progress, spec = history.progress, history.resolved.spec
    counts, target, over = progress.counts, progress.limits.trials, progress.stop_reason
    at_work = sum(1 for share in progress.counts_by_worker.values() if share.running)
    return TuningStudyStatus(
        state="Verifying" if history.verifying else state(over, progress.limits.paused),
        round=history.resolved.number,
        trials=trial_counts(counts, target),
        workers=WorkerCounts(desired=0 if over else spec.workers.replicas, active=at_work, ready=at_work),
        phase=phase_at(spec.phases, counts.used).name,
        sampler=sampler_status(spec, counts.used),
        storage=StorageStatus(study=history.resolved.study),
        start_time=progress.started_at.replace(tzinfo=UTC),
        completion_time=_ended(history) if over and not history.verifying else None,
        conditions=_conditions(history),
        verification=_verification(history),
        best=_best(history),
        pareto=describe_front(spec.objectives, candidates(history.trials)) if len(spec.objectives) > 1 else None,
    )


def _best(history: History) -> Best | None:
    spec, best = history.resolved.spec, history.best
    if best is None:
        return None
    if history.verification is not None and history.verified_best is not None:
        return describe_verified(history.verification.verified, spec, best.params)
    return describe_best(candidate(best), spec, best.params, best.user_attrs, chosen_by=history.chosen_by)


def _verification(history: History) -> VerificationStatus | None:
    if history.verification is None:
        return None
    standing, spec = history.verification.progress, history.resolved.spec
    return VerificationStatus(
        study=standing.study,
        runs=trial_counts(standing.counts, standing.limits.trials),
        message=verification_message(history.verification.verified, spec) if standing.stop_reason else "",
    )


def _conditions(history: History) -> list[Condition]:
    over = history.progress.stop_reason
    if over is None or history.verifying:
        return []
    ends: tuple[tuple[ConditionType, bool], ...] = (("Complete", over in SUCCESSES), ("Failed", over not in SUCCESSES))
    return [
        Condition(
            type=kind,
            status="True" if holds else "False",
            reason=over.value,
            message=history.progress.detail or REASONS[over],
            last_transition_time=_ended(history),
        )
        for kind, holds in ends
    ]


def _ended(history: History) -> datetime:
    """When the last trial did; the round's start if there is none."""
    return (history.progress.last_finished_at or history.progress.started_at).replace(tzinfo=UTC)
