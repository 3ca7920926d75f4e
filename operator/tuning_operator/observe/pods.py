"""The pods of workers, listed no more often than it takes to know what became of each."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tuning_kube import names
from tuning_kube.client import Cluster
from tuning_operator.executors.view import WorkersView, WorkerView
from tuning_operator.executors.worker_job.view import worker_view
from tuning_operator.observe.observation import Study
from tuning_store.values import Progress

_TOGETHER = 5.0  # seconds in which one list of a namespace's pods serves all who look there
_HEARTBEATS_MISSED = 15.0  # seconds without a heartbeat, three of them, after which a worker's pod is looked for

Round = tuple[str, int]
"""A study's name and the round's number."""


class PodLists:
    """For all studies: those who look at once, as after a start of the operator or of the database, share one list."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._listings: dict[str, asyncio.Task[Mapping[Round, list[WorkerView]]]] = {}  # by namespace

    async def shared(self, study: Study) -> list[WorkerView]:
        """The round's workers, the oldest first, as they were within the last seconds."""
        namespace = study.namespace
        if namespace not in self._listings:
            self._listings[namespace] = asyncio.create_task(self._list_all(namespace))
            asyncio.get_running_loop().call_later(_TOGETHER, self._listings.pop, namespace)
        return (await asyncio.shield(self._listings[namespace])).get((study.name, study.status.round), [])

    async def now(self, study: Study) -> list[WorkerView]:
        """The round's workers as they are now."""
        selector = f"{names.STUDY_LABEL}={study.name},{names.ROUND_LABEL}={study.status.round}"
        return [worker_view(pod) for pod in await self._cluster.list_pods(study.namespace, selector)]

    async def _list_all(self, namespace: str) -> Mapping[Round, list[WorkerView]]:
        found: dict[Round, list[WorkerView]] = defaultdict(list)
        for pod in await self._cluster.list_pods(namespace, f"{names.ROLE_LABEL}={names.WORKER_ROLE}"):
            labels = pod["metadata"]["labels"]
            found[labels[names.STUDY_LABEL], int(labels[names.ROUND_LABEL])].append(worker_view(pod))
        return found


@dataclass
class PodCache:
    """Of one study. Forgetting it costs one more list."""

    inherited: bool = False
    """Whether the round was started before this operator led."""
    _pods: list[WorkerView] | None = None
    _listed_at: float = 0.0  # monotonic
    _job_version: str | None = None

    async def look(
        self,
        study: Study,
        job: Mapping[str, Any] | None,
        workers: WorkersView | None,
        progress: Progress | None,
        lists: PodLists,
    ) -> list[WorkerView] | None:
        """Listed anew when the Job changed, or a trial runs in a pod that is not known to live; None without a reason.

        Or when a heartbeat is missing: a Job tells of a failed pod only when it starts the next, minutes later.
        """
        if progress is None or (job is None and not progress.counts.running):
            return None
        version = job["metadata"]["resourceVersion"] if job else None
        running = {worker for worker, counts in progress.counts_by_worker.items() if counts.running}
        failing = workers is not None and bool(workers.failed or workers.terminating) and version != self._job_version
        unheard = max(progress.seconds_since_heartbeat.values(), default=0.0) > _HEARTBEATS_MISSED
        unheard = unheard and time.monotonic() > self._listed_at + _HEARTBEATS_MISSED
        if running and not failing and (unheard or (self._pods is None and self.inherited)):
            self._listed_at = time.monotonic()
            self._pods = await lists.shared(study)
        if failing or running - {pod.name for pod in self._pods or () if not pod.ended}:
            self._pods = await lists.now(study)
            self._job_version = version
        return self._pods
