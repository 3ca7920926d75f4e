"""The fleet as JSON for its page: every watched study in a row, the latest rounds of all, and one study in full."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict

from tuning_report.fleet.waiting import LEAST_URGENT, Waiting, what_waits
from tuning_report.fleet.watched import WatchedStudy
from tuning_study.api.status import DriftStatus, ProductionStatus, Round, TuningStudyStatus

MOST_ROUNDS = 40
"""The latest of all studies that are told."""
_FEATURES = 3  # of a row: those with the largest index
_NEVER = datetime.min.replace(tzinfo=UTC)


class Row(TypedDict):
    """A study in the table. What comes from its status has the status's own names."""

    namespace: str
    name: str
    study: str
    """The name of its newest round in the store; empty before the first."""
    state: str
    round: int
    metrics: list[dict[str, Any]]
    drift: dict[str, Any] | None
    last: dict[str, Any] | None
    """Its last round that was asked for."""
    promotion: dict[str, Any] | None
    waits: list[dict[str, Any]]


class Totals(TypedDict):
    """Numbers of studies."""

    watched: int
    others: int
    """Those whose manifests ask for nothing after the first round."""
    somebody: int
    """Those in which something waits for a person."""
    waiting: int
    """Those in which something waits for a time, a limit or a run."""
    degraded: int
    drifted: int
    unobserved: int
    retuning: int
    """Those that run a round which was asked for."""
    frozen: int


class Overview(TypedDict):
    totals: Totals
    studies: list[Row]
    """What needs somebody first, then what waits, then by evidence of degradation."""
    rounds: list[dict[str, Any]]
    """The latest that were begun, of any watched study, with its namespace and name."""


def overview(studies: Sequence[WatchedStudy], now: datetime) -> Overview:
    watched = [(study, what_waits(study, now)) for study in studies if study.is_watched]
    watched.sort(key=lambda entry: _order(*entry))
    return Overview(
        totals=_totals(watched, len(studies) - len(watched)),
        studies=[_row(study, waits) for study, waits in watched],
        rounds=_latest([study for study, _ in watched]),
    )


def in_full(study: WatchedStudy, now: datetime) -> dict[str, Any]:
    """One study: its row, and all that its status tells of production. Its rounds have the newest first."""
    status = study.status
    return {
        **_row(study, what_waits(study, now)),
        "metrics": [entry.manifest() for entry in status.production],
        "drift": status.drift.manifest() if status.drift is not None else None,
        "rounds": [_round(entry) for entry in reversed(status.rounds)],
        "promotion": status.promotion.manifest() if status.promotion is not None else None,
        "mode": study.promotion.mode if study.promotion is not None else None,
        "retune": status.retune.manifest(),
        "triggers": study.retune.triggers,
    }


def _order(study: WatchedStudy, waits: Sequence[Waiting]) -> tuple[int, float, str, str]:
    evidence = max((metric.evidence for metric in study.status.production), default=0.0)
    first = waits[0].urgency if waits else LEAST_URGENT
    return first, -evidence, study.namespace, study.name


def _row(study: WatchedStudy, waits: Sequence[Waiting]) -> Row:
    status = study.status
    asked_for = [entry for entry in status.rounds if entry.is_retuned]
    promotion = status.promotion
    return Row(
        namespace=study.namespace,
        name=study.name,
        study=status.storage.study if status.storage is not None else "",
        state=status.state,
        round=status.round,
        metrics=[_metric(entry) for entry in status.production],
        drift=_drift(status.drift) if status.drift is not None else None,
        last=_round(asked_for[-1]) if asked_for else None,
        promotion={"state": promotion.state, "stable": promotion.stable} if promotion is not None else None,
        waits=[entry.document() for entry in waits],
    )


def _metric(entry: ProductionStatus) -> dict[str, Any]:
    """Without the sentence."""
    told = entry.manifest()
    del told["message"]
    return told


def _drift(drift: DriftStatus) -> dict[str, Any]:
    return {"verdict": drift.verdict, "features": [entry.manifest() for entry in drift.features[:_FEATURES]]}


def _round(entry: Round) -> dict[str, Any]:
    told = entry.manifest()
    kept = ("round", "startTime", "completionTime", "reason", "outcome", "comparison", "study", "parameters")
    best = [metric.manifest() for metric in entry.best.metrics] if entry.best is not None else []
    return {name: told[name] for name in kept if name in told} | {"trigger": entry.began_by, "best": best}


def _latest(studies: Sequence[WatchedStudy]) -> list[dict[str, Any]]:
    begun = [(entry.start_time or _NEVER, study, entry) for study in studies for entry in study.status.rounds]
    begun.sort(key=lambda one: (one[0], one[1].namespace, one[1].name), reverse=True)
    return [
        {"namespace": study.namespace, "name": study.name, **_round(entry)} for _, study, entry in begun[:MOST_ROUNDS]
    ]


def _totals(watched: Sequence[tuple[WatchedStudy, list[Waiting]]], others: int) -> Totals:
    kinds = [{entry.kind for entry in waits} for _, waits in watched]
    statuses = [study.status for study, _ in watched]
    return Totals(
        watched=len(watched),
        others=others,
        somebody=sum(any(entry.needs_somebody for entry in waits) for _, waits in watched),
        waiting=sum(any(not entry.needs_somebody for entry in waits) for _, waits in watched),
        degraded=sum(map(_is_degraded, statuses)),
        drifted=sum(status.drift is not None and status.drift.verdict == "Drifted" for status in statuses),
        unobserved=sum("Unobserved" in found for found in kinds),
        retuning=sum(_is_retuning(status) for status in statuses),
        frozen=sum("Frozen" in found for found in kinds),
    )


def _is_degraded(status: TuningStudyStatus) -> bool:
    """Also while nothing is observed any more: what vanishes has not recovered."""
    return any(metric.degraded_since is not None for metric in status.production)


def _is_retuning(status: TuningStudyStatus) -> bool:
    return status.state in ("Running", "Verifying") and bool(status.rounds) and status.rounds[-1].is_retuned
