"""Reads everything that a decision about one study needs, from the watch's caches, the store and, rarely, the API."""

import asyncio
import importlib.metadata
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import structlog

from tuning_operator import conditions as why
from tuning_operator import names
from tuning_operator.cluster import Cluster
from tuning_operator.describe import describe_best
from tuning_operator.disruptions import is_lost
from tuning_operator.exceptions import ClusterError, Forbidden, SecretUnusable
from tuning_operator.observed import JobView, MissingWorkers, Observed, PodView, StoreProblem, Study, job_view, pod_view
from tuning_operator.stores import Location, Stores
from tuning_store import progress as stored
from tuning_store.exceptions import AuthenticationRefused, PermissionRefused, StoreError
from tuning_store.progress import Progress
from tuning_study.exceptions import InvalidStudy
from tuning_study.manifest import read_spec
from tuning_study.results import best, pareto_front
from tuning_study.round import study_name
from tuning_study.spec import TuningStudySpec
from tuning_study.status import Best, Pareto, TuningStudyStatus, read_status
from tuning_study.text import truncate

log = structlog.get_logger()

VERSIONS = {name: importlib.metadata.version(name) for name in ("tuning-operator", "optuna")}
_ENDED = ("Complete", "Failed")
_UNKNOWN = -1
_TOGETHER = 5.0  # seconds in which one list of a namespace's pods serves all who look there
_FRESH = 0.7  # seconds that a reading of the store may be old
_STARTING = 5.0  # seconds in which a pod usually begins; until then nobody asks why it has not
_BETWEEN_EVENTS = 10.0  # seconds between two readings of the Events of pods that do not begin
_UNHEARD = 15.0  # seconds of a worker's silence after which its pod is looked for: three heartbeats


@dataclass
class Memory:
    """What a study's loop remembers between two looks, to spare reads; forgetting it costs nothing but those."""

    study: Study | None = None
    status: TuningStudyStatus | None = None  # as written last
    version: int = 0  # of the study since then
    job: Mapping[str, Any] | None = None  # as changed last
    written_at: datetime | None = None
    acted_at: float = 0.0  # monotonic
    job_version: str | None = None
    pods: list[PodView] | None = None
    pods_at: float = 0.0  # monotonic
    inherited: bool = False  # whether its round was started before this operator led
    best_at: tuple[str, int] | None = None  # study and complete trials for which the results were read
    best: Best | None = None
    pareto: Pareto | None = None
    results_problem: str = ""
    missing_since: float | None = None  # monotonic; since when fewer workers run than should
    event_of: str = ""  # uid of a pod that has not begun, or of the Job
    event: str = ""  # the one that tells most about it
    event_at: float = 0.0  # monotonic


def read_study(body: Mapping[str, Any], known: Study | None = None) -> Study:
    """The study of `body`. The spec of `known` is taken over while its generation lasts: checking one costs time."""
    metadata = body["metadata"]
    if known is not None and (known.uid, known.generation) == (metadata["uid"], metadata["generation"]):
        spec, problems = known.spec, known.problems
    else:
        spec, problems = _checked(body.get("spec"))
    return Study(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        spec=spec,
        problems=problems,
        status=read_status(body.get("status") or {}),
        retune_request=metadata.get("annotations", {}).get(names.RETUNE_ANNOTATION),
        queue=metadata.get("labels", {}).get(names.QUEUE_LABEL),
        version=version(body),
    )


def version(body: Mapping[str, Any]) -> int:
    """Versions of one object are numbers that grow: Kubernetes promises it since 1.35, and kept to it before."""
    return int(body["metadata"]["resourceVersion"])


def _checked(document: Any) -> tuple[TuningStudySpec | None, tuple[str, ...]]:
    try:
        return read_spec(document), ()
    except InvalidStudy as invalid:
        return None, tuple(invalid.problems)


