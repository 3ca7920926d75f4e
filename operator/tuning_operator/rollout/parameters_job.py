"""Jobs that get a set of parameters: the check before they go to production, and the hook that brings them there where
nothing else does. Pure: builds them from the manifest, and reads them."""

import hashlib
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

from tuning_kube import names
from tuning_study.api.promotion import ParametersJob
from tuning_study.api.promotion_status import PromotionStatus

Role = Literal["staging", "promote"]
"""Of the check, and of the hook."""
_NAME_LENGTH = 45  # of a study's, so that the whole stays a label's value


@dataclass(frozen=True)
class JobView:
    """How a Job stands."""

    finished: Literal["Complete", "Failed"] | None = None
    message: str = ""
    """Why it failed."""


def check_name(study: str, uid: str, parameters: str) -> str:
    """One for each study and set of parameters: the check is made once, however often it is asked for."""
    return _name(study, "staging", f"{uid}/{parameters}")


def hook_name(study: str, uid: str, parameters: str, change: PromotionStatus | None) -> str:
    """One for each change of production, there or back: the same parameters may come again."""
    begun = f"{change.state}/{change.since.timestamp():.0f}" if change is not None and change.since is not None else ""
    return _name(study, "promote", f"{uid}/{parameters}/{begun}")


def _name(study: str, role: Role, text: str) -> str:
    return f"{study[:_NAME_LENGTH]}-{role}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def view(body: Mapping[str, Any] | None) -> JobView | None:
    """None where there is no Job yet."""
    if body is None:
        return None
    for condition in body.get("status", {}).get("conditions") or ():
        if condition["status"] == "True" and condition["type"] in ("Complete", "Failed"):
            return JobView(condition["type"], condition.get("message", ""))
    return JobView()


def parameters_job(
    study: Mapping[str, str], name: str, role: Role, parameters: str, job: ParametersJob
) -> dict[str, Any]:
    """Its containers have the parameters as TUNING_PARAM_<NAME>, as applications in production do.

    `study` is its namespace, name and uid.
    """
    labels = {
        names.STUDY_LABEL: study["name"],
        names.ROLE_LABEL: role,
        "app.kubernetes.io/managed-by": names.FIELD_MANAGER,
    }
    template = deepcopy(job.template)
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
            "name": name,
            "namespace": study["namespace"],
            "labels": labels,
            "annotations": {names.PARAMETERS_ANNOTATION: parameters},
            "ownerReferences": [names.owner(study["name"], study["uid"])],
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": int(job.deadline.total_seconds()),
            "template": template,
            # A node that goes is no answer: it runs again.
            "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]},
        },
    }
