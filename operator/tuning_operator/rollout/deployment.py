"""A Deployment that serves with a study's parameters. Pure: reads one, and builds what is applied to it.

Nothing of it is ours but one annotation of its pod template, which says whose parameters its pods read when they start:
replicas, images and weights are for others to write.
"""

import hashlib
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tuning_kube import names
from tuning_operator import reasons


@dataclass(frozen=True)
class TargetView:
    """How a target stands."""

    name: str
    parameters: str | None = None
    """Whose its pod template asks for."""
    rolled_out: bool = False
    """Whether every pod has that template, and is ready."""
    failed: str = ""
    """Why its rollout does not come to an end."""
    problem: tuple[str, str] | None = None
    """Why it cannot be rolled: a reason and a sentence."""
    ready: int = 0
    """Pods."""
    template: str = ""
    """Digest of its pod template, whatever the parameters."""


def missing(name: str) -> TargetView:
    sentence = f"there is no Deployment {name} in this namespace: correct spec.promotion.target, or make it"
    return TargetView(name, problem=(reasons.TARGET_MISSING, sentence))


def forbidden(name: str) -> TargetView:
    sentence = f"the operator may not read or roll the Deployment {name}: set the chart's value promotion.targets"
    return TargetView(name, problem=(reasons.TARGET_FORBIDDEN, sentence))


def view(body: Mapping[str, Any]) -> TargetView:
    """As the API server shows it."""
    metadata, spec, status = body["metadata"], body["spec"], body.get("status") or {}
    name = metadata["name"]
    problem = None
    if (metadata.get("labels") or {}).get(names.PROMOTABLE_LABEL) != "true":
        sentence = f'the Deployment {name} lacks the label {names.PROMOTABLE_LABEL}: "true", which allows it'
        problem = (reasons.TARGET_NOT_PROMOTABLE, sentence)
    annotations = spec["template"].get("metadata", {}).get("annotations") or {}
    return TargetView(
        name,
        annotations.get(names.PARAMETERS_ANNOTATION),
        rolled_out=_is_rolled_out(metadata["generation"], spec.get("replicas", 1), status),
        failed=_failure(status),
        problem=problem,
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


def _is_rolled_out(generation: int, replicas: int, status: Mapping[str, int]) -> bool:
    """As `kubectl rollout status` has it."""
    updated = status.get("updatedReplicas", 0)
    seen = status.get("observedGeneration", 0) >= generation
    return seen and replicas <= updated >= status.get("replicas", 0) and status.get("availableReplicas", 0) >= updated


def _failure(status: Mapping[str, Any]) -> str:
    for condition in status.get("conditions") or ():
        if condition["type"] == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return str(condition.get("message") or "its progress deadline has passed")
    return ""


def rolling(namespace: str, name: str, parameters: str) -> dict[str, Any]:
    """What is applied, so that the Deployment starts its pods anew with these parameters."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": {"metadata": {"annotations": {names.PARAMETERS_ANNOTATION: parameters}}}},
    }
