"""What the operator is told by its environment; the chart sets it."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tuning_kube import environment
from tuning_kube.errors import InvalidSettings
from tuning_operator.executors.worker_job.job import RESTRICTED
from tuning_store.tenants import CONNECTIONS


@dataclass(frozen=True)
class Settings:
    store_url: str = field(repr=False)
    """The administrator's login: makes a schema and a role for each namespace."""
    worker_image: str
    """Of workers whose study names no image."""
    image_pull_policy: str = "IfNotPresent"
    worker_pod_templates: Sequence[Mapping[str, Any]] = (RESTRICTED,)
    """Laid on the pod of every worker, one after another; a study's own comes last."""
    namespace: str = "tuning"
    """The operator's own; holds the Lease."""
    identity: str = "tuning-operator"
    """Of this replica, in the Lease."""
    watch_namespaces: tuple[str, ...] = ()
    """All when empty."""
    roles: bool = True
    """False where the administrator's role may not create roles: all namespaces then share one login."""
    connections: int = CONNECTIONS
    """That a namespace's role may hold at once: what one takes, the others lack."""
    max_running_rounds: int = 10
    """That no person asked for, at once; the others wait in order."""
    prometheus_url: str | None = None
    """Of studies whose namespace has none of its own; None where there is none for them."""
    port: int = 8080
    """Serves /metrics, /healthz and /readyz."""
    resync: timedelta = timedelta(seconds=30)
    """Every study is looked at this often even if nothing seems to happen; heals lost events."""
    poll: timedelta = timedelta(seconds=1)
    """A study that runs is looked at this often; its progress is in the store, which sends no events."""


def from_environment(variables: Mapping[str, str] = os.environ) -> Settings:
    """Raises InvalidSettings, naming the variable."""
    return Settings(
        store_url=environment.store_url(variables),
        worker_image=environment.required(variables, "TUNING_WORKER_IMAGE"),
        image_pull_policy=variables.get("TUNING_IMAGE_PULL_POLICY", "IfNotPresent"),
        worker_pod_templates=_pod_templates(variables.get("TUNING_WORKER_POD_TEMPLATES")),
        namespace=variables.get("POD_NAMESPACE", "tuning"),
        identity=variables.get("POD_NAME", f"tuning-operator-{os.getpid()}"),
        watch_namespaces=environment.watch_namespaces(variables),
        roles=variables.get("TUNING_STORE_ROLES", "true").lower() == "true",
        connections=_connections(variables.get("TUNING_STORE_CONNECTIONS", str(CONNECTIONS))),
        max_running_rounds=_max_running_rounds(variables.get("TUNING_MAX_RUNNING_ROUNDS", "10")),
        prometheus_url=variables.get("TUNING_PROMETHEUS_URL") or None,
        port=environment.port(variables),
    )


def _pod_templates(text: str | None) -> Sequence[Mapping[str, Any]]:
    if text is None:
        return (RESTRICTED,)
    try:
        templates = json.loads(text)
    except ValueError:
        templates = None
    if not isinstance(templates, list) or not all(isinstance(template, dict) for template in templates):
        raise InvalidSettings(
            f"TUNING_WORKER_POD_TEMPLATES is {text!r}; write a JSON list of pod templates, such as"
            ' [{"spec": {"nodeSelector": {"pool": "gpu"}}}]'
        )
    return tuple(templates)


def _max_running_rounds(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise InvalidSettings(f"TUNING_MAX_RUNNING_ROUNDS is {text!r}; write how many retuning rounds may run at once")
    return int(text)


def _connections(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise InvalidSettings(f"TUNING_STORE_CONNECTIONS is {text!r}; write how many connections a namespace may hold")
    return int(text)
