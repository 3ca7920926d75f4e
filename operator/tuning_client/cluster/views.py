"""A study on a cluster as values for people: rows, details and snapshots from the resource. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tuning_client import overview
from tuning_client.canary_evidence import evidence_row
from tuning_client.exceptions import ClusterError, WrongUse
from tuning_client.snapshot import BestView, RateEstimator, Snapshot, time_left
from tuning_kube.frozen import frozen_until
from tuning_kube.names import RETUNE_ANNOTATION
from tuning_report.fleet.waiting import what_waits
from tuning_report.fleet.watched import watched_study
from tuning_report.format import cell, duration, key_values, table
from tuning_report.text import sampler_text
from tuning_study.api.promotion_status import CanaryStatus
from tuning_study.api.status import Best, ConditionType, Pareto, TuningStudyStatus, read_status
from tuning_study.budget import Counts
from tuning_study.requests import RetuneRequest, unanswered
from tuning_study.round import study_name

FINISHED: Mapping[str, int] = {"Complete": 0, "Failed": 1}
"""States in which nothing more happens by itself, with the exit code they mean."""


_TROUBLE: Mapping[tuple[ConditionType, str], Sequence[str] | None] = {
    ("Accepted", "False"): None,
    ("StoreReady", "False"): None,
    ("Running", "False"): ("WorkersPending", "WorkersRefused", "Queued", "Held"),
    ("Stalled", "True"): ("LookFailed", "ResultsUnreadable"),
}
"""Conditions that a person who watches should know of, and with which reasons; None for all."""


def status_of(study: Mapping[str, Any]) -> TuningStudyStatus:
    """The status, as far as this command knows its fields: an operator of another version may write more."""
    return read_status(study.get("status") or {})


def state_of(study: Mapping[str, Any]) -> str:
    """As the operator told it, be it a state that this command does not know."""
    return str((study.get("status") or {}).get("state", "Pending"))


def row(study: Mapping[str, Any], now: datetime) -> dict[str, object]:
    created = study["metadata"].get("creationTimestamp")
    begun = datetime.fromisoformat(created) if created else None
    told = overview.row(study["metadata"]["name"], status_of(study), _objectives_of(study), begun, now)
    return {**told, "state": state_of(study)}


def round_rows(study: Mapping[str, Any]) -> list[dict[str, object]]:
    return overview.round_rows_of_status(study["metadata"]["name"], status_of(study), _objectives_of(study))


def _objectives_of(study: Mapping[str, Any]) -> list[str]:
    return [metric["name"] for metric in study["spec"].get("metrics", ()) if metric.get("direction")]


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
        "sampler": sampler_text(status.sampler) if status.sampler else None,
        "trials": trials.summary,
        "finished": f"{trials.complete} complete, {trials.pruned} pruned, {trials.failed} failed",
        "under way": f"{trials.running} running, {trials.waiting} waiting",
        "workers": f"{status.workers.ready} ready of {status.workers.desired}",
        "next round": status.retune.next_scheduled,
        "started": status.start_time,
        "completed": status.completion_time,
        "store": status.storage.study if status.storage else None,
    }
    lines = key_values({key: value for key, value in facts.items() if value not in (None, "")}, indent="")
    if status.best:
        lines += ["", *best_lines(study["metadata"]["name"], status.best, status.pareto)]
    lines += _of_promotion(status)
    lines += _of_production(status, now)
    lines += _of_waiting(study, now)
    lines += _of_rounds(status)
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


def _of_waiting(study: Mapping[str, Any], now: datetime) -> list[str]:
    """Why nothing is done about what is wrong, and what somebody may do."""
    watched = watched_study(study, frozen_until(study["metadata"].get("annotations") or {}))
    rows = [
        {
            "waits": waiting.kind,
            "for another": duration((waiting.until - now).total_seconds()) if waiting.until is not None else None,
            "because of": waiting.message,
            "do": waiting.do,
        }
        for waiting in what_waits(watched, now)
    ]
    return ["", table(rows)] if rows else []


def _of_production(status: TuningStudyStatus, now: datetime) -> list[str]:
    rows = [
        {
            "in production": entry.name,
            "verdict": entry.verdict if entry.degraded_since is None else "Degraded",
            "value": cell(entry.value),
            "baseline": cell(entry.baseline),
            "level": cell(entry.level),
            "evidence": f"{entry.evidence:.0%}",
            "observed": f"{age(entry.time, now)} ago{', and overdue' if entry.stale else ''}"
            if entry.time
            else "not yet",
        }
        for entry in status.production
    ]
    return ["", table(rows)] if rows else []


def _of_promotion(status: TuningStudyStatus) -> list[str]:
    """What is in production, and what keeps newer parameters out."""
    promotion = status.promotion
    if promotion is None:
        return []
    facts = {
        "promotion": promotion.state,
        "in production": promotion.stable,
        "since": promotion.stable_since,
        "before": promotion.previous,
        "candidate": promotion.candidate,
        "why": promotion.message,
        "answer": promotion.answer,
    }
    lines = ["", *key_values({key: value for key, value in facts.items() if value not in (None, "")}, indent="")]
    shut = [gate for gate in promotion.gates if gate.verdict != "Passed"] if promotion.candidate else []
    rows = [{"gate": gate.name, "verdict": gate.verdict, "why": gate.message} for gate in shut]
    return [*lines, *(["", table(rows)] if rows else []), *_of_canary(promotion.canary)]


def _of_canary(canary: CanaryStatus | None) -> list[str]:
    """While its pods serve."""
    if canary is None or canary.deployment is None:
        return []
    rows = [evidence_row(entry) for entry in canary.evidence]
    return ["", table(rows)] if rows else ["", "the canary's pods are not ready, or were not looked at yet"]


def _of_rounds(status: TuningStudyStatus) -> list[str]:
    """What began each round, and what it came to, once there are several."""
    rows = [
        {
            "round": entry.round,
            "began by": entry.began_by,
            "outcome": entry.outcome,
            "why": entry.reason,
            "compared": entry.comparison,
        }
        for entry in status.rounds
    ]
    return ["", table(rows)] if len(rows) > 1 else []


def best_lines(name: str, best: Best, pareto: Pareto | None) -> list[str]:
    """Of a study with several objectives what there is instead, where it is."""
    remark = []
    if pareto is not None and pareto.size > 1 and not best.chosen_by:
        names = [metric.name for metric in best.metrics]
        remark = [
            f"no single best: of {pareto.size} trials in the Pareto set this one comes first by {names[0]}; "
            f"`tuning pareto {name}` lists them",
        ]
    return [
        *remark,
        f"best: trial {best.trial}"
        + (f", chosen by {best.chosen_by}" if best.chosen_by else "")
        + ("" if best.feasible else " (no trial is feasible)"),
        *key_values({metric.name: metric.value for metric in best.metrics}),
        "parameters",
        *key_values({parameter.name: parameter.value for parameter in best.parameters}),
    ]


def snapshot(study: Mapping[str, Any], pace: RateEstimator, now: datetime) -> Snapshot:
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


def decision(status: TuningStudyStatus, token: str) -> tuple[bool, str] | None:
    """Whether the request with this token started a round, and the answer as a sentence; None while it has none."""
    retune = status.retune
    if retune.last_taken == token:
        return True, f"taken: round {status.round} starts"
    if retune.last_handled == token:
        return False, f"not taken: {retune.last_outcome}"
    return None


def waiting_request(study: Mapping[str, Any]) -> RetuneRequest | None:
    """The request for a round that stands on the study, if the operator has not read it yet."""
    value = (study["metadata"].get("annotations") or {}).get(RETUNE_ANNOTATION)
    return unanswered(value, status_of(study).retune.last_request)


def awaits_answer(study: Mapping[str, Any], token: str) -> bool:
    """Whether the request with this token still stands on the study; only one can, and the next takes its place."""
    value = (study["metadata"].get("annotations") or {}).get(RETUNE_ANNOTATION)
    return value is not None and RetuneRequest.from_annotation(value).token == token


def storage_secret(study: Mapping[str, Any]) -> tuple[str, str]:
    """Name and key of the Secret that holds the URL of the study's store."""
    from tuning_kube.names import TENANT_SECRET, TENANT_SECRET_KEY

    own = study.get("spec", {}).get("storage") or {}
    return (own.get("secretName", TENANT_SECRET), own.get("key", TENANT_SECRET_KEY if not own else "url"))


def study_of_round(study: Mapping[str, Any], number: int | None) -> str:
    """The name in Optuna of the round of that number, or of the newest. Raises ClusterError and WrongUse."""
    newest, metadata, status = store_study(study), study["metadata"], status_of(study)
    if number is None or number == status.round:
        return newest
    if number > status.round:
        raise WrongUse(f"{metadata['name']} has no round {number}; its newest is round {status.round}")
    return study_name(metadata["namespace"], metadata["name"], metadata["uid"], number)


def store_study(study: Mapping[str, Any]) -> str:
    """The study's name in Optuna. Raises ClusterError while it has none."""
    status = status_of(study)
    if status.storage is None or not status.storage.study:
        raise ClusterError(f"{study['metadata']['name']} has no trials yet: it is {cell(status.state)}")
    return status.storage.study
