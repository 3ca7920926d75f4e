"""Builds the worker Job of a round: Indexed, long-lived pods that take trials until the budget is used."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from tuning_kube import names
from tuning_operator.objects.round_config_map import ROUND_KEY
from tuning_store.address import CERTIFICATE
from tuning_study.api.workers import Workers
from tuning_study.round import ResolvedRound, workers_digest
from tuning_study.worker_contract import ExitCode, thread_limits

_ROUND_FOLDER = "/etc/tuning/round"
_CODE_FOLDER = "/etc/tuning/code"
_STORE_FOLDER = "/etc/tuning/store"
_SHARED_MEMORY = "/dev/shm"  # noqa: S108 - the pod's own
_ALL_READ = 0o444  # the files are root's, and a pod without an fsGroup has no group in common with them
_GRACE_SECONDS = 30  # from SIGTERM to SIGKILL
_FINISH_SECONDS = 20  # of them, how long a running trial may go on
_SPARE_POD_FAILURES = 10  # besides the failed trials that may each bring a pod down

RESTRICTED: Mapping[str, Any] = {
    "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": names.WORKER_ROLE,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }
}
"""What the Pod Security level `restricted` asks for. No user is named: that is the image's."""


@dataclass(frozen=True)
class WorkerDefaults:
    """What the chart says of workers whose study does not."""

    image: str
    image_pull_policy: str
    store_secret: str
    store_key: str
    pod_templates: Sequence[Mapping[str, Any]] = (RESTRICTED,)
    """Laid on the built-in pod one after another, and the study's own `workers.podTemplate` after them."""


def worker_job(
    resolved: ResolvedRound, replicas: int, defaults: WorkerDefaults, queue_labels: Mapping[str, str]
) -> dict[str, Any]:
    """With a queue among the labels it is made suspended, and Kueue lets it run when there is room."""
    name = names.round_name(resolved.name, resolved.number)
    labels = names.labels(resolved.name, resolved.number)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": resolved.namespace,
            "labels": {**labels, **queue_labels},
            "annotations": _annotations(resolved.spec.workers, replicas),
            "ownerReferences": [names.owner(resolved.name, resolved.uid)],
        },
        "spec": {
            "suspend": names.QUEUE_LABEL in queue_labels,
            "completionMode": "Indexed",
            "parallelism": replicas,
            "completions": replicas,
            # Each index on its own: the Job's common back-off doubles with every pod, ignored ones too, and five
            # pods preempted at once would wait for minutes.
            "backoffLimitPerIndex": resolved.spec.budget.failed_trials + _SPARE_POD_FAILURES,
            "podFailurePolicy": {
                "rules": [
                    {"action": "FailJob", "onExitCodes": _worker_exits(ExitCode.REJECTED)},
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                    {"action": "Ignore", "onExitCodes": _worker_exits(ExitCode.STOPPED)},
                ]
            },
            "template": _with_last_words(
                reduce(
                    _merged,
                    (*defaults.pod_templates, resolved.spec.workers.pod_template),
                    {"metadata": {"labels": labels}, "spec": _pod(resolved, name, defaults)},
                )
            ),
        },
    }


def _annotations(workers: Workers, replicas: int) -> dict[str, str]:
    own = {names.WORKERS_ANNOTATION: workers_digest(workers), names.REPLICAS_ANNOTATION: str(replicas)}
    if workers.min_replicas is None:
        return own
    partial = {names.MIN_PARALLELISM_ANNOTATION: str(workers.min_replicas), names.COMPLETIONS_ANNOTATION: "true"}
    return own | partial


def _worker_exits(code: ExitCode) -> dict[str, Any]:
    """Of the worker's container alone: a sidecar's exit codes mean something else."""
    return {"containerName": names.WORKER_ROLE, "operator": "In", "values": [int(code)]}


def _with_last_words(template: dict[str, Any]) -> dict[str, Any]:
    """The pod's status quotes the log of each container that fails, for those who may not read logs."""
    spec = template.get("spec")
    if not isinstance(spec, dict):  # not a pod, as the API server will say
        return template
    quoting = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    quoted = {
        kind: [quoting | container if isinstance(container, dict) else container for container in spec[kind]]
        for kind in ("containers", "initContainers")
        if isinstance(spec.get(kind), list)
    }
    return {**template, "spec": {**spec, **quoted}}


