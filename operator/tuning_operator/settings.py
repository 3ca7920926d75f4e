"""What the operator is told by its environment; the chart sets it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from tuning_operator.exceptions import InvalidSettings


@dataclass(frozen=True)
class Settings:
    store_url: str = field(repr=False)
    """The administrator's login: makes a schema and a role for each namespace."""
    worker_image: str
    """Of workers whose study names no image."""
    image_pull_policy: str = "IfNotPresent"
    namespace: str = "tuning"
    """The operator's own; holds the Lease."""
    identity: str = "tuning-operator"
    """Of this replica, in the Lease."""
    watch_namespaces: tuple[str, ...] = ()
    """All when empty."""
    roles: bool = True
    """False where the administrator's role may not create roles: all namespaces then share one login."""
    port: int = 8080
    """Serves /metrics, /healthz and /readyz."""
    resync: timedelta = timedelta(seconds=30)
    """Every study is looked at this often even if nothing seems to happen; heals lost events."""
    poll: timedelta = timedelta(seconds=2)
    """A study that runs is looked at this often; its progress is in the store, which sends no events."""


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises InvalidSettings, naming the variable."""
    return Settings(
        store_url=_required(environment, "TUNING_STORE_URL"),
        worker_image=_required(environment, "TUNING_WORKER_IMAGE"),
        image_pull_policy=environment.get("TUNING_IMAGE_PULL_POLICY", "IfNotPresent"),
        namespace=environment.get("POD_NAMESPACE", "tuning"),
        identity=environment.get("POD_NAME", f"tuning-operator-{os.getpid()}"),
        watch_namespaces=tuple(filter(None, environment.get("TUNING_WATCH_NAMESPACES", "").split(","))),
        roles=environment.get("TUNING_STORE_ROLES", "true").lower() == "true",
        port=_port(environment.get("TUNING_PORT", "8080")),
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise InvalidSettings(f"the environment variable {name} is not set")
    return value


def _port(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) < 65536:
        raise InvalidSettings(f"TUNING_PORT is {text!r}; write a port number")
    return int(text)
