"""What is known of one study at one moment: the whole input of a decision, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tuning_operator import names
from tuning_store.progress import Progress
from tuning_study.spec import TuningStudySpec
from tuning_study.status import Best, Pareto, TuningStudyStatus

_STARTING = ("ContainerCreating", "PodInitializing")  # say nothing; the pod's Events may


@dataclass(frozen=True)
class Study:
    """The resource as the API server last showed it."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: TuningStudySpec | None
    problems: tuple[str, ...]  # why there is no spec
    status: TuningStudyStatus
    retune_request: str | None = None
    queue: str | None = None  # of Kueue
    version: int = 0  # grows with every change


@dataclass(frozen=True)
class JobView:
    """A round's worker Job."""

    parallelism: int
    suspended: bool
    active: int = 0
    ready: int = 0
    failed: int = 0
    terminating: int = 0
    finished: str | None = None  # "Complete" or "Failed"
    message: str = ""
    deleting: bool = False
    started_at: datetime | None = None  # anew after each suspension
    workers_digest: str = ""  # of the spec.workers that it was made from

    @property
    def lacks_workers(self) -> bool:
        """Whether fewer pods are ready than should run now."""
        at_rest = self.suspended or self.deleting or self.finished is not None
        return not at_rest and self.ready < self.parallelism


@dataclass(frozen=True)
class PodView:
    """A worker's pod, as far as it tells what became of the worker in it."""

    name: str
    ended: bool  # the worker ended; a sidecar may live on
    uid: str = ""
    began: bool = True
    """The worker's container runs or ran."""
    lives: bool = False
    """The pod has not ended, whatever became of the worker."""
    waits_for: str = ""
    """Why the worker has not begun, in the words of the scheduler or the kubelet."""
    disrupted: bool = False  # evicted, preempted, deleted: not the trial's fault
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    evicted: str = ""  # why its node evicted it
    end_by: datetime | None = None  # when it is deleted: the end of its grace


@dataclass(frozen=True)
class MissingWorkers:
    """Fewer workers run than the Job should have, and not for a moment only."""

    seconds: float  # for how long
    running: int
    message: str  # why, in the words of pods, the Job and their Events; may be empty
    outlived: Sequence[str] = ()  # pods whose worker has ended, while another container lives on


@dataclass(frozen=True)
class StoreProblem:
    """Why the store cannot be used; `reason` is one of the StoreReady condition's."""

    reason: str
    message: str


@dataclass(frozen=True)
class Observed:
    now: datetime
    study: Study
    store: StoreProblem | None = None
    namespace_ends: bool = False
    shared_role: bool = False
    progress: Progress | None = None  # of the current round; None before its first start
    job: JobView | None = None
    pods: Sequence[PodView] | None = None  # None when there was no reason to look
    missing: MissingWorkers | None = None
    results_problem: str = ""  # why best and pareto could not be told
    best: Best | None = None
    pareto: Pareto | None = None
    failures: Sequence[tuple[str, int]] = ()
    versions: Mapping[str, str] = field(default_factory=dict)


def job_view(body: Mapping[str, Any]) -> JobView:
    spec, status = body.get("spec", {}), body.get("status", {})
    finished = next(
        (
            condition
            for condition in status.get("conditions", ())
            if condition["type"] in ("Complete", "Failed") and condition["status"] == "True"
        ),
        None,
    )
    return JobView(
        parallelism=spec.get("parallelism", 0),
        suspended=bool(spec.get("suspend")),
        active=status.get("active", 0),
        ready=status.get("ready", 0),
        failed=status.get("failed", 0),
        terminating=status.get("terminating", 0),
        finished=finished["type"] if finished else None,
        message=finished.get("message", "") if finished else "",
        deleting="deletionTimestamp" in body["metadata"],
        started_at=datetime.fromisoformat(started) if (started := status.get("startTime")) else None,
        workers_digest=(body["metadata"].get("annotations") or {}).get(names.WORKERS_ANNOTATION, ""),
    )


def pod_view(body: Mapping[str, Any]) -> PodView:
    status = body.get("status", {})
    statuses = [entry for entry in status.get("containerStatuses") or () if entry["name"] == names.WORKER_ROLE]
    state = statuses[0].get("state") or {} if statuses else {}
    ended = state.get("terminated") or {}
    failed_init = _failed_init_container(status)
    over = status.get("phase") in ("Succeeded", "Failed")
    return PodView(
        name=body["metadata"]["name"],
        uid=body["metadata"]["uid"],
        ended=over or bool(ended),
        began=bool(ended) or "running" in state,
        lives=not over,
        waits_for=_waits_for(status, state),
        disrupted=any(
            condition["type"] == "DisruptionTarget" and condition["status"] == "True"
            for condition in status.get("conditions") or ()
        ),
        exit_code=ended.get("exitCode"),
        reason=ended.get("reason") or status.get("reason", ""),
        message=ended.get("message") or failed_init or status.get("message", ""),
        end_by=datetime.fromisoformat(deleted) if (deleted := body["metadata"].get("deletionTimestamp")) else None,
        evicted=status.get("message", "") if status.get("reason") == "Evicted" else "",
    )


def _failed_init_container(status: Mapping[str, Any]) -> str:
    """What a failed init container said, or at least that it failed."""
    for entry in status.get("initContainerStatuses") or ():
        ended = (entry.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            said = f": {ended['message']}" if ended.get("message") else ""
            return f"init container {entry['name']} ended with exit code {ended['exitCode']}{said}"
    return ""


def _waits_for(status: Mapping[str, Any], worker: Mapping[str, Any]) -> str:
    """The first of: no node, an init container that is not done, a container that cannot be started."""
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"{condition.get('reason', 'Unscheduled')}: {condition.get('message', '')}".rstrip(": ")
    for entry in status.get("initContainerStatuses") or ():
        state = entry.get("state") or {}
        waiting = state.get("waiting") or {}
        if waiting and waiting.get("reason") not in _STARTING:
            return f"init container {entry['name']}: {_sentence(waiting)}"
        if "running" in state and not entry.get("started"):  # a sidecar among them has started, and stays
            return f"init container {entry['name']} runs"
    waiting = worker.get("waiting") or {}
    return "" if not waiting or waiting.get("reason") in _STARTING else _sentence(waiting)


def _sentence(waiting: Mapping[str, Any]) -> str:
    return f"{waiting.get('reason', 'waiting')}: {waiting.get('message', '')}".rstrip(": ")
