"""The chart's files and sets of values, and what is asked of its renderings."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "tuning-operator"
PODS = ("Deployment", "StatefulSet", "Pod")
EVERYTHING = str(CHART / "ci" / "production-values.yaml")

Object = dict[str, Any]
Render = Callable[..., list[Object]]


def run(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"KUBECONFIG": os.devnull})
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def flags(values: tuple[str, ...]) -> list[str]:
    return [part for value in values for part in (("--set-json" if "=" in value else "--values"), value)]


def of(objects: list[Object], *kinds: str) -> list[Object]:
    return [one for one in objects if one["kind"] in kinds]


def named(objects: list[Object], kind: str, name: str) -> Object:
    (found,) = [one for one in of(objects, kind) if one["metadata"]["name"] == name]
    return found


def pod(one: Object) -> Object:
    """The pod of a Deployment or StatefulSet, or the Pod itself."""
    return one if one["kind"] == "Pod" else one["spec"]["template"]


def containers(one: Object) -> list[Object]:
    spec = pod(one)["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def environment(one: Object) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in pod(one)["spec"]["containers"][0]["env"]}


VALUE_SETS: dict[str, tuple[str, ...]] = {
    **{path.stem.removesuffix("-values"): (str(path),) for path in sorted((CHART / "ci").glob("*.yaml"))},
    "no exporter": ("exporter.enabled=false",),
    "one replica of each": ("operator.replicas=1", "exporter.replicas=1"),
    "no replica": ("operator.replicas=0",),
    "exporter with TLS": (
        'exporter.tls.existingSecret="tls"',
        "serviceMonitor.enabled=true",
        "alertmanagerConfig.enabled=true",
    ),
    "tokens of namespaces": ('exporter.token.namespacesSecret="tokens"', "exporter.tokenReview.enabled=true"),
    "own secrets": ('postgresql.existingSecret="db"', 'exporter.token.existingSecret="token"'),
    "external PostgreSQL": ('externalPostgresql={"existingSecret":"db","key":"uri"}',),
    "external PostgreSQL with its authority": ('externalPostgresql={"existingSecret":"db","caKey":"ca.crt"}',),
    "volumes of root": ("postgresql.volumePermissions=true", 'postgresql.storageClass="host"'),
    "watched namespaces": ('watchNamespaces=["a","b"]',),
    "no CRD": ("crds.install=false",),
    "CRD that goes": ("crds.keep=false",),
    "no rights": ("rbac.create=false",),
    "no aggregation": ("rbac.aggregate=false",),
    "no accounts": ("operator.serviceAccount.create=false", 'exporter.serviceAccount={"create":false,"name":"a"}'),
    "no probes": tuple(
        f"{component}.{kind}Probe=null"
        for component in ("operator", "exporter", "postgresql")
        for kind in ("startup", "liveness", "readiness")
    ),
    "no resources": tuple(
        f"{component}.resources={{}}".replace("{}", "null") for component in ("operator", "exporter", "postgresql")
    ),
    "no security contexts": ("podSecurityContext=null", "containerSecurityContext=null"),
    "dashboard": ("dashboard.enabled=true",),
    "dashboard behind an ingress": (
        "dashboard.enabled=true",
        'dashboard.authentication="None"',
        'dashboard.ingress={"enabled":true,"host":"tuning.example.com","tls":[{"secretName":"tls","hosts":["tuning.example.com"]}]}',
    ),
    "no budget": ("operator.podDisruptionBudget.enabled=false",),
    "service monitor": ("serviceMonitor.enabled=true",),
    "service monitor of the operator alone": ("serviceMonitor.enabled=true", "exporter.enabled=false"),
    "rules": ("prometheusRule.enabled=true",),
    "dashboards of Grafana": ("grafanaDashboards.enabled=true",),
    "alerts to the exporter": ("alertmanagerConfig.enabled=true",),
}
