"""The chart's own Secrets: made once, with the operator's rights, whoever else makes them at the same moment."""

from __future__ import annotations

import base64
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from kubernetes.dynamic.exceptions import NotFoundError
from sqlalchemy.engine import make_url

from integration.harness import ControlPlane, Kube
from integration.services import SYSTEM

WANTED = "--postgresql-secret test-postgresql --postgresql-host database.tuning.svc --token-secret test-token"


@pytest.fixture
def operators_account(control_plane: ControlPlane, system: Kube) -> Iterator[str]:
    """The kubeconfig of the account that the chart gives the operator, where no Secret is yet."""
    yield str(control_plane.service_account_kubeconfig(SYSTEM, "tuning-operator", None))
    for name in ("test-postgresql", "test-token"):
        with contextlib.suppress(NotFoundError):
            system.delete("Secret", name)


def bootstrap(kubeconfig: str, namespace: str = SYSTEM) -> tuple[int, str]:
    """Its exit code, and what it said."""
    command = [sys.executable, "-m", "tuning_operator.bootstrap", "--namespace", namespace, *WANTED.split()]
    ended = subprocess.run(command, env={"KUBECONFIG": kubeconfig}, stderr=subprocess.PIPE, text=True, timeout=60)
    return ended.returncode, ended.stderr


def data(kube: Kube, name: str) -> dict[str, str]:
    found = kube.get("Secret", name, namespace=SYSTEM)["data"]
    return {key: base64.b64decode(value).decode() for key, value in found.items()}


def test_two_replicas_at_once_make_each_secret_once_and_later_ones_leave_it(
    operators_account: str, system: Kube
) -> None:
    with ThreadPoolExecutor() as replicas:
        codes, told = zip(*replicas.map(bootstrap, [operators_account] * 2), strict=True)
    said = "".join(told)
    assert codes == (0, 0)
    assert (said.count("the Secret is made"), said.count("is there already")) == (2, 2)

    first = data(system, "test-postgresql")
    url = make_url(first["url"])
    assert (url.username, url.host, url.port) == ("postgres", "database.tuning.svc", 5432)
    assert url.password == first["password"]
    token = data(system, "test-token")["token"]
    assert len(token) == len(first["password"]) == 40

    assert bootstrap(operators_account)[0] == 0
    assert (data(system, "test-postgresql"), data(system, "test-token")["token"]) == (first, token)


def test_argo_cd_does_not_take_them_for_its_own(operators_account: str, system: Kube) -> None:
    assert bootstrap(operators_account)[0] == 0
    metadata = system.get("Secret", "test-postgresql", namespace=SYSTEM)["metadata"]
    assert "app.kubernetes.io/instance" not in metadata["labels"]
    assert "ownerReferences" not in metadata  # they outlive the release, as the volume does


def test_a_namespace_that_is_not_there_is_told(operators_account: str) -> None:
    code, said = bootstrap(operators_account, namespace="absent")
    assert code == 1
    assert "the Secret cannot be made" in said
    assert "absent" in said
