"""A Rollout of Argo Rollouts that serves with a study's parameters, as it stands. Pure.

How it comes to new pods, by which steps and analyses, is its own affair; we wait for what it comes to.
"""

from collections.abc import Mapping
from typing import Any

from tuning_operator import reasons
from tuning_operator.rollout.target import TargetView, parameters_of, problem_of


def view(body: Mapping[str, Any]) -> TargetView:
    """As the API server shows it. Its controller writes `phase` from version 1.0 on, and generations as text."""
    metadata, status = body["metadata"], body.get("status") or {}
    seen = str(status.get("observedGeneration", "")) == str(metadata["generation"])
    phase = status.get("phase", "") if seen else ""
    failed = _failure(status) if phase == "Degraded" else ""
    return TargetView(
        metadata["name"],
        parameters_of(body),
        rolled_out=phase == "Healthy",
        failed=failed,
        waiting=_waiting(body) if phase in ("Paused", "Degraded") and not failed else "",
        stale_pods=seen and _has_gone_back(body),
        problem=problem_of(body) or _why_not_promotable(body) or (_why_invalid(body) if seen else None),
        ready=status.get("readyReplicas", 0),
    )


def _why_not_promotable(body: Mapping[str, Any]) -> tuple[str, str] | None:
    if "template" in body["spec"]:
        return None
    sentence = (
        f"the Rollout {body['metadata']['name']} takes its pods from another object (spec.workloadRef), so that there"
        " is no pod template to write to: write spec.template instead"
    )
    return reasons.TARGET_NOT_PROMOTABLE, sentence


def _why_invalid(body: Mapping[str, Any]) -> tuple[str, str] | None:
    for condition in (body.get("status") or {}).get("conditions") or ():
        if condition["type"] == "InvalidSpec":
            return reasons.TARGET_INVALID, f"{condition.get('message') or 'its controller refuses its spec'}: mend it"
    return None


def _failure(status: Mapping[str, Any]) -> str:
    """Of this very pod template: for a moment, and without room for pods for longer, the phase is still about the one
    before, although the controller says that it has seen the new one. It names the pods that are late by their hash."""
    message: str = status.get("message") or "it is degraded"
    pod_hash: str = status.get("currentPodHash") or ""
    late = pod_hash != "" and pod_hash in message
    return message if status.get("abort") or late else ""


def _has_gone_back(body: Mapping[str, Any]) -> bool:
    """An abort makes of the pods of before as many as there were, where the canary had taken their place: not with a
    traffic router, beside which they all stay, nor with blue and green."""
    canary = (body["spec"].get("strategy") or {}).get("canary")
    if canary is None or not body["status"].get("abort"):
        return False
    return not canary.get("trafficRouting") or bool(canary.get("dynamicStableScale"))


def _waiting(body: Mapping[str, Any]) -> str:
    name, status = body["metadata"]["name"], body["status"]
    message = status.get("message") or status["phase"]
    if status["phase"] == "Degraded":
        return f"its controller tells of its pods of before still: {message}"
    steps = ((body["spec"].get("strategy") or {}).get("canary") or {}).get("steps") or ()
    index = status.get("currentStepIndex")
    place = f", step {index + 1} of {len(steps)}" if index is not None and index < len(steps) else ""
    return f"it is paused ({message}{place}): `kubectl argo rollouts promote {name}` lets it go on"