def _pod(resolved: ResolvedRound, name: str, defaults: WorkerDefaults) -> dict[str, Any]:
    workers, code = resolved.spec.workers, _code_volume(resolved)
    memory = _shared_memory(workers, (*defaults.pod_templates, workers.pod_template))
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "containers": [
            {
                "name": "worker",
                "image": workers.image or defaults.image,
                "imagePullPolicy": defaults.image_pull_policy,
                "command": ["python", "-m", "tuning_worker"],
                "env": _last_of_each_name([*_environment(workers, bool(code)), *workers.env]),
                "resources": workers.resources,
                "volumeMounts": [
                    {"name": "round", "mountPath": _ROUND_FOLDER, "readOnly": True},
                    {"name": "store", "mountPath": _STORE_FOLDER, "readOnly": True},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
                    *([{"name": "shared-memory", "mountPath": _SHARED_MEMORY}] if memory else []),
                    *([{"name": "code", "mountPath": _CODE_FOLDER, "readOnly": True}] if code else []),
                    *workers.volume_mounts,
                ],
            }
        ],
        "volumes": [
            {"name": "round", "configMap": {"name": name}},
            _store_volume(defaults),
            {"name": "tmp", "emptyDir": {}},
            *memory,
            *code,
            *workers.volumes,
        ],
    }


def _environment(workers: Workers, has_code: bool) -> list[dict[str, Any]]:
    literal = {
        "TUNING_ROUND_FILE": f"{_ROUND_FOLDER}/{ROUND_KEY}",
        "TUNING_STORE_URL_FILE": f"{_STORE_FOLDER}/url",
        "TUNING_GRACE_SECONDS": str(_FINISH_SECONDS),
        **({"TUNING_CODE_DIR": _CODE_FOLDER} if has_code else {}),
        **thread_limits(_whole_cpus(workers.resources)),
        "HOME": "/tmp",  # noqa: S108 - the pod's own
        "TZ": "UTC",
    }
    return [
        {"name": "TUNING_WORKER", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        *({"name": name, "value": value} for name, value in literal.items()),
    ]


def _store_volume(defaults: WorkerDefaults) -> dict[str, Any]:
    """The URL as a file, which follows its Secret as an environment cannot; and the authority to trust, if any."""
    url = {"name": defaults.store_secret, "items": [{"key": defaults.store_key, "path": "url"}]}
    authority = {"name": defaults.store_secret, "items": [{"key": CERTIFICATE, "path": CERTIFICATE}], "optional": True}
    return {
        "name": "store",
        "projected": {"sources": [{"secret": url}, {"secret": authority}], "defaultMode": _ALL_READ},
    }


def _code_volume(resolved: ResolvedRound) -> list[dict[str, Any]]:
    python = resolved.spec.objective.python
    if python is None or python.config_map is None:
        return []
    return [{"name": "code", "configMap": {"name": python.config_map}}]


def _shared_memory(workers: Workers, templates: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The volume of shared memory, of which a container has 64 MB by itself: too little for loaders with processes.

    What is written there counts as memory of the worker, so that the worker's limit bounds it too.
    """
    containers = [container for template in templates for container in _containers(template)]
    theirs = [workers.volume_mounts, *(container.get("volumeMounts") for container in containers)]
    mounted = {mount.get("mountPath") for mounts in theirs for mount in mounts or () if isinstance(mount, Mapping)}
    if workers.shared_memory == "0" or _SHARED_MEMORY in mounted:
        return []
    return [{"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": workers.shared_memory}}]


def _containers(template: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    spec = template.get("spec")
    found = spec.get("containers") if isinstance(spec, Mapping) else None
    return [entry for entry in found if isinstance(entry, Mapping)] if isinstance(found, list) else []


def _last_of_each_name(variables: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The API server takes no name twice."""
    return list({variable.get("name"): variable for variable in variables}.values())


def _whole_cpus(resources: Mapping[str, Any]) -> int:
    """The CPU limit in whole cores, at least one; one where there is no limit."""
    text = str((resources.get("limits") or {}).get("cpu", "1"))
    found = re.fullmatch(r"([0-9.]+)(m?)", text)
    return max(1, math.ceil(float(found[1]) / (1000 if found[2] else 1))) if found else 1


def _merged(base: Any, over: Any) -> Any:
    """`over` laid on `base` as a JSON merge patch, in which null removes; but lists of named objects merge by name."""
    if isinstance(over, Mapping):
        under = base if isinstance(base, Mapping) else {}
        merged = {**under, **{key: _merged(under.get(key), value) for key, value in over.items()}}
        return {key: value for key, value in merged.items() if value is not None}
    if _named(base) and _named(over):
        by_name = {entry["name"]: entry for entry in base}
        for entry in over:
            by_name[entry["name"]] = _merged(by_name.get(entry["name"]), entry)
        return list(by_name.values())
    return over


def _named(entries: Any) -> bool:
    return isinstance(entries, list) and all(isinstance(entry, Mapping) and "name" in entry for entry in entries)
