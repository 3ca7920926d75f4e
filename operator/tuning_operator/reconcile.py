"""One look at a study: observe, plan, act, tell the Events, and one status write at most."""

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from tuning_operator import conditions as why
from tuning_operator import metrics, names
from tuning_operator.act import Actor
from tuning_operator.actions import Note
from tuning_operator.cluster import Cluster
from tuning_operator.exceptions import Forbidden, Invalid, SecretUnusable
from tuning_operator.observe import Memory, Observer, read_study, store_problem, version
from tuning_operator.observed import Observed, Study
from tuning_operator.plan import Plan, plan, refused
from tuning_operator.retune import parse_request
from tuning_operator.settings import Settings
from tuning_operator.stores import Stores
from tuning_store.exceptions import StoreError
from tuning_study.status import TuningStudyStatus
from tuning_study.text import truncate

log = structlog.get_logger()

# What changes with every trial is written rarely: more often while the study is young.
_QUIET: dict[str, Any] = {
    "trials": {"complete", "pruned", "failed", "running", "waiting", "summary"},
    "workers": {"active", "ready", "failed"},
    "best": True,
    "pareto": True,
    "phase": True,
}
_UNREAD = TuningStudyStatus()
_AFTER_ACTIONS = timedelta(seconds=0.2)
_AT_REST = {"Suspended", "Complete", "Failed"}  # few changes are left, and the last of each must show
_MIN_PAUSE, _MAX_PAUSE, _SHARE_OF_AGE = timedelta(seconds=5), timedelta(seconds=60), 0.2


class Reconciler:
    def __init__(self, settings: Settings, cluster: Cluster, stores: Stores) -> None:
        self._settings, self._cluster = settings, cluster
        self._observer = Observer(cluster, stores)
        self._actor = Actor(settings, cluster, stores)

    async def reconcile(
        self,
        body: Mapping[str, Any],
        jobs: Mapping[str, Mapping[str, Any]],
        memory: Memory,
        *,
        namespace_ends: bool = False,
    ) -> timedelta:
        """Bring one study a step further. Returns when to look again if nothing happens."""
        study = read_study(body, memory.study)
        memory.study = replace(study, status=_UNREAD)  # its spec is what costs time to read again
        if memory.status is not None and study.version < memory.version:  # the watch lags behind what we wrote
            study = replace(study, status=memory.status, version=memory.version)
        else:
            memory.status = None
        job = _newer(jobs.get(names.round_name(study.name, max(1, study.status.round))), memory.job)
        if job is not memory.job:
            memory.job = None
        if memory.written_at is None and study.status.start_time is not None:
            memory.written_at = _written_before(study.status.start_time, datetime.now(UTC))
        due = _progress_is_due(study.status, memory)
        observed, location = await self._observer.observe(study, job, memory, results=due)
        observed = replace(observed, namespace_ends=namespace_ends)
        decided = plan(observed)
        await self._record(study, [note for note in decided.notes if note.first], observed.now)
        notes = [note for note in decided.notes if not note.first]
        try:
            for action in decided.actions:
                log.info("acting", namespace=study.namespace, study=study.name, action=type(action).__name__)
                notes += await self._actor.act(action, study, location, memory)
                memory.acted_at = time.monotonic()
        except (StoreError, SecretUnusable) as error:
            decided = plan(replace(observed, store=store_problem(error)))
            notes = [note for note in decided.notes if not note.first]
        except (Invalid, Forbidden) as error:
            decided = refused(observed, decided, str(error))
            notes += decided.notes
        await self._tell(study, observed, decided, notes, memory, due)
        if decided.actions:
            return _AFTER_ACTIONS
        return self._settings.poll if decided.poll else self._settings.resync

    async def _tell(
        self, study: Study, observed: Observed, decided: Plan, notes: list[Note], memory: Memory, due: bool
    ) -> None:
        """Tell Events, then write the status if something worth a write changed.

        In this order, and with the state before as the Events' cause: whoever is killed in between leaves that state,
        and the next one says the same Events, which are then the same objects. The other way they would be lost.
        """
        await self._record(study, notes, observed.now)
        before, after = study.status, decided.status
        if before != after and (due or after.state in _AT_REST or _loud(before) != _loud(after)):
            memory.version = await self._write(study, after)
            memory.status, memory.written_at = after, observed.now
            _count_retunes(study, before, after)

    async def _write(self, study: Study, status: TuningStudyStatus) -> int:
        """The status; where the API server refuses it, one without what trials and programs wrote into it."""
        try:
            return await self._cluster.write_status(study.namespace, study.name, status.manifest(), study.version)
        except Invalid as refused:
            log.error("the status is refused", namespace=study.namespace, study=study.name, error=str(refused))
            bare = without_texts(status).manifest()
            return await self._cluster.write_status(study.namespace, study.name, bare, study.version)

    async def tell_failure(self, body: Mapping[str, Any], error: Exception) -> None:
        """Say in a condition that looks at this study fail. Reads as little of it as can be: any part may be why."""
        metadata, status = body["metadata"], body.get("status") or {}
        others = [entry for entry in status.get("conditions") or () if entry.get("type") != "Stalled"]
        before: Mapping[str, Any] = next(
            (entry for entry in status.get("conditions") or () if entry.get("type") == "Stalled"), {}
        )
        told = truncate(f"the operator cannot look at this study: {type(error).__name__}: {error}", 1024)
        message = f"{told}. It tries again; its log has more"[:1024]
        if (before.get("status"), before.get("message")) == ("True", message):
            return
        now = datetime.now(UTC).replace(microsecond=0)
        since = before.get("lastTransitionTime") if before.get("status") == "True" else None
        stalled = {
            "type": "Stalled",
            "status": "True",
            "reason": why.LOOK_FAILED,
            "message": message,
            "observedGeneration": metadata.get("generation", 0),
            "lastTransitionTime": since or now.isoformat().replace("+00:00", "Z"),
        }
        who = {key: metadata[key] for key in ("namespace", "name", "uid")}
        await self._cluster.record(who, "Warning", why.LOOK_FAILED, message, now, cause=str(since))
        fields = {"conditions": [*others, stalled]}
        await self._cluster.merge_status(who["namespace"], who["name"], fields, metadata["resourceVersion"])

    async def _record(self, study: Study, notes: Sequence[Note], now: datetime) -> None:
        if not notes:
            return
        who = {"namespace": study.namespace, "name": study.name, "uid": study.uid}
        cause = study.status.model_dump_json(exclude=_QUIET)
        for note in notes:
            await self._cluster.record(who, note.kind, note.reason, note.message, now, "" if note.first else cause)


