"""Reaches a Service that only the cluster's own network knows, through `kubectl port-forward`."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.engine import make_url

from tuning_client.exceptions import ClusterError

_INSIDE = re.compile(r"^([a-z0-9-]+)\.([a-z0-9-]+)\.svc(\..*)?$")
_PORT = re.compile(r"^Forwarding from 127\.0\.0\.1:(\d+) ->")
_POSTGRESQL = 5432


@dataclass(frozen=True)
class Service:
    name: str
    namespace: str
    port: int


def service_behind(url: str) -> Service | None:
    """The Service that the URL's host names, if it is one; None for a host that may be reached from anywhere."""
    parsed = make_url(url)
    found = _INSIDE.match(parsed.host or "")
    return Service(found[1], found[2], parsed.port or _POSTGRESQL) if found else None


def through(url: str, port: int) -> str:
    """`url` with its host replaced by the near end of the tunnel, or beside it where a certificate must name it."""
    far = make_url(url)
    if str(far.query.get("sslmode", "")).startswith("verify"):
        near = far.set(port=port).update_query_dict({"hostaddr": "127.0.0.1"})
    else:
        near = far.set(host="127.0.0.1", port=port)
    return near.render_as_string(hide_password=False)


def command(service: Service, context: str | None) -> list[str]:
    chosen = ["--context", context] if context else []
    return ["kubectl", *chosen, "port-forward", "-n", service.namespace, f"svc/{service.name}", f":{service.port}"]


@contextmanager
def reachable(url: str, context: str | None) -> Iterator[str]:
    """A URL that can be reached from here, for as long as the block lasts."""
    service = service_behind(url)
    if service is None:
        yield url
        return
    if shutil.which("kubectl") is None:
        raise ClusterError(
            f"the trials are in PostgreSQL at {service.name}.{service.namespace}.svc, inside the cluster; "
            "install kubectl, which forwards its port, or run this inside the cluster"
        )
    with forwarded(service, context) as port:
        yield through(url, port)


@contextmanager
def forwarded(service: Service, context: str | None) -> Iterator[int]:
    """A port of this machine that leads to the Service, for as long as the block lasts."""
    with subprocess.Popen(
        command(service, context),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield _near_port(process, service)
        finally:
            process.terminate()


def _near_port(process: "subprocess.Popen[str]", service: Service) -> int:
    """What kubectl prints once it listens. When it cannot, it ends, and its last words are the reason."""
    assert process.stdout is not None
    said: list[str] = []
    for line in process.stdout:
        if found := _PORT.match(line):
            return int(found[1])
        said.append(line.strip())
    reason = said[-1] if said else "it said nothing"
    raise ClusterError(f"kubectl cannot forward the port of svc/{service.name} in {service.namespace}: {reason}")
