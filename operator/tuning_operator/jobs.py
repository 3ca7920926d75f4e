"""Builds the worker Job of a round: Indexed, long-lived pods that take trials until the budget is used."""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tuning_operator import names
from tuning_operator.configmaps import ROUND_KEY
from tuning_store.address import CERTIFICATE
from tuning_study.round import ResolvedRound
from tuning_study.spec import Workers
from tuning_study.worker_contract import ExitCode, thread_limits

_ROUND_FOLDER = "/etc/tuning/round"
_CODE_FOLDER = "/etc/tuning/code"
_STORE_FOLDER = "/etc/tuning/store"
_OWNER_READS = 0o440  # and its group, which is the pod's fsGroup
_GRACE_SECONDS = 30  # from SIGTERM to SIGKILL
_FINISH_SECONDS = 20  # of them, how long a running trial may go on
_SPARE_POD_FAILURES = 10  # besides the failed trials that may each bring a pod down


@dataclass(frozen=True)
class WorkerDefaults:
    """What the chart says of workers whose study does not."""

    image: str
    image_pull_policy: str
    store_secret: str
    store_key: str


def worker_job(resolved: ResolvedRound, replicas: int, defaults: WorkerDefaults, queue: str | None) -> dict[str, Any]:
    name = names.round_name(resolved.name, resolved.number)
    labels = names.labels(resolved.name, resolved.number)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": resolved.namespace,
            "labels": labels | ({names.QUEUE_LABEL: queue} if queue else {}),
            "annotations": {names.WORKERS_ANNOTATION: workers_digest(resolved.spec.workers)},
            "ownerReferences": [names.owner(resolved.name, resolved.uid)],
        },
        "spec": {
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
                _merged(
                    {"metadata": {"labels": labels}, "spec": _pod(resolved, name, defaults)},
                    resolved.spec.workers.pod_template,
                )
            ),
        },
    }


def workers_digest(workers: Workers) -> str:
    """Tells whether a Job was made from the same `spec.workers`; their number may change in place."""
    fixed = {key: value for key, value in workers.manifest().items() if key != "replicas"}
    return hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()[:16]


def _worker_exits(code: ExitCode) -> dict[str, Any]:
    """Of the worker's container alone: a sidecar's exit codes mean something else."""
    return {"containerName": names.WORKER_ROLE, "operator": "In", "values": [int(code)]}


def _with_last_words(template: dict[str, Any]) -> dict[str, Any]:
    """The pod's status quotes the log of each container that fails, for those who may not read logs."""
    spec = template["spec"]
    quoting = {"terminationMessagePolicy": "FallbackToLogsOnError"}
    quoted = {
        kind: [quoting | container if isinstance(container, dict) else container for container in spec[kind]]
        for kind in ("containers", "initContainers")
        if isinstance(spec.get(kind), list)
    }
    return {**template, "spec": {**spec, **quoted}}


def _pod(resolved: ResolvedRound, name: str, defaults: WorkerDefaults) -> dict[str, Any]:
    workers, code = resolved.spec.workers, _code_volume(resolved)
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "worker",
                "image": workers.image or defaults.image,
                "imagePullPolicy": defaults.image_pull_policy,
                "command": ["python", "-m", "tuning_worker"],
                "env": _last_of_each_name([*_environment(workers, bool(code)), *workers.env]),
                "resources": workers.resources,
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "round", "mountPath": _ROUND_FOLDER, "readOnly": True},
                    {"name": "store", "mountPath": _STORE_FOLDER, "readOnly": True},
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
                    *([{"name": "code", "mountPath": _CODE_FOLDER, "readOnly": True}] if code else []),
                    *workers.volume_mounts,
                ],
            }
        ],
        "volumes": [
            {"name": "round", "configMap": {"name": name}},
            _store_volume(defaults),
            {"name": "tmp", "emptyDir": {}},
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
        "projected": {"sources": [{"secret": url}, {"secret": authority}], "defaultMode": _OWNER_READS},
    }


def _code_volume(resolved: ResolvedRound) -> list[dict[str, Any]]:
    python = resolved.spec.objective.python
    if python is None or python.config_map is None:
        return []
    return [{"name": "code", "configMap": {"name": python.config_map}}]


def _last_of_each_name(variables: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The API server takes no name twice."""
    return list({variable.get("name"): variable for variable in variables}.values())


def _whole_cpus(resources: Mapping[str, Any]) -> int:
    """The CPU limit in whole cores, at least one; one where there is no limit."""
    text = str((resources.get("limits") or {}).get("cpu", "1"))
    found = re.fullmatch(r"([0-9.]+)(m?)", text)
    return max(1, math.ceil(float(found[1]) / (1000 if found[2] else 1))) if found else 1


def _merged(base: Any, over: Any) -> Any:
    """`over` laid on `base`: objects by key, lists of named objects by name, all else replaced."""
    if isinstance(base, dict) and isinstance(over, Mapping):
        return base | {key: _merged(base.get(key), value) for key, value in over.items()}
    if _named(base) and _named(over):
        by_name = {entry["name"]: entry for entry in base}
        for entry in over:
            by_name[entry["name"]] = _merged(by_name.get(entry["name"]), entry)
        return list(by_name.values())
    return over


def _named(entries: Any) -> bool:
    return isinstance(entries, list) and all(isinstance(entry, dict) and "name" in entry for entry in entries)
