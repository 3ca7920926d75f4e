"""Builds the Secret by which the workers of a namespace log in to the store."""

from collections.abc import Mapping
from typing import Any

from tuning_kube import names
from tuning_store import address


def tenant_secret(namespace: str, url: str, annotations: Mapping[str, str] | None = None) -> dict[str, Any]:
    """With the certificate that the URL names as a file, if it names one: the workers have no such file."""
    portable, certificate = address.portable(url)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.TENANT_SECRET,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": names.FIELD_MANAGER},
            "annotations": dict(annotations or {}),
        },
        "stringData": {
            names.TENANT_SECRET_KEY: portable,
            **({address.CERTIFICATE: certificate} if certificate else {}),
        },
    }
