"""The Job that checks parameters before they go to production. Pure: builds it from the manifest, and reads it."""

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

from tuning_kube import names
from tuning_study.api.promotion import StagingJob

_NAME_LENGTH = 45  # of a study's, so that the whole stays a label's value


@dataclass(frozen=True)
class StagingView:
    """How the check stands."""

    finished: Literal["Complete", "Failed"] | None = None
    message: str = ""
    """Why it failed."""


def job_name(study: str, uid: str, parameters: str) -> str:
    """One for each study and set of parameters: the check is made once, however often it is asked for."""
    digest = hashlib.sha256(f"{uid}/{parameters}".encode()).hexdigest()[:8]
    return f"{study[:_NAME_LENGTH]}-staging-{digest}"


def view(body: Mapping[str, Any] | None) -> StagingView | None:
    """None where there is no Job yet."""
    if body is None:
        return None
    for condition in body.get("status", {}).get("conditions") or ():
        if condition["status"] == "True" and condition["type"] in ("Complete", "Failed"):
            return StagingView(condition["type"], condition.get("message", ""))
    return StagingView()


def staging_job(namespace: str, study: str, uid: str, parameters: str, check: StagingJob) -> dict[str, Any]:
    """Its containers have the parameters as TUNING_PARAM_<NAME>, as applications in production do."""
    labels = {
        names.STUDY_LABEL: study,
        names.ROLE_LABEL: "staging",
        "app.kubernetes.io/managed-by": names.FIELD_MANAGER,
    }
    template = deepcopy(check.template)
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    pod = template.setdefault("spec", {})
    pod.setdefault("restartPolicy", "Never")
    for container in pod.get("containers") or ():
        container["envFrom"] = [*(container.get("envFrom") or ()), {"configMapRef": {"name": parameters}}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": job_name(study, uid, parameters),
            "namespace": namespace,
            "labels": labels,
            "annotations": {names.PARAMETERS_ANNOTATION: parameters},
            "ownerReferences": [names.owner(study, uid)],
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(check.deadline.total_seconds()),
            "template": template,
            # A node that goes is no answer: the check runs again.
            "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]},
        },
    }
