"""Why workers that should run do not: in the words of the scheduler, the kubelet, or the queue that holds them."""

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuning_kube.client import Cluster
from tuning_operator.executors.view import MissingWorkers, QueueWait, WorkersView, WorkerView
from tuning_operator.executors.worker_job.view import kueues_words, most_telling
from tuning_operator.observe.observation import Study
from tuning_operator.observe.pods import PodLists

_STARTING = 5.0  # seconds in which a pod usually begins; until then nobody asks why it has not
_BETWEEN_EVENTS = 10.0  # seconds between two readings of the Events of pods that do not begin


@dataclass
class WaitClock:
    """Of one study: since when its workers wait, and what was last said of it."""

    clock: Callable[[], float] = time.monotonic
    """Seconds, from any beginning."""
    _missing_since: float | None = None
    _queued_since: float | None = None
    _event_of: str = ""  # uid of a pod that has not begun, or of the Job
    _event: str | None = None
    _event_at: float = 0.0

    async def missing_workers(
        self,
        study: Study,
        job: Mapping[str, Any] | None,
        workers: WorkersView | None,
        lists: PodLists,
        cluster: Cluster,
    ) -> MissingWorkers | None:
        """None when all run, and in the seconds that a start takes. Without `job` nothing is missing."""
        if job is None or workers is None or not workers.lacks_workers:
            self._missing_since = None
        elif self._missing_since is None:
            self._missing_since = self.clock()
        elif (seconds := self.clock() - self._missing_since) >= _STARTING:
            each = await lists.shared(study)
            return MissingWorkers(
                seconds,
                running=sum(worker.began and not worker.ended for worker in each),
                message=await self._why_missing(study.namespace, _uid(job), each, cluster),
                outlived=[worker.name for worker in each if worker.ended and worker.lives],
            )
        return None

    async def queue_wait(
        self, study: Study, job: Mapping[str, Any] | None, workers: WorkersView | None, cluster: Cluster
    ) -> QueueWait | None:
        """None while no queue holds the Job back."""
        if job is None or workers is None or not workers.waits_in_queue:
            self._queued_since = None
            return None
        if self._queued_since is None:
            self._queued_since = self.clock()
        seconds = self.clock() - self._queued_since
        if seconds < _STARTING:
            return QueueWait(seconds)

        async def read() -> str | None:
            about_it = await cluster.list_events(study.namespace, uid=_uid(job))
            of_workloads = await cluster.list_events(study.namespace, kind="Workload")
            return kueues_words(job["metadata"]["name"], about_it, of_workloads)

        words = await self._remembered(_uid(job), read)
        return QueueWait(seconds, seen=words is not None, message=words or "")

    async def _why_missing(self, namespace: str, job_uid: str, each: Sequence[WorkerView], cluster: Cluster) -> str:
        """The words of a pod that has not begun; else of the newest Event about it, or about the Job without a pod.

        A waiting pod's plain Events tell what it does now (`Pulling`); a Job's tell only that it created a pod.
        """
        waiting = [worker for worker in each if worker.lives and not worker.began]
        if words := next((worker.waits_for for worker in waiting if worker.waits_for), ""):
            return words
        uid = waiting[0].uid if waiting else job_uid

        async def read() -> str | None:
            return most_telling(await cluster.list_events(namespace, uid=uid), warnings_only=not waiting)

        if event := await self._remembered(uid, read):
            return event
        ended = [worker for worker in each if worker.ended]
        if waiting or not ended:
            return ""
        last = ended[-1]
        return f"pod {last.name} has ended: {last.message.strip() or last.story}; the Job starts another"

    async def _remembered(self, uid: str, read: Callable[[], Awaitable[str | None]]) -> str | None:
        """Kept when there is none any more: the API server forgets Events after an hour, and a pod may wait longer."""
        if uid != self._event_of:
            self._event_of, self._event, self._event_at = uid, None, 0.0
        if self.clock() > self._event_at + _BETWEEN_EVENTS:
            self._event_at = self.clock()
            found = await read()
            self._event = self._event if found is None else found
        return self._event


def _uid(body: Mapping[str, Any]) -> str:
    return str(body["metadata"]["uid"])