class Observer:
    def __init__(self, cluster: Cluster, stores: Stores) -> None:
        self._cluster, self._stores = cluster, stores
        self._listings: dict[str, asyncio.Task[Mapping[tuple[str, int], list[PodView]]]] = {}  # by namespace

    async def observe(
        self, study: Study, job: Mapping[str, Any] | None, memory: Memory, *, results: bool
    ) -> tuple[Observed, Location | None]:
        """The study's situation. `results` asks for the best trials too, which cost a read of the round's values."""
        observed = Observed(
            now=datetime.now(UTC).replace(microsecond=0),
            study=study,
            job=job_view(job) if job else None,
            versions=VERSIONS,
        )
        if study.spec is None:
            return observed, None
        try:
            location = await self._stores.locate(study.namespace, study.spec.storage)
            # A plan must see what the last one did.
            not_before = max(time.monotonic() - _FRESH, memory.acted_at)
            progress = await self._progress(study, location, not_before)
            if memory.best_at is None:
                _take_over(study.status, memory)
            if progress is not None and (results or progress.over is not None):
                await self._describe_results(study.spec, progress, location, memory)
            failures = (
                await self._stores.call(stored.read_failures, self._stores.engine(location), progress.study)
                if progress is not None
                and progress.over is not None
                and progress.counts.failed
                and study.status.state not in _ENDED  # which is when they are told
                else ()
            )
        except (StoreError, SecretUnusable, Forbidden) as error:
            if isinstance(error, AuthenticationRefused):
                self._stores.read_again(study.namespace, study.spec.storage)
            return replace(observed, store=store_problem(error)), None
        pods = await self._pods(study, job, progress, observed.job, memory)
        if progress is not None and pods is not None and _lost_workers(progress, pods, observed.now):
            # The pods are newer than the reading: a worker may have ended its trial, and then itself, in between.
            try:
                progress = await self._progress(study, location, time.monotonic())
            except StoreError as error:
                return replace(observed, store=store_problem(error)), None
        missing = await self._missing_workers(study, job, progress, observed.job, memory)
        return (
            replace(
                observed,
                shared_role=location.shared_role,
                progress=progress,
                pods=pods,
                missing=missing,
                best=memory.best if progress is not None else None,
                pareto=memory.pareto if progress is not None else None,
                failures=[(truncate(reason, 512), number) for reason, number in failures],
                results_problem=memory.results_problem,
            ),
            location,
        )

    async def _progress(self, study: Study, location: Location, not_before: float) -> Progress | None:
        number = max(1, study.status.round)
        name = study_name(study.namespace, study.name, study.uid, number)
        return await self._stores.board(location).progress((location.schema, name), not_before)

    async def _describe_results(
        self, spec: TuningStudySpec, progress: Progress, location: Location, memory: Memory
    ) -> None:
        """Other people's programs may write into the study: what cannot be described is no reason to stop counting."""
        try:
            await self._read_results(spec, progress, location, memory)
            memory.results_problem = ""
        except (StoreError, ClusterError):
            raise
        except Exception as error:
            log.warning("the results cannot be described", study=progress.study, exc_info=True)
            memory.results_problem = f"{type(error).__name__}: {error}"

    async def _read_results(
        self, spec: TuningStudySpec, progress: Progress, location: Location, memory: Memory
    ) -> None:
        at = (progress.study, progress.counts.complete)
        if memory.best_at == at:
            return
        engine = self._stores.engine(location)
        found = await self._stores.call(stored.read_candidates, engine, progress.study)
        winner, told, pareto = best(spec.objectives, found), None, None
        if winner is not None:
            point = await self._stores.call(stored.read_point, engine, progress.study, winner.number)
            told = describe_best(winner, spec, *point)
        if len(spec.objectives) > 1:
            front = pareto_front(spec.objectives, found)
            pareto = Pareto(size=len(front), feasible=len(front))
        memory.best, memory.pareto = told, pareto
        memory.best_at = at

    async def _pods(
        self,
        study: Study,
        job: Mapping[str, Any] | None,
        progress: Progress | None,
        view: JobView | None,
        memory: Memory,
    ) -> list[PodView] | None:
        """The round's pods, listed anew when the Job changed or a trial runs in a pod that is not known to live.

        Or when its worker has gone silent: a Job tells of a failed pod only when it starts the next, minutes later.
        """
        if progress is None or (job is None and not progress.counts.running):
            return None
        version = job["metadata"]["resourceVersion"] if job else None
        running = {worker for worker, share in progress.shares.items() if share.running}
        failing = view is not None and bool(view.failed or view.terminating) and version != memory.job_version
        silent = max(progress.silent.values(), default=0.0)
        unheard = silent > _UNHEARD and time.monotonic() > memory.pods_at + _UNHEARD
        if running and not failing and (unheard or (memory.pods is None and memory.inherited)):
            memory.pods_at = time.monotonic()
            memory.pods = (await self._all_pods(study.namespace)).get((study.name, study.status.round), [])
        if failing or running - {pod.name for pod in memory.pods or () if not pod.ended}:
            selector = f"{names.STUDY_LABEL}={study.name},{names.ROUND_LABEL}={study.status.round}"
            memory.pods = [pod_view(pod) for pod in await self._cluster.list_pods(study.namespace, selector)]
            memory.job_version = version
        return memory.pods

    async def _missing_workers(
        self,
        study: Study,
        job: Mapping[str, Any] | None,
        progress: Progress | None,
        view: JobView | None,
        memory: Memory,
    ) -> MissingWorkers | None:
        """What keeps workers from running that should. None when all run, and in the seconds that a start takes."""
        if job is None or progress is None or progress.over is not None or not (view and view.lacks_workers):
            memory.missing_since = None
        elif memory.missing_since is None:
            memory.missing_since = time.monotonic()
        elif (seconds := time.monotonic() - memory.missing_since) >= _STARTING:
            pods = (await self._all_pods(study.namespace)).get((study.name, study.status.round), [])
            return MissingWorkers(
                seconds,
                running=sum(pod.began and not pod.ended for pod in pods),
                message=await self._why_missing(study.namespace, _uid(job), pods, memory),
                outlived=[pod.name for pod in pods if pod.ended and pod.lives],
            )
        return None

    async def _why_missing(self, namespace: str, job_uid: str, pods: Sequence[PodView], memory: Memory) -> str:
        """The words of a pod that has not begun; else of the newest Event about it, or about the Job without a pod.

        A waiting pod's plain Events tell what it does now (`Pulling`); a Job's tell only that it created a pod.
        """
        waiting = [pod for pod in pods if pod.lives and not pod.began]
        if words := next((pod.waits_for for pod in waiting if pod.waits_for), ""):
            return words
        uid = waiting[0].uid if waiting else job_uid
        if words := await self._newest_event(namespace, uid, memory, warnings_only=not waiting):
            return words
        ended = [pod for pod in pods if pod.ended]
        if waiting or not ended:
            return ""
        said = (ended[-1].message or ended[-1].reason).strip()
        return f"pod {ended[-1].name} has ended: {said}; the Job starts another"

    async def _newest_event(self, namespace: str, uid: str, memory: Memory, *, warnings_only: bool) -> str:
        """Kept when there is none any more: the API server forgets Events after an hour, and a pod may wait longer."""
        if uid != memory.event_of:
            memory.event_of, memory.event, memory.event_at = uid, "", 0.0
        if time.monotonic() > memory.event_at + _BETWEEN_EVENTS:
            memory.event_at = time.monotonic()
            messages = await self._cluster.event_messages(namespace, uid, warnings_only=warnings_only)
            memory.event = next(iter(messages), memory.event)
        return memory.event

    async def _all_pods(self, namespace: str) -> Mapping[tuple[str, int], list[PodView]]:
        """All workers' pods in the namespace, by study and round: one list for all who look at once, as they do after a
        start of the operator or of the database."""
        if namespace not in self._listings:
            self._listings[namespace] = asyncio.create_task(self._list_all_pods(namespace))
            asyncio.get_running_loop().call_later(_TOGETHER, self._listings.pop, namespace)
        return await asyncio.shield(self._listings[namespace])

    async def _list_all_pods(self, namespace: str) -> Mapping[tuple[str, int], list[PodView]]:
        found: dict[tuple[str, int], list[PodView]] = defaultdict(list)
        for pod in await self._cluster.list_pods(namespace, f"{names.ROLE_LABEL}={names.WORKER_ROLE}"):
            labels = pod["metadata"]["labels"]
            found[labels[names.STUDY_LABEL], int(labels[names.ROUND_LABEL])].append(pod_view(pod))
        return found


