"""One look at a study: provision, observe, plan, execute, publish. Called by the study's loop, one look at a time."""

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from tuning_kube import names
from tuning_kube.client import Cluster
from tuning_kube.errors import ClusterError, Forbidden, Invalid
from tuning_operator import metrics, reasons
from tuning_operator.exceptions import ProductionRefused, SecretUnusable
from tuning_operator.execute import Executor
from tuning_operator.observe.canaries import Canaries
from tuning_operator.observe.evidence import EvidenceCache
from tuning_operator.observe.observation import Observation, StoreProblem, Study
from tuning_operator.observe.observer import ObservationCaches, Observer
from tuning_operator.own_writes import OwnWrites
from tuning_operator.plan.actions import Record, StudyEvent
from tuning_operator.plan.decide import cannot_start, plan, refused
from tuning_operator.plan.draft import Plan
from tuning_operator.provision import Provisioner, store_problem
from tuning_operator.publish import StatusWriter, is_worth_a_write, publish_events, write_status
from tuning_operator.rollout import parameters_job
from tuning_operator.rollout.target import ABOUT_THE_TARGET, TargetView, of_job
from tuning_operator.round_gate import RoundGate
from tuning_operator.settings import Settings
from tuning_operator.stores import Location, Stores
from tuning_store.exceptions import AuthenticationRefused, StoreError, UnknownEarlierStudy
from tuning_study.api.status import TuningStudyStatus, read_status
from tuning_study.text import truncate

log = structlog.get_logger()

_AFTER_ACTIONS = timedelta(seconds=0.2)


@dataclass
class Memory:
    """What is kept of one study between two looks, by owner; an operator that takes over begins with none of it."""

    own: OwnWrites = field(default_factory=OwnWrites)
    caches: ObservationCaches = field(default_factory=ObservationCaches)
    writer: StatusWriter = field(default_factory=StatusWriter)


class Reconciler:
    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        stores: Stores,
        provisioner: Provisioner,
        evidence: EvidenceCache,
        canaries: Canaries,
    ) -> None:
        self._settings, self._cluster, self._provisioner = settings, cluster, provisioner
        self._evidence, self._canaries = evidence, canaries
        self._gate = RoundGate(settings.max_running_rounds)
        self._observer = Observer(cluster, stores, evidence, canaries)
        self._executor = Executor(settings, cluster, stores)

    def take_over(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        """All studies as the watch shows them, before the first is looked at: their rounds may run already."""
        for body in bodies:
            with suppress(Exception):  # a status that cannot be read is told by its study's own look
                self._gate.note(body["metadata"]["uid"], read_status(body.get("status") or {}))

    def forget(self, uid: str) -> None:
        """The study is gone."""
        self._gate.forget(uid)
        self._evidence.forget(uid)
        self._canaries.forget(uid)

    async def reconcile(
        self,
        body: Mapping[str, Any],
        jobs: Mapping[str, Mapping[str, Any]],
        memory: Memory,
        *,
        namespace_ends: bool = False,
    ) -> timedelta:
        """Bring one study a step further. Returns when to look again if nothing happens. Raises ClusterError."""
        study = memory.own.study(body)
        job = memory.own.newest_job(jobs.get(names.round_name(study.name, max(1, study.status.round))))
        memory.writer.take_over(study.status, datetime.now(UTC))
        due = memory.writer.is_due(study.status, datetime.now(UTC))
        place = await self._provision(study)
        observed = await self._observe(study, job, place, memory, results=due)
        room, check = self._gate.has_room(study.uid), parameters_job.view(_check_of(study, jobs))
        target = observed.target or _hook_of(study, jobs)
        observed = replace(observed, namespace_ends=namespace_ends, room=room, staging=check, target=target)
        planned = plan(observed)
        self._gate.note(study.uid, planned.status)
        decided = await self._execute(planned, observed, place, memory)
        await self._publish(decided, observed, memory, due)
        if decided.actions:
            return _AFTER_ACTIONS
        episode = decided.status.retune.episode
        soon = decided.poll or (episode is not None and episode.waits_for == "RoundsLimit")
        return self._settings.poll if soon else self._settings.resync

    async def _provision(self, study: Study) -> Location | StoreProblem | None:
        if study.spec is None:
            return None
        try:
            return await self._provisioner.provision(study.namespace, study.spec.storage)
        except (StoreError, SecretUnusable, Forbidden) as error:
            return self._problem(study, error)

    async def _observe(
        self,
        study: Study,
        job: Mapping[str, Any] | None,
        place: Location | StoreProblem | None,
        memory: Memory,
        *,
        results: bool,
    ) -> Observation:
        observe, acted_at = self._observer.observe, memory.own.acted_at
        try:
            return await observe(study, job, place, memory.caches, acted_at=acted_at, results=results)
        except StoreError as error:
            problem = self._problem(study, error)
            return await observe(study, job, problem, memory.caches, acted_at=acted_at, results=False)

    def _problem(self, study: Study, error: Exception) -> StoreProblem:
        if isinstance(error, AuthenticationRefused) and study.spec is not None:
            self._provisioner.read_again(study.namespace, study.spec.storage)
        return store_problem(error)

    async def _execute(
        self, decided: Plan, observed: Observation, place: Location | StoreProblem | None, memory: Memory
    ) -> Plan:
        """The plan with the events that its actions brought about, or another where one of them failed."""
        study = observed.study
        await publish_events(self._cluster, study, [event for event in decided.events if event.first], observed.now)
        events = [event for event in decided.events if not event.first]
        try:
            for action in decided.actions:
                log.info("acting", namespace=study.namespace, study=study.name, action=type(action).__name__)
                at = place if isinstance(place, Location) else None
                events += await self._executor.execute(action, study, at, memory.own)
                memory.own.acted_at = time.monotonic()
        except ProductionRefused as error:
            held = _hold_production(error, observed)
            for action in held.actions:
                if isinstance(action, Record):
                    await self._executor.execute(action, study, None, memory.own)
            return held
        except (StoreError, SecretUnusable, Invalid, Forbidden) as error:
            return _replan_after(error, decided, events, observed)
        return replace(decided, events=tuple(events))

    async def _publish(self, decided: Plan, observed: Observation, memory: Memory, due: bool) -> None:
        study, before, after = observed.study, observed.study.status, decided.status
        await publish_events(self._cluster, study, decided.events, observed.now)
        if is_worth_a_write(before, after, due=due):
            memory.own.version = await write_status(self._cluster, study, after)
            memory.own.status, memory.writer.written_at = after, observed.now
            _count_retunes(study, before, after)
            _count_promotions(study, before, after)

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
            "reason": reasons.LOOK_FAILED,
            "message": message,
            "observedGeneration": metadata.get("generation", 0),
            "lastTransitionTime": since or now.isoformat().replace("+00:00", "Z"),
        }
        who = {key: metadata[key] for key in ("namespace", "name", "uid")}
        await self._cluster.record(who, "Warning", reasons.LOOK_FAILED, message, now, cause=str(since))
        fields = {"conditions": [*others, stalled]}
        await self._cluster.merge_status(who["namespace"], who["name"], fields, metadata["resourceVersion"])


