"""A study on a cluster as values for people: rows, details and snapshots from the resource. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tuning_cli.display import key_values
from tuning_cli.exceptions import ClusterError
from tuning_cli.output import cell, duration, table
from tuning_cli.snapshot import BestView, Pace, Snapshot, time_left
from tuning_study.budget import Counts
from tuning_study.status import Best, ConditionType, TuningStudyStatus, read_status

FINISHED: Mapping[str, int] = {"Complete": 0, "Failed": 1}
"""States in which nothing more happens by itself, with the exit code they mean."""


_TROUBLE: Mapping[tuple[ConditionType, str], Sequence[str] | None] = {
    ("Accepted", "False"): None,
    ("StoreReady", "False"): None,
    ("Running", "False"): ("WorkersPending", "WorkersRefused"),
    ("Stalled", "True"): None,
}
"""Conditions that a person who watches should know of, and with which reasons; None for all."""


def status_of(study: Mapping[str, Any]) -> TuningStudyStatus:
    """The status, as far as this command knows its fields: an operator of another version may write more."""
    return read_status(study.get("status") or {})


def state_of(study: Mapping[str, Any]) -> str:
    """As the operator told it, be it a state that this command does not know."""
    return str((study.get("status") or {}).get("state", "Pending"))


def row(study: Mapping[str, Any], now: datetime) -> dict[str, object]:
    status = status_of(study)
    return {
        "name": study["metadata"]["name"],
        "state": state_of(study),
        "trials": status.trials.summary,
        "best": status.best.metrics[0].value if status.best and status.best.metrics else None,
        "workers": f"{status.workers.ready}/{status.workers.desired}",
        "round": status.round,
        "age": age(study["metadata"].get("creationTimestamp"), now),
    }


def age(since: datetime | str | None, now: datetime) -> str | None:
    if since is None:
        return None
    moment = datetime.fromisoformat(since) if isinstance(since, str) else since
    return duration((now - moment).total_seconds())


def details(study: Mapping[str, Any], events: Sequence[Mapping[str, Any]], now: datetime) -> str:
    """One study in full, as `kubectl describe` would lay it out."""
    status = status_of(study)
    trials = status.trials
    facts: dict[str, object] = {
        "name": study["metadata"]["name"],
        "namespace": study["metadata"].get("namespace"),
        "state": state_of(study),
        "round": status.round,
        "phase": status.phase,
        "trials": trials.summary,
        "finished": f"{trials.complete} complete, {trials.pruned} pruned, {trials.failed} failed",
        "under way": f"{trials.running} running, {trials.waiting} waiting",
        "workers": f"{status.workers.ready} ready of {status.workers.desired}",
        "started": status.start_time,
        "completed": status.completion_time,
        "store": status.storage.study if status.storage else None,
    }
    lines = key_values({key: value for key, value in facts.items() if value not in (None, "")}, indent="")
    if status.best:
        lines += ["", *best_lines(status.best)]
    if status.conditions:
        conditions = [
            {
                "condition": condition.type,
                "status": condition.status,
                "reason": condition.reason,
                "for": age(condition.last_transition_time, now),
                "message": condition.message,
            }
            for condition in status.conditions
        ]
        lines += ["", table(conditions)]
    if events:
        listed = [{"event": e["reason"], "ago": age(e["time"], now), "message": e["message"]} for e in events]
        lines += ["", table(listed)]
    return "\n".join(lines)


def best_lines(best: Best) -> list[str]:
    return [
        f"best: trial {best.trial}" + ("" if best.feasible else " (no trial is feasible)"),
        *key_values({metric.name: metric.value for metric in best.metrics}),
        "parameters",
        *key_values({parameter.name: parameter.value for parameter in best.parameters}),
    ]


def snapshot(study: Mapping[str, Any], pace: Pace, now: datetime) -> Snapshot:
    status = status_of(study)
    trials, best = status.trials, status.best
    counts = Counts(trials.complete, trials.pruned, trials.failed, trials.running, trials.waiting)
    started = status.start_time.astimezone(UTC) if status.start_time else now
    rate = pace.rate(now.timestamp(), counts.used)
    return Snapshot(
        name=str(study["metadata"]["name"]),
        state=state_of(study),
        counts=counts,
        target=trials.target,
        elapsed=((status.completion_time or now) - started).total_seconds(),
        rate=rate,
        left=time_left(counts, trials.target, rate, None) if status.state == "Running" else None,
        best=BestView(
            best.trial,
            {metric.name: float(metric.value) for metric in best.metrics},
            {parameter.name: parameter.value for parameter in best.parameters},
            best.feasible,
        )
        if best
        else None,
        notes=notes(status),
    )


def notes(status: TuningStudyStatus) -> tuple[str, ...]:
    """What a person should know beyond the counts."""
    found = []
    if status.state not in FINISHED and status.workers.desired:
        found.append(f"{status.workers.ready}/{status.workers.desired} workers")
    if status.phase:
        found.append(f"phase {status.phase}")
    for (kind, value), reasons in _TROUBLE.items():
        condition = status.condition(kind)
        if condition and condition.status == value and (reasons is None or condition.reason in reasons):
            found.append(f"{condition.reason}: {condition.message}")
    return tuple(found)


def failure(status: TuningStudyStatus) -> str:
    condition = status.condition("Failed")
    return f"{condition.reason}: {condition.message}" if condition else "the study failed"


def decision(before: TuningStudyStatus, after: TuningStudyStatus) -> tuple[bool, str]:
    """Whether a request for a new round was taken, and the answer as a sentence."""
    if after.retune.suppressed > before.retune.suppressed:
        return False, f"not taken: {after.retune.reason or 'no reason given'}"
    number = max(after.round, before.round + 1)
    return True, f"taken: round {number} starts"


def storage_secret(study: Mapping[str, Any]) -> tuple[str, str]:
    """Name and key of the Secret that holds the URL of the study's store."""
    from tuning_operator.names import TENANT_SECRET, TENANT_SECRET_KEY

    own = study.get("spec", {}).get("storage") or {}
    return (own.get("secretName", TENANT_SECRET), own.get("key", TENANT_SECRET_KEY if not own else "url"))


def store_study(study: Mapping[str, Any]) -> str:
    """The study's name in Optuna. Raises ClusterError while it has none."""
    status = status_of(study)
    if status.storage is None or not status.storage.study:
        raise ClusterError(f"{study['metadata']['name']} has no trials yet: it is {cell(status.state)}")
    return status.storage.study
