"""What serves with a study's parameters: how it stands, and what is applied to it. Pure.

Nothing of it is ours but one annotation of its pod template, which says whose parameters its pods read when they start:
replicas, images and weights are for others to write.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from tuning_kube import names
from tuning_operator import reasons
from tuning_operator.rollout.parameters_job import JobView
from tuning_study.api.promotion import Target
from tuning_study.api.promotion_status import PromotionState

Kind = Literal["Deployment", "Rollout"]
_VERSIONS: Mapping[Kind, str] = {"Deployment": "apps/v1", "Rollout": "argoproj.io/v1alpha1"}
_ANEW = "@"  # between the parameters and a time
ABOUT_THE_TARGET: tuple[PromotionState, ...] = ("Candidate", "Held", "Canary", "Promoting", "RollingBack")
"""States in which it matters how the target stands."""


@dataclass(frozen=True)
class TargetView:
    """How a target stands."""

    name: str
    parameters: str | None = None
    """Whose its pod template asks for; of a Job whose it brings."""
    rolled_out: bool = False
    """Whether every pod has that template, and is ready; of a Job whether it has ended well."""
    failed: str = ""
    """Why its rollout does not come to an end."""
    waiting: str = ""
    """What its rollout waits for, where that is not its pods."""
    stale_pods: bool = False
    """Whether pods that have the parameters of before in their template may serve with others: those that have started
    while production changed read the ConfigMap as it was then."""
    problem: tuple[str, str] | None = None
    """Why it cannot be rolled: a reason and a sentence."""
    ready: int = 0
    """Pods."""
    template: str = ""
    """Digest of its pod template, whatever the parameters."""


def object_of(target: Target) -> tuple[Kind, str] | None:
    """The object that is rolled, its kind and name; None where a Job does it."""
    if target.deployment is not None:
        return "Deployment", target.deployment.name
    if target.rollout is not None:
        return "Rollout", target.rollout.name
    return None


def missing(kind: Kind, name: str) -> TargetView:
    sentence = f"there is no {kind} {name} in this namespace: correct spec.promotion.target, or make it"
    return TargetView(name, problem=(reasons.TARGET_MISSING, sentence))


def forbidden(kind: Kind, name: str) -> TargetView:
    sentence = f"the operator may not read or roll the {kind} {name}: set the chart's value promotion.targets"
    return TargetView(name, problem=(reasons.TARGET_FORBIDDEN, sentence))


def selector_of(body: Mapping[str, Any]) -> str:
    """Chooses its pods, and at worst others beside them."""
    labels = (body["spec"].get("selector") or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in labels.items())


def have_started_since(pods: Iterable[Mapping[str, Any]], parameters: str, since: datetime) -> bool:
    """Whether any of the pods with these parameters in their template was made since then, or runs a container that has
    started since."""
    return any(_parameters_in(pod) == parameters and _last_start(pod) >= since for pod in pods)


def problem_of(body: Mapping[str, Any]) -> tuple[str, str] | None:
    """Why an object that is there must not be rolled."""
    metadata = body["metadata"]
    if (metadata.get("labels") or {}).get(names.PROMOTABLE_LABEL) == "true":
        return None
    sentence = (
        f'the {body["kind"]} {metadata["name"]} lacks the label {names.PROMOTABLE_LABEL}: "true", which allows it'
    )
    return reasons.TARGET_NOT_PROMOTABLE, sentence


def parameters_of(body: Mapping[str, Any]) -> str | None:
    """Whose the pod template asks for."""
    return _parameters_in(body["spec"].get("template") or {})


def rolling(kind: Kind, namespace: str, name: str, parameters: str, *, anew: datetime | None = None) -> dict[str, Any]:
    """What is applied, so that the object starts its pods anew with these parameters.

    With `anew` the template differs from every one that had these parameters before, so that no pod of those stays.
    """
    value = parameters if anew is None else f"{parameters}{_ANEW}{anew:%Y-%m-%dT%H:%M:%SZ}"
    return {
        "apiVersion": _VERSIONS[kind],
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"template": {"metadata": {"annotations": {names.PARAMETERS_ANNOTATION: value}}}},
    }


def of_job(name: str, parameters: str, found: JobView | None) -> TargetView:
    """Of the hook that brings these parameters."""
    if found is None:
        return TargetView(name)
    return TargetView(
        name,
        parameters,
        found.finished == "Complete",
        f"{found.message}; delete the Job {name} to have it run again" if found.finished == "Failed" else "",
    )


def _parameters_in(template: Mapping[str, Any]) -> str | None:
    """Of a pod template, or of a pod."""
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    found: str | None = annotations.get(names.PARAMETERS_ANNOTATION)
    return found.partition(_ANEW)[0] if found is not None else None


def _last_start(pod: Mapping[str, Any]) -> datetime:
    containers = (pod.get("status") or {}).get("containerStatuses") or ()
    running = [(container.get("state") or {}).get("running") or {} for container in containers]
    times = [pod["metadata"]["creationTimestamp"], *(each["startedAt"] for each in running if each.get("startedAt"))]
    return max(map(datetime.fromisoformat, times))
