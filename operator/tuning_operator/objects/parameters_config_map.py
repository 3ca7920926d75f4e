"""Builds the ConfigMaps of verified parameters: one for each round, which never changes, and the one in production."""

from typing import Any

from tuning_kube import names
from tuning_study.promotion.parameters import VerifiedParameters, stable_name


def of_round(found: VerifiedParameters, namespace: str, uid: str) -> dict[str, Any]:
    body = _config_map(found, namespace, found.name)
    body["metadata"]["ownerReferences"] = [names.owner(found.study, uid)]
    return {**body, "immutable": True}


def in_production(found: VerifiedParameters, namespace: str) -> dict[str, Any]:
    """Owned by nobody: what production reads does not go when the study is deleted."""
    body = _config_map(found, namespace, stable_name(found.study))
    body["metadata"]["annotations"] = {names.PARAMETERS_ANNOTATION: found.name}
    return body


def _config_map(found: VerifiedParameters, namespace: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {
                names.STUDY_LABEL: found.study,
                names.ROUND_LABEL: str(found.round),
                "app.kubernetes.io/name": "tuning-parameters",
                "app.kubernetes.io/instance": found.study,
                "app.kubernetes.io/part-of": "tuning-operator",
                "app.kubernetes.io/managed-by": names.FIELD_MANAGER,
            },
        },
        "data": found.data(),
    }
