"""A Deployment that serves with a study's parameters, as it stands. Pure."""

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tuning_kube import names
from tuning_operator.rollout.target import TargetView, parameters_of, problem_of


def view(body: Mapping[str, Any]) -> TargetView:
    """As the API server shows it."""
    metadata, status = body["metadata"], body.get("status") or {}
    seen = status.get("observedGeneration", 0) >= metadata["generation"]
    return TargetView(
        metadata["name"],
        parameters_of(body),
        rolled_out=seen and _is_rolled_out(body["spec"].get("replicas", 1), status),
        failed=_failure(status) if seen else "",
        problem=problem_of(body),
        ready=status.get("readyReplicas", 0),
        template=template_digest(body),
    )


def template_digest(body: Mapping[str, Any]) -> str:
    """Of the pod template, without what says whose parameters its pods read: equal for equal programs."""
    template = deepcopy(body["spec"]["template"])
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    annotations.pop(names.PARAMETERS_ANNOTATION, None)
    if not annotations:
        (template.get("metadata") or {}).pop("annotations", None)
    return hashlib.sha256(json.dumps(template, sort_keys=True).encode()).hexdigest()[:16]


def _is_rolled_out(replicas: int, status: Mapping[str, int]) -> bool:
    """As `kubectl rollout status` has it."""
    updated = status.get("updatedReplicas", 0)
    return replicas <= updated >= status.get("replicas", 0) and status.get("availableReplicas", 0) >= updated


def _failure(status: Mapping[str, Any]) -> str:
    for condition in status.get("conditions") or ():
        if condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return str(condition.get("message") or "its progress deadline has passed")
    return ""
