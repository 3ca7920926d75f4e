"""Reads everything that a decision about one study needs, from the watches' caches, the store and, rarely, the API."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from tuning_kube.client import Cluster
from tuning_kube.errors import Forbidden, NotFound
from tuning_operator.executors.view import WorkerView
from tuning_operator.executors.worker_job.view import workers_view
from tuning_operator.observe.canaries import Canaries
from tuning_operator.observe.evidence import EvidenceCache
from tuning_operator.observe.observation import Observation, Provenance, StoreProblem, Study
from tuning_operator.observe.pods import PodCache, PodLists
from tuning_operator.observe.results import ResultsCache, Standing
from tuning_operator.observe.waiting import WaitClock
from tuning_operator.rollout import argo_rollout, canary, deployment
from tuning_operator.rollout.canary import CanaryView
from tuning_operator.rollout.target import (
    ABOUT_THE_TARGET,
    TargetView,
    forbidden,
    have_started_since,
    missing,
    object_of,
    selector_of,
)
from tuning_operator.stores import Location, Stores
from tuning_store import rounds
from tuning_store.values import Progress
from tuning_store.versions import installed_versions
from tuning_study.api.promotion_status import PromotionStatus
from tuning_study.failures import grouped
from tuning_study.round import study_name, verification_name
from tuning_study.text import truncate
from tuning_study.verification import is_due

_VERSIONS = installed_versions()
_ENDED = ("Complete", "Failed")
_FRESH = 0.7  # seconds that a reading of the store may be old


@dataclass
class ObservationCaches:
    """What the observer keeps of one study between two looks, to spare reads."""

    pods: PodCache = field(default_factory=PodCache)
    results: ResultsCache = field(default_factory=ResultsCache)
    waiting: WaitClock = field(default_factory=WaitClock)
    provenance: tuple[tuple[str, int], Provenance] = ("", 0), Provenance()
    """By the round's study and its trials that have ended."""


