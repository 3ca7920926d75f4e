"""What is known of one study at one moment: the whole input of a decision, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tuning_operator import names
from tuning_store.progress import Progress
from tuning_study.spec import TuningStudySpec
from tuning_study.status import Best, Pareto, TuningStudyStatus


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
    succeeded: int = 0
    terminating: int = 0
    finished: str | None = None  # "Complete" or "Failed"
    message: str = ""
    deleting: bool = False


@dataclass(frozen=True)
class PodView:
    """A worker's pod, as far as it tells what became of the trial in it."""

    name: str
    ended: bool
    disrupted: bool = False  # evicted, preempted, deleted: not the trial's fault
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    evicted: str = ""  # why its node evicted it
    end_by: datetime | None = None  # when it is deleted: the end of its grace


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
        succeeded=status.get("succeeded", 0),
        terminating=status.get("terminating", 0),
        finished=finished["type"] if finished else None,
        message=finished.get("message", "") if finished else "",
        deleting="deletionTimestamp" in body["metadata"],
    )


def pod_view(body: Mapping[str, Any]) -> PodView:
    status = body.get("status", {})
    containers = [entry for entry in status.get("containerStatuses", ()) if entry["name"] == names.WORKER_ROLE]
    ended = next((entry.get("state", {}).get("terminated") for entry in containers), None) or {}
    return PodView(
        name=body["metadata"]["name"],
        ended=status.get("phase") in ("Succeeded", "Failed"),
        disrupted=any(
            condition["type"] == "DisruptionTarget" and condition["status"] == "True"
            for condition in status.get("conditions", ())
        ),
        exit_code=ended.get("exitCode"),
        reason=ended.get("reason") or status.get("reason", ""),
        message=ended.get("message") or status.get("message", ""),
        end_by=datetime.fromisoformat(deleted) if (deleted := body["metadata"].get("deletionTimestamp")) else None,
        evicted=status.get("message", "") if status.get("reason") == "Evicted" else "",
    )
