"""A loop for each study, woken by what the watches see and by its own clock: at most one reconcile per study at a time.

Called by the kopf handlers with what they were told; calls the reconciler while this replica leads.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext, suppress
from contextvars import Context
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog

from tuning_kube import names
from tuning_kube.errors import ClusterError, Conflict, NotFound, Unavailable
from tuning_operator import metrics
from tuning_operator.reconcile import Memory, Reconciler

log = structlog.get_logger()

_LONGEST_WAIT = timedelta(seconds=30)  # after errors, and for what the watch has not shown yet
_FAILURES_UNTIL_TOLD = 2  # in a row, until the study says so itself
_NEWCOMERS = 24  # first looks at a time: those who are known already do not wait behind them
Key = tuple[str, str]  # namespace and name


@dataclass
class _Loop:
    uid: str
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    memory: Memory = field(default_factory=Memory)
    task: asyncio.Task[None] | None = None


class Loops:
    """Keeps what the watches showed last. Looks only while this replica leads."""

    def __init__(self) -> None:
        self._reconciler: Reconciler | None = None
        self._studies: dict[Key, Mapping[str, Any]] = {}
        self._jobs: dict[Key, dict[str, Mapping[str, Any]]] = defaultdict(dict)
        self._unseen: set[Key] = set()  # Jobs that are waited for
        self._job_seen = asyncio.Event()
        self._ending: set[str] = set()  # namespaces
        self._loops: dict[Key, _Loop] = {}
        self._observed: set[Key] = set()  # at least once by this replica since it leads
        # A thousand that come at once would all wait for the API server until it seems not to answer.
        self._newcomers = asyncio.Semaphore(_NEWCOMERS)

    async def wait_for_jobs(self, known: Sequence[Mapping[str, Any]]) -> None:
        """Until the watch has shown the Jobs of `known`, their metadata: a look before would make them anew."""
        seen = {(key[0], name) for key, jobs in self._jobs.items() for name in jobs}
        self._unseen = {(job["namespace"], job["name"]) for job in known} - seen
        with suppress(TimeoutError):  # one that was deleted meanwhile is never shown
            async with asyncio.timeout(_LONGEST_WAIT.total_seconds()):
                while self._unseen:
                    self._job_seen.clear()
                    await self._job_seen.wait()

    def lead(self, reconciler: Reconciler) -> None:
        self._reconciler = reconciler
        reconciler.take_over(self._studies.values())
        for key, body in self._studies.items():
            self._start(key, body)

    async def stop(self) -> None:
        self._reconciler = None
        tasks = [loop.task for loop in self._loops.values() if loop.task is not None]
        self._loops.clear()
        self._observed.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def saw_study(self, body: Mapping[str, Any], deleted: bool) -> None:
        key = (body["metadata"]["namespace"], body["metadata"]["name"])
        if deleted:
            self._studies.pop(key, None)
            self._end(key)
            return
        self._studies[key] = body
        if self._reconciler is not None:
            self._start(key, body)

    def saw_job(self, body: Mapping[str, Any], deleted: bool) -> None:
        metadata = body["metadata"]
        key = (metadata["namespace"], metadata["labels"][names.STUDY_LABEL])
        if deleted:
            self._jobs[key].pop(metadata["name"], None)
        else:
            self._jobs[key][metadata["name"]] = body
        self._unseen.discard((metadata["namespace"], metadata["name"]))
        self._job_seen.set()
        if key in self._loops:
            self._loops[key].wake.set()

    def saw_namespace(self, name: str, ends: bool) -> None:
        (self._ending.add if ends else self._ending.discard)(name)
        for key, loop in self._loops.items():
            if ends and key[0] == name:
                loop.wake.set()

    def wake(self, uids: Collection[str]) -> None:
        """Look at these studies now: something was told of them."""
        for loop in self._loops.values():
            if loop.uid in uids:
                loop.wake.set()

    def _start(self, key: Key, body: Mapping[str, Any]) -> None:
        uid = body["metadata"]["uid"]
        loop = self._loops.get(key)
        if loop is not None and loop.uid != uid:  # deleted and made anew while we did not look
            self._end(key)
            loop = None
        if loop is None:
            loop = self._loops[key] = _Loop(uid)
            # In a context of its own: the event's would keep all that kopf knew of the event for as long as the task.
            loop.task = asyncio.create_task(self._run(key, loop), name="/".join(key), context=Context())
        loop.wake.set()

    def _end(self, key: Key) -> None:
        self._observed.discard(key)
        metrics.observed(len(self._observed))
        loop = self._loops.pop(key, None)
        if loop is not None and loop.task is not None:
            loop.task.cancel()
        if loop is not None and self._reconciler is not None:
            self._reconciler.forget(loop.uid)

    async def _run(self, key: Key, loop: _Loop) -> None:
        failures = 0
        while True:
            loop.wake.clear()
            try:
                async with self._newcomers if key not in self._observed else nullcontext():
                    wait = await self._look(key, loop)
                failures = 0
            except (NotFound, Conflict) as error:  # the watch will show what happened
                log.info("try again", namespace=key[0], study=key[1], error=str(error))
                wait = timedelta(seconds=1)
            except Exception as error:
                failures += 1
                metrics.failed()
                wait = min(timedelta(seconds=2.0 ** min(failures, 6) / 2), _LONGEST_WAIT)
                known = isinstance(error, ClusterError)
                log.warning("the look failed", namespace=key[0], study=key[1], error=str(error), exc_info=not known)
                if failures >= _FAILURES_UNTIL_TOLD and not isinstance(error, Unavailable):
                    await self._tell_failure(key, error)
            await _sleep(wait, loop.wake)

    async def _tell_failure(self, key: Key, error: Exception) -> None:
        try:
            assert self._reconciler is not None
            await self._reconciler.tell_failure(self._studies[key], error)
        except Exception as problem:  # the next failure tries to tell it again
            log.warning("the failure is not told", namespace=key[0], study=key[1], error=str(problem))

    async def _look(self, key: Key, loop: _Loop) -> timedelta:
        assert self._reconciler is not None
        began = time.perf_counter()
        wait = await self._reconciler.reconcile(
            self._studies[key], self._jobs[key], loop.memory, namespace_ends=key[0] in self._ending
        )
        metrics.looked(time.perf_counter() - began)
        self._observed.add(key)
        metrics.observed(len(self._observed))
        return wait


async def _sleep(wait: timedelta, wake: asyncio.Event) -> None:
    """Until `wait` is over, give or take a tenth, or something happens."""
    try:
        async with asyncio.timeout(wait.total_seconds() * random.uniform(0.9, 1.1)):
            await wake.wait()
    except TimeoutError:
        return