def without_texts(status: TuningStudyStatus) -> TuningStudyStatus:
    """The status with its counts, states and reasons, and no text that came from outside."""
    message = "the API server refuses the text that belongs here; the operator's log has it"
    return status.model_copy(
        update={
            "best": None,
            "conditions": [entry.model_copy(update={"message": message}) for entry in status.conditions],
            "rounds": [entry.model_copy(update={"best": None, "reason": ""}) for entry in status.rounds],
            "retune": status.retune.model_copy(update={"last_handled": None, "last_taken": None, "reason": None}),
        }
    )


def _newer(seen: Mapping[str, Any] | None, changed: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The Job as the watch shows it, or as we changed it if the watch lags behind."""
    if seen is None or changed is None or seen["metadata"]["uid"] != changed["metadata"]["uid"]:
        return seen
    return changed if version(seen) < version(changed) else seen


def _count_retunes(study: Study, before: TuningStudyStatus, after: TuningStudyStatus) -> None:
    if after.retune.last_request == before.retune.last_request:
        return
    if after.retune.suppressed > before.retune.suppressed:
        metrics.suppressed(study.namespace, study.name, (after.retune.reason or "").partition(":")[0])
    else:
        metrics.retuned(study.namespace, study.name, parse_request(study.retune_request or "").trigger)


def _loud(status: TuningStudyStatus) -> dict[str, Any]:
    return status.model_dump(exclude=_QUIET)


def _progress_is_due(status: TuningStudyStatus, memory: Memory, now: datetime | None = None) -> bool:
    """Whether counts alone are worth a write: every fifth of the round's age, between 5 and 60 seconds."""
    if memory.written_at is None or status.start_time is None:
        return True
    moment = now or datetime.now(memory.written_at.tzinfo)
    return moment - memory.written_at >= _pause(status.start_time, moment)


def _written_before(start: datetime, now: datetime) -> datetime:
    """When an earlier life of the operator may have written the status: so that many are not written all at once."""
    return now - _pause(start, now) * random.random()


def _pause(start: datetime, now: datetime) -> timedelta:
    return min(max((now - start) * _SHARE_OF_AGE, _MIN_PAUSE), _MAX_PAUSE)