def _take_over(status: TuningStudyStatus, memory: Memory) -> None:
    """The best trials as an earlier life of the operator told them. What it told of a round that ended is the last."""
    memory.inherited = status.storage is not None
    told = status.trials.complete if status.state in _ENDED else _UNKNOWN
    memory.best_at = status.storage.study if status.storage is not None else "", told
    memory.best, memory.pareto = status.best, status.pareto


def store_problem(error: Exception) -> StoreProblem:
    match error:
        case AuthenticationRefused():
            return StoreProblem(why.AUTHENTICATION_FAILED, f"the store refuses the login: {error}")
        case PermissionRefused():
            return StoreProblem(why.PERMISSION_DENIED, f"the store's role may not do what is needed: {error}")
        case SecretUnusable():
            return StoreProblem(why.SECRET_UNUSABLE, str(error))
        case Forbidden():
            advice = "let the chart's watchNamespaces list the namespace, or leave it empty"
            return StoreProblem(why.SECRET_UNUSABLE, f"the operator may not keep its Secret here: {error}; {advice}")
        case _:
            return StoreProblem(why.UNREACHABLE, f"the store cannot be reached: {error}")


def _lost_workers(progress: Progress, pods: Sequence[PodView], now: datetime) -> list[str]:
    """Workers that run a trial, as the store last told, and whose pod is gone or has ended."""
    by_name = {pod.name: pod for pod in pods}
    running = (worker for worker, share in progress.shares.items() if share.running)
    return [worker for worker in running if is_lost(by_name.get(worker), now)]


def _uid(body: Mapping[str, Any]) -> str:
    return str(body["metadata"]["uid"])