class Observer:
    """For all studies; used by the event loop alone."""

    def __init__(self, cluster: Cluster, stores: Stores, evidence: EvidenceCache, canaries: Canaries) -> None:
        self._cluster, self._stores, self._evidence, self._canaries = cluster, stores, evidence, canaries
        self._lists = PodLists(cluster)

    async def observe(
        self,
        study: Study,
        job: Mapping[str, Any] | None,
        place: Location | StoreProblem | None,
        caches: ObservationCaches,
        *,
        acted_at: float,
        results: bool,
    ) -> Observation:
        """The study's situation. Raises StoreError and ClusterError.

        Args:
            place: where its rounds are, or why nobody can know; None for a manifest that cannot run.
            acted_at: when this operator last changed anything (monotonic): readings are newer than that.
            results: asks for the best trials too, which cost a read of the round's values.
        """
        now, workers = datetime.now(UTC).replace(microsecond=0), workers_view(job) if job else None
        if not isinstance(place, Location):
            return Observation(now, study, store=place, workers=workers, versions=_VERSIONS)
        not_before = max(time.monotonic() - _FRESH, acted_at)
        progress = await self._progress(study, place, not_before)
        verification = await self._verification(study, progress, place, not_before)
        if caches.results.read_at is None:
            caches.pods.inherited = study.status.storage is not None
            caches.results.take_over(study.status)
        if study.spec is not None and progress is not None and (results or progress.stop_reason is not None):
            await caches.results.refresh(Standing(study.spec, progress, verification), self._stores, place)
        failures = await self._failures(study, progress, place)
        each = await caches.pods.look(study, job, workers, verification or progress, self._lists)
        if each is not None and _lost_workers(verification or progress, each, now):
            # The pods are newer than the reading: a worker may have ended its trial, and then itself, in between.
            progress = await self._progress(study, place, time.monotonic())
            verification = await self._verification(study, progress, place, time.monotonic())
        current = verification or progress
        target, beside = await self._target(study), await self._canary(study)
        goes_on = job if current is not None and current.stop_reason is None else None
        return Observation(
            now,
            study,
            shared_role=place.shared_role,
            progress=progress,
            verification=verification,
            verified=caches.results.verified if verification is not None else "",
            parameters=caches.results.parameters if verification is not None else None,
            target=target,
            canary=beside,
            canary_told=self._canaries.told(study, beside, target),
            comparison=caches.results.comparison if verification is not None else None,
            chosen=caches.results.chosen if progress is not None else "",
            workers=workers,
            each=each,
            missing=await caches.waiting.missing_workers(study, goes_on, workers, self._lists, self._cluster),
            queued=await caches.waiting.queue_wait(study, job, workers, self._cluster),
            best=caches.results.best if progress is not None else None,
            pareto=caches.results.pareto if progress is not None else None,
            diagnosis=caches.results.diagnosis_of(progress.study) if progress is not None else (),
            results_problem=caches.results.problem,
            failures=failures,
            versions=_VERSIONS,
            provenance=await self._provenance(study, progress, verification, job, place, caches),
            production=await self._evidence.production(study, now),
        )

    async def _progress(self, study: Study, place: Location, not_before: float) -> Progress | None:
        number = max(1, study.status.round)
        name = study_name(study.namespace, study.name, study.uid, number)
        return await self._stores.progress(place).progress((place.schema, name), not_before)

    async def _verification(
        self, study: Study, progress: Progress | None, place: Location, not_before: float
    ) -> Progress | None:
        if study.spec is None or progress is None:
            return None
        if not is_due(study.spec, progress.stop_reason, progress.counts):
            return None
        name = verification_name(progress.study, progress.counts.used)
        return await self._stores.progress(place).progress((place.schema, name), not_before)

    async def _target(self, study: Study) -> TargetView | None:
        """While something is to be decided about it, or it is being rolled."""
        spec, status = study.spec, study.status.promotion
        if spec is None or spec.promotion is None or spec.promotion.target is None:
            return None
        if status is None or status.state not in ABOUT_THE_TARGET:
            return None
        rolled = object_of(spec.promotion.target)
        if rolled is None:
            return None
        kind, name = rolled
        try:
            if kind == "Rollout":
                body = await self._cluster.read_rollout(study.namespace, name)
                view = argo_rollout.view(body)
            else:
                body = await self._cluster.read_deployment(study.namespace, name)
                view = deployment.view(body)
        except NotFound:
            return missing(kind, name)
        except Forbidden:
            return forbidden(kind, name)
        if await self._has_stale_pods(study, status, view, body):
            return replace(view, stale_pods=True)
        return view

    async def _has_stale_pods(
        self, study: Study, status: PromotionStatus, view: TargetView, body: Mapping[str, Any]
    ) -> bool:
        """Asked once, before the target is told to go back."""
        if status.state != "RollingBack" or status.stable is None or view.parameters == status.stable:
            return False
        pods = await self._cluster.list_pods(study.namespace, selector_of(body))
        return status.changed is not None and have_started_since(pods, status.stable, status.changed)

    async def _canary(self, study: Study) -> CanaryView | None:
        """As long as the status has one, whatever became of it."""
        status = study.status.promotion
        if status is None or status.canary is None or status.canary.deployment is None:
            return None
        try:
            return canary.view(await self._cluster.read_deployment(study.namespace, status.canary.deployment))
        except (NotFound, Forbidden):  # without the right to read there was none to make it, or it was taken since
            return None

    async def _provenance(
        self,
        study: Study,
        progress: Progress | None,
        verification: Progress | None,
        job: Mapping[str, Any] | None,
        place: Location,
        caches: ObservationCaches,
    ) -> Provenance:
        """When it is told: at the round's end. Costs a list of pods and a read of the store, once."""
        current = verification or progress
        if progress is None or current is None or current.stop_reason is None or study.status.state in _ENDED:
            return Provenance()
        counts = current.counts
        of = current.study, counts.complete + counts.pruned + counts.failed
        if caches.provenance[0] != of:
            pods = await self._lists.shared(study) if job is not None else []
            name, images = progress.study, sorted({pod.image for pod in pods} - {""})
            versions, data = await self._stores.open.call(place, lambda store: rounds.provenance(store, name))
            caches.provenance = of, Provenance(images, versions, data)
        return caches.provenance[1]

    async def _failures(self, study: Study, progress: Progress | None, place: Location) -> list[tuple[str, int]]:
        """When they are told: at the round's end."""
        over = progress is not None and progress.stop_reason is not None and study.status.state not in _ENDED
        if progress is None or not over or not progress.counts.failed:
            return []
        found = await self._stores.call(self._stores.readings(place).failures, progress.study)
        return [(truncate(group.reason, 512), group.count) for group in grouped(found)]


def _lost_workers(progress: Progress | None, each: Sequence[WorkerView], now: datetime) -> list[str]:
    """Workers that run a trial, as the store last told, and are gone or have ended."""
    if progress is None:
        return []
    living = {worker.name for worker in each if not worker.is_lost(now)}
    return [name for name, counts in progress.counts_by_worker.items() if counts.running and name not in living]
