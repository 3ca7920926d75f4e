"""The canary: pods with a candidate's parameters beside those of the target, as a Deployment of its own. Pure: builds
it from the target, and reads it.

Its pods are the target's in all but the ConfigMap that they read, so that the same Services send them requests. The
target itself is not touched.
"""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from tuning_kube import names
from tuning_operator import reasons
from tuning_operator.exceptions import ProductionRefused
from tuning_operator.rollout import deployment
from tuning_study.promotion.parameters import digest_of, stable_name

_FOLLOWED = ("minReadySeconds", "progressDeadlineSeconds")


@dataclass(frozen=True)
class CanaryView:
    """How the canary's pods stand."""

    name: str
    uid: str
    """Of the Deployment: an analysis is of one of them."""
    ready: int = 0
    complete: bool = False
    """Whether all its pods are ready."""
    failed: str = ""
    """Why they do not become so."""
    made_from: str = ""
    """The digest of the target's pod template."""
    ending: bool = False


@dataclass(frozen=True)
class Source:
    """What a canary's Deployment is made of."""

    namespace: str
    study: str
    uid: str
    """Of the study."""
    parameters: str
    """Name of the candidate's ConfigMap."""
    replicas: int


def canary_name(target: str, parameters: str) -> str:
    """Of the Deployment: with other parameters it is another, and so are its pods."""
    return f"{target}-canary-{digest_of(parameters)}"


def canary_deployment(target: Mapping[str, Any], source: Source) -> dict[str, Any]:
    """As `target` is now. Raises ProductionRefused where its pods do not read the parameters from the ConfigMap in
    production: those of a canary would have the same."""
    name = canary_name(target["metadata"]["name"], source.parameters)
    spec = target["spec"]
    template = deepcopy(spec["template"])
    found = list(_references(template.get("spec") or {}, stable_name(source.study)))
    if not found:
        told = (
            f"no container of the Deployment {target['metadata']['name']} reads the ConfigMap"
            f" {stable_name(source.study)}, so that a canary would have the same parameters: add `envFrom:"
            f" [{{configMapRef: {{name: {stable_name(source.study)}}}}}]`, or a volume of it"
        )
        raise ProductionRefused(reasons.CANARY_WITHOUT_PARAMETERS, told)
    for reference in found:
        reference["name"] = source.parameters
    own = {names.CANARY_LABEL: name}
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), **own}
    metadata["annotations"] = {**(metadata.get("annotations") or {}), names.PARAMETERS_ANNOTATION: source.parameters}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": source.namespace,
            "labels": {names.STUDY_LABEL: source.study, "app.kubernetes.io/managed-by": names.FIELD_MANAGER, **own},
            "annotations": {
                names.PARAMETERS_ANNOTATION: source.parameters,
                names.TEMPLATE_ANNOTATION: deployment.template_digest(target),
            },
            "ownerReferences": [names.owner(source.study, source.uid)],
        },
        "spec": {
            **{key: spec[key] for key in _FOLLOWED if key in spec},
            "replicas": source.replicas,
            "selector": {"matchLabels": own},
            "template": template,
        },
    }


def view(body: Mapping[str, Any]) -> CanaryView:
    """As the API server shows it."""
    metadata, status = body["metadata"], body.get("status") or {}
    stands = deployment.view(body)
    return CanaryView(
        metadata["name"],
        metadata["uid"],
        status.get("readyReplicas", 0),
        stands.rolled_out,
        stands.failed,
        (metadata.get("annotations") or {}).get(names.TEMPLATE_ANNOTATION, ""),
        "deletionTimestamp" in metadata,
    )


def _references(pod: Mapping[str, Any], name: str) -> Iterator[dict[str, Any]]:
    """Every reference of the pod to that ConfigMap."""
    for container in [*(pod.get("initContainers") or ()), *(pod.get("containers") or ())]:
        for source in container.get("envFrom") or ():
            yield from _named(source.get("configMapRef"), name)
        for variable in container.get("env") or ():
            yield from _named((variable.get("valueFrom") or {}).get("configMapKeyRef"), name)
    for volume in pod.get("volumes") or ():
        yield from _named(volume.get("configMap"), name)
        for source in (volume.get("projected") or {}).get("sources") or ():
            yield from _named(source.get("configMap"), name)


def _named(reference: dict[str, Any] | None, name: str) -> Iterator[dict[str, Any]]:
    if reference is not None and reference.get("name") == name:
        yield reference
