"""A worker Job, its pods and the Events about them, as the plan sees them. Pure; called by observe."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tuning_kube import names
from tuning_operator.executors.view import WorkersView, WorkerView
from tuning_operator.executors.worker_job.disruptions import PodEnd, own_fault, story, was_killed

_STARTING = ("ContainerCreating", "PodInitializing")  # say nothing; the pod's Events may


def workers_view(body: Mapping[str, Any]) -> WorkersView:
    """Of a worker Job."""
    spec, status, metadata = body.get("spec", {}), body.get("status", {}), body["metadata"]
    annotations = metadata.get("annotations") or {}
    requested = annotations.get(names.REPLICAS_ANNOTATION, "")
    finished = next(
        (
            condition
            for condition in status.get("conditions", ())
            if condition["type"] in ("Complete", "Failed") and condition["status"] == "True"
        ),
        None,
    )
    return WorkersView(
        replicas=spec.get("parallelism", 0),
        suspended=bool(spec.get("suspend")),
        active=status.get("active", 0),
        ready=status.get("ready", 0),
        failed=status.get("failed", 0),
        terminating=status.get("terminating", 0),
        finished=finished["type"] if finished else None,
        message=finished.get("message", "") if finished else "",
        deleting="deletionTimestamp" in metadata,
        started_at=datetime.fromisoformat(started) if (started := status.get("startTime")) else None,
        workers_digest=annotations.get(names.WORKERS_ANNOTATION, ""),
        requested=int(requested) if requested.isdigit() else None,
        queue=(metadata.get("labels") or {}).get(names.QUEUE_LABEL),
        suspended_by_operator=annotations.get(names.SUSPENDED_ANNOTATION) == "true",
    )


def worker_view(body: Mapping[str, Any]) -> WorkerView:
    """Of a worker's pod."""
    status, metadata = body.get("status", {}), body["metadata"]
    statuses = [entry for entry in status.get("containerStatuses") or () if entry["name"] == names.WORKER_ROLE]
    state = statuses[0].get("state") or {} if statuses else {}
    ended = state.get("terminated") or {}
    over = status.get("phase") in ("Succeeded", "Failed")
    deleted = metadata.get("deletionTimestamp")
    end = _end(status, ended, deleted is not None)
    return WorkerView(
        name=metadata["name"],
        uid=metadata["uid"],
        ended=over or bool(ended),
        began=bool(ended) or "running" in state,
        image=statuses[0].get("imageID") or "" if statuses else "",
        lives=not over,
        waits_for=_waits_for(status, state),
        end_by=datetime.fromisoformat(deleted) if deleted else None,
        message=ended.get("message") or _failed_init_container(status) or status.get("message", ""),
        fault=own_fault(end),
        killed=was_killed(end),
        story=story(end),
    )


def _end(status: Mapping[str, Any], ended: Mapping[str, Any], deleted: bool) -> PodEnd:
    return PodEnd(
        exit_code=ended.get("exitCode"),
        reason=ended.get("reason") or status.get("reason", ""),
        disrupted=any(
            condition["type"] == "DisruptionTarget" and condition["status"] == "True"
            for condition in status.get("conditions") or ()
        ),
        deleted=deleted,
        evicted=status.get("message", "") if status.get("reason") == "Evicted" else "",
    )


def most_telling(events: Sequence[Mapping[str, Any]], *, warnings_only: bool) -> str | None:
    """What the first warning says, or the first event; `events` are the newest first."""
    warnings = [event for event in events if event.get("type") == "Warning"]
    chosen = warnings or ([] if warnings_only else events)
    return _said(chosen[0]) if chosen else None


def kueues_words(
    job: str, about_it: Sequence[Mapping[str, Any]], of_workloads: Sequence[Mapping[str, Any]]
) -> str | None:
    """What Kueue said last of the Job's Workload, whose name begins with the Job's; both with the newest first.

    Empty when it has seen the Job and said nothing yet, None when it has not.
    """
    told = [event for event in of_workloads if event["involvedObject"]["name"].startswith(f"job-{job}-")]
    if told:
        return _said(told[0])
    return "" if any("kueue" in (event.get("source") or {}).get("component", "") for event in about_it) else None


def _said(event: Mapping[str, Any]) -> str:
    return f"{event['reason']}: {event.get('message', '')}"


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
