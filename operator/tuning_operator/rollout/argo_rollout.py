"""A Rollout of Argo Rollouts that serves with a study's parameters, as it stands. Pure.

How it comes to new pods, by which steps and analyses, is its own affair; we wait for what it comes to.
"""

from collections.abc import Mapping
from typing import Any

from tuning_operator.rollout.target import TargetView, parameters_of, problem_of


def view(body: Mapping[str, Any]) -> TargetView:
    """As the API server shows it. Its controller writes `phase` from version 1.0 on, and generations as text."""
    metadata, status = body["metadata"], body.get("status") or {}
    seen = str(status.get("observedGeneration", "")) == str(metadata["generation"])
    phase = status.get("phase", "") if seen else ""
    return TargetView(
        metadata["name"],
        parameters_of(body),
        rolled_out=phase == "Healthy",
        failed=status.get("message") or "it is degraded" if phase == "Degraded" else "",
        problem=problem_of(body),
        ready=status.get("readyReplicas", 0),
    )
