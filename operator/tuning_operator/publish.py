"""Tells what was decided: Events, then one status write at most, and none when nothing worth one changed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from tuning_kube.client import Cluster
from tuning_kube.errors import Invalid
from tuning_operator.observe.observation import Study
from tuning_operator.plan.actions import StudyEvent
from tuning_study.api.status import TuningStudyStatus

log = structlog.get_logger()

# What changes with every trial or observation is written rarely: more often while the study is young.
_COUNT_FIELDS: dict[str, Any] = {
    "trials": {"complete", "pruned", "failed", "running", "waiting", "summary"},
    "workers": {"active", "ready", "failed"},
    "best": True,
    "pareto": True,
    "phase": True,
    "sampler": True,
    "verification": {"runs"},
    "production": True,
}
_AT_REST = {"Suspended", "Complete", "Failed"}  # few changes are left, and the last of each must show
_MIN_PAUSE, _MAX_PAUSE, _SHARE_OF_AGE = timedelta(seconds=5), timedelta(seconds=60), 0.2


@dataclass
class StatusWriter:
    """Of one study: when counts alone are worth a write. Every fifth of the round's age, between 5 and 60 seconds."""

    written_at: datetime | None = None

    def take_over(self, status: TuningStudyStatus, now: datetime) -> None:
        """When an earlier operator may have written: at random, so that many are not written all at once."""
        if self.written_at is None and status.start_time is not None:
            self.written_at = now - _pause(status.start_time, now) * random.random()

    def is_due(self, status: TuningStudyStatus, now: datetime) -> bool:
        if self.written_at is None or status.start_time is None:
            return True
        return now - self.written_at >= _pause(status.start_time, now)


def is_worth_a_write(before: TuningStudyStatus, after: TuningStudyStatus, *, due: bool) -> bool:
    if before == after:
        return False
    return due or after.state in _AT_REST or without_counts(before) != without_counts(after)


def without_counts(status: TuningStudyStatus) -> dict[str, Any]:
    """What a person waits for."""
    return status.model_dump(exclude=_COUNT_FIELDS)


async def publish_events(cluster: Cluster, study: Study, events: Sequence[StudyEvent], now: datetime) -> None:
    """Each is named by what it says and by the status before it.

    Whoever is killed between the Events and the status leaves that status, and the next one says the same Events,
    which are then the same objects. The other way they would be lost.
    """
    if not events:
        return
    who = {"namespace": study.namespace, "name": study.name, "uid": study.uid}
    cause = study.status.model_dump_json(exclude=_COUNT_FIELDS)
    for event in events:
        await cluster.record(who, event.kind, event.reason, event.message, now, "" if event.first else cause)


async def write_status(cluster: Cluster, study: Study, status: TuningStudyStatus) -> int:
    """Returns the study's version then. Where the API server refuses it, what trials and programs wrote is left out."""
    try:
        return await cluster.write_status(study.namespace, study.name, status.manifest(), study.version)
    except Invalid as refused:
        log.error("the status is refused", namespace=study.namespace, study=study.name, error=str(refused))
        bare = without_texts(status).manifest()
        return await cluster.write_status(study.namespace, study.name, bare, study.version)


def without_texts(status: TuningStudyStatus) -> TuningStudyStatus:
    """The status with its counts, states and reasons, and no text that came from outside."""
    message = "the API server refuses the text that belongs here; the operator's log has it"
    return status.model_copy(
        update={
            "best": None,
            "diagnosis": [],
            "conditions": [entry.model_copy(update={"message": message}) for entry in status.conditions],
            "rounds": [entry.model_copy(update={"best": None, "reason": ""}) for entry in status.rounds],
            "retune": status.retune.model_copy(update={"last_handled": None, "last_taken": None, "reason": None}),
        }
    )


def _pause(start: datetime, now: datetime) -> timedelta:
    return min(max((now - start) * _SHARE_OF_AGE, _MIN_PAUSE), _MAX_PAUSE)
