"""Fits a model where a cluster's study has its data: a Job that is a worker of the study but for what it runs.

Called by `tuning fit --to`. The Job's own pod is made of the round's worker Job, so that image, volumes, environment
and security are those with which the trials ran.
"""

import json
import secrets
import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from tuning_client.cluster.client import Cluster
from tuning_client.exceptions import ClusterError, TuningError, WrongUse
from tuning_kube.names import QUEUE_LABEL, QUEUE_LABELS, ROLE_LABEL, WORKER_ROLE, round_name
from tuning_study.api.resource import GROUP, KIND, VERSION

FIT_ROLE = "fit"
_FOLDER = "/tuning-model"
_KEPT = 3600  # seconds that an ended Job stays, for who wants to look at it
_POLL = 1.0  # seconds
_STORE = "store"  # the volume with the login of the database, of which a fit has no need

Object = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where the model goes: a path in a volume, or a URL to send it to."""

    file: str
    claim: str | None = None
    upload: str | None = None


def place_of(to: str) -> Place:
    """Raises WrongUse, with what can be written."""
    parts = urlsplit(to)
    if parts.scheme == "pvc":
        path = PurePosixPath(parts.path.lstrip("/"))
        if not parts.netloc or path.name in ("", "..") or ".." in path.parts:
            raise WrongUse(f"--to {to}: write pvc://CLAIM/PATH/model.joblib, CLAIM being a PersistentVolumeClaim")
        return Place(f"{_FOLDER}/{path}", claim=parts.netloc)
    if parts.scheme and parts.netloc:
        return Place("/tmp/model.joblib", upload=to)  # noqa: S108 - the pod's own
    raise WrongUse(f"--to {to}: write pvc://CLAIM/model.joblib for a volume, or a URL such as s3://BUCKET/model.joblib")


def run(cluster: Cluster, study: Mapping[str, Any], number: int, request: Mapping[str, Any], to: str) -> Object:
    """Waits until the model is written; returns what tuning_worker.fit reports. Raises WrongUse and TuningError."""
    place = place_of(to)
    name = round_name(study["metadata"]["name"], number)
    workers = cluster.job(name)
    if workers is None:
        raise WrongUse(
            f"the study's Job {name} is gone, whose pods the fit would be like: resume the study, or fit on this "
            "machine with --data FILE"
        )
    job = fit_job(workers, study, request, place)
    cluster.create_job(job)
    made = job["metadata"]["name"]
    while (ended := cluster.job_end(made)) is None:
        time.sleep(_POLL)
    said = cluster.job_log(made, WORKER_ROLE).strip().splitlines()
    if ended != "Complete" or not said:
        raise TuningError(f"the model cannot be fitted: {said[-1] if said else f'Job {made} failed: {ended}'}")
    try:
        report: Object = json.loads(said[-1])
    except ValueError as error:
        raise ClusterError(f"Job {made} does not tell what it made; its last line is {said[-1][:200]!r}") from error
    return report


def fit_job(workers: Mapping[str, Any], study: Mapping[str, Any], request: Mapping[str, Any], place: Place) -> Object:
    """One pod, tried once. Nothing of it makes the operator take it for a worker. Pure but for its name."""
    pod = deepcopy(workers["spec"]["template"]["spec"])
    worker = next(container for container in pod["containers"] if container["name"] == WORKER_ROLE)
    worker["command"] = ["python", "-m", "tuning_worker.fit"]
    worker.pop("args", None)
    asked = {**request, "out": place.file, **({"upload": place.upload} if place.upload else {})}
    worker["env"] = [*worker.get("env", ()), {"name": "TUNING_FIT_REQUEST", "value": json.dumps(asked)}]
    worker["volumeMounts"] = [mount for mount in worker.get("volumeMounts", ()) if mount["name"] != _STORE]
    pod["volumes"] = [volume for volume in pod.get("volumes", ()) if volume["name"] != _STORE]
    if place.claim is not None:
        worker["volumeMounts"].append({"name": "model", "mountPath": _FOLDER})
        pod["volumes"].append({"name": "model", "persistentVolumeClaim": {"claimName": place.claim}})
    pod["containers"] = [worker]  # a sidecar could keep the pod from ending
    metadata = study["metadata"]
    labels = {
        ROLE_LABEL: FIT_ROLE,
        "app.kubernetes.io/name": "tuning-fit",
        "app.kubernetes.io/instance": metadata["name"],
        "app.kubernetes.io/part-of": "tuning-operator",
    }
    queue = {key: value for key, value in workers["metadata"].get("labels", {}).items() if key in QUEUE_LABELS}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{metadata['name'][:40].rstrip('-.')}-fit-{secrets.token_hex(3)}",
            "labels": {**labels, **queue},
            "ownerReferences": [
                {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "name": metadata["name"], "uid": metadata["uid"]}
            ],
        },
        "spec": {
            "suspend": QUEUE_LABEL in queue,  # Kueue lets it run when there is room
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": _KEPT,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