def _replan_after(error: Exception, decided: Plan, events: list[StudyEvent], observed: Observation) -> Plan:
    """What to tell when an action failed; the next look tries again whatever was not done."""
    if isinstance(error, UnknownEarlierStudy):
        return cannot_start(observed, str(error))
    if isinstance(error, ClusterError):
        told = refused(observed, decided, str(error))
        return replace(told, events=(*events, *told.events))
    told = plan(replace(observed, store=store_problem(error)))
    return replace(told, events=tuple(event for event in told.events if not event.first))


def _check_of(study: Study, jobs: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The Job that checks the candidate, as the watch has shown it."""
    promotion = study.status.promotion
    if promotion is None or promotion.candidate is None:
        return None
    return jobs.get(parameters_job.check_name(study.name, study.uid, promotion.candidate))


def _hook_of(study: Study, jobs: Mapping[str, Mapping[str, Any]]) -> TargetView | None:
    """The Job that brings parameters to production, or back, as the watch has shown it."""
    asked = study.spec.promotion if study.spec is not None else None
    status = study.status.promotion
    if asked is None or asked.target is None or asked.target.job is None or status is None:
        return None
    name = status.stable if status.state == "RollingBack" else status.candidate
    if name is None or status.state not in ABOUT_THE_TARGET:
        return None
    hook = parameters_job.hook_name(study.name, study.uid, name, status)
    return of_job(hook, name, parameters_job.view(jobs.get(hook)))


def _hold_production(error: ProductionRefused, observed: Observation) -> Plan:
    """What to tell when what is in production could not be changed; the next look tries again."""
    told = plan(replace(observed, refusal=(error.reason, str(error))))
    return replace(told, events=tuple(event for event in told.events if not event.first))


def _count_promotions(study: Study, before: TuningStudyStatus, after: TuningStudyStatus) -> None:
    """Ends and waits, not the steps between them."""
    now, steps = after.promotion, before.promotion.steps if before.promotion is not None else 0
    if now is None or now.steps == steps:
        return
    if not now.is_moving and now.state != "Candidate":
        metrics.promoted(study.namespace, study.name, "Promoted" if now.state == "Stable" else now.state)
    decided = now.canary.decision if now.canary is not None else None
    earlier = before.promotion.canary.decision if before.promotion is not None and before.promotion.canary else None
    asked = study.spec.promotion.canary if study.spec is not None and study.spec.promotion is not None else None
    if decided is not None and earlier is None and asked is not None and asked.dry_run:
        metrics.promoted(study.namespace, study.name, f"Would{decided}")


def _count_retunes(study: Study, before: TuningStudyStatus, after: TuningStudyStatus) -> None:
    if after.round > before.round and after.rounds[-1].is_retuned:
        metrics.retuned(study.namespace, study.name, after.rounds[-1].began_by)
    if after.retune.suppressed > before.retune.suppressed:
        metrics.suppressed(study.namespace, study.name, str(after.retune.last_outcome))
