"""`python -m tuning_operator.bootstrap`: makes the chart's own Secrets where they are absent.

An init container of the operator runs it. A template cannot make them: each rendering would give other passwords, and
GitOps tools render again and again.
"""

import argparse
import secrets
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_fixed
from urllib3.exceptions import HTTPError

from tuning_kube import logs, names

log = structlog.get_logger()

_PATIENCE, _PAUSE = 60, 1  # seconds that an API server may not answer, and between two tries
_LABELS = {
    # Without app.kubernetes.io/instance: Argo CD would take them for objects that left its application, and prune them.
    "app.kubernetes.io/part-of": "tuning-operator",
    "app.kubernetes.io/managed-by": names.FIELD_MANAGER,
}


def postgresql_secret(name: str, host: str) -> dict[str, Any]:
    """The administrator's password, and the URL with it."""
    password = secrets.token_hex(20)
    return _secret(name, password=password, url=f"postgresql://postgres:{password}@{host}:5432/postgres")


def token_secret(name: str) -> dict[str, Any]:
    """What callers of the exporter's /alerts, or of the dashboard, must give."""
    return _secret(name, token=secrets.token_hex(20))


def create(api: client.CoreV1Api, namespace: str, secret: Mapping[str, Any]) -> bool:
    """Whether the Secret was made; False when there was one of that name, which stays as it is. Raises ApiException."""
    try:
        api.create_namespaced_secret(namespace, secret)
    except ApiException as error:
        if error.status != 409:
            raise
        return False
    return True


def main(arguments: Sequence[str] | None = None) -> int:
    logs.configure()
    parser = argparse.ArgumentParser(prog="python -m tuning_operator.bootstrap")
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--postgresql-secret", metavar="NAME", help="with the keys `password` and `url`")
    parser.add_argument("--postgresql-host", metavar="HOST", help="in that URL")
    parser.add_argument(
        "--token-secret", metavar="NAME", action="append", default=[], help="with the key `token`; may be repeated"
    )
    options = parser.parse_args(arguments)
    wanted = []
    if options.postgresql_secret:
        wanted.append(postgresql_secret(options.postgresql_secret, options.postgresql_host))
    wanted.extend(map(token_secret, options.token_secret))
    try:
        config.load_incluster_config()
    except config.ConfigException:
        config.load_kube_config()
    api = client.CoreV1Api()
    for secret in wanted:
        name = secret["metadata"]["name"]
        try:
            made = _patient(create, api, options.namespace, secret)
        except (ApiException, HTTPError) as error:
            log.error("the Secret cannot be made", secret=name, namespace=options.namespace, error=_told(error))
            return 1
        log.info("the Secret is made" if made else "the Secret is there already", secret=name)
    return 0


def _secret(name: str, **data: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "labels": _LABELS},
        "stringData": data,
    }


def _told(error: Exception) -> str:
    return f"{error.status} {error.reason}: {error.body}" if isinstance(error, ApiException) else str(error)


def _passes(error: BaseException) -> bool:
    """Whether the API server may answer otherwise in a moment: it does not answer at all, or is too busy."""
    return isinstance(error, HTTPError) or (isinstance(error, ApiException) and error.status in (429, *range(500, 600)))


_patient = Retrying(
    retry=retry_if_exception(_passes),
    stop=stop_after_delay(_PATIENCE),
    wait=wait_fixed(_PAUSE),
    reraise=True,
)


if __name__ == "__main__":
    sys.exit(main())
