"""What the operator is told by its environment; the chart sets it."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from tuning_operator.exceptions import InvalidSettings
from tuning_store import address
from tuning_store.exceptions import StoreError
from tuning_store.tenants import CONNECTIONS


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
    connections: int = CONNECTIONS
    """That a namespace's role may hold at once: what one takes, the others lack."""
    port: int = 8080
    """Serves /metrics, /healthz and /readyz."""
    resync: timedelta = timedelta(seconds=30)
    """Every study is looked at this often even if nothing seems to happen; heals lost events."""
    poll: timedelta = timedelta(seconds=1)
    """A study that runs is looked at this often; its progress is in the store, which sends no events."""


def from_environment(environment: Mapping[str, str] = os.environ) -> Settings:
    """Raises InvalidSettings, naming the variable."""
    return Settings(
        store_url=store_url(environment),
        worker_image=_required(environment, "TUNING_WORKER_IMAGE"),
        image_pull_policy=environment.get("TUNING_IMAGE_PULL_POLICY", "IfNotPresent"),
        namespace=environment.get("POD_NAMESPACE", "tuning"),
        identity=environment.get("POD_NAME", f"tuning-operator-{os.getpid()}"),
        watch_namespaces=tuple(filter(None, environment.get("TUNING_WATCH_NAMESPACES", "").split(","))),
        roles=environment.get("TUNING_STORE_ROLES", "true").lower() == "true",
        connections=_connections(environment.get("TUNING_STORE_CONNECTIONS", str(CONNECTIONS))),
        port=_port(environment.get("TUNING_PORT", "8080")),
    )


def store_url(environment: Mapping[str, str]) -> str:
    """The administrator's URL: from a mounted Secret, or given. Raises InvalidSettings."""
    file = environment.get("TUNING_STORE_URL_FILE")
    if not file:
        return _required(environment, "TUNING_STORE_URL")
    try:
        return address.read(Path(file))
    except StoreError as error:
        raise InvalidSettings(f"TUNING_STORE_URL_FILE: {error}") from error


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise InvalidSettings(f"the environment variable {name} is not set")
    return value


def _port(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) < 65536:
        raise InvalidSettings(f"TUNING_PORT is {text!r}; write a port number")
    return int(text)


def _connections(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise InvalidSettings(f"TUNING_STORE_CONNECTIONS is {text!r}; write how many connections a namespace may hold")
    return int(text)
