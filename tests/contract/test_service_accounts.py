"""A service account's token speaks for its namespace, as a real API server says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from kubernetes.aio.config import kube_config

from integration.harness import ControlPlane, Kube
from tuning_exporter.app import build_app
from tuning_exporter.authentication import Authentication, Tokens
from tuning_exporter.service_accounts import ServiceAccounts
from tuning_exporter.studies import StudyIndex
from tuning_kube.client import Cluster
from tuning_kube.errors import Forbidden

AUDIENCE = "tuning-exporter"
Deliver = Callable[[str, str], Awaitable[int]]
"""An alert on a study of a namespace, with a token."""


class NoStudies:
    async def list_metadata(self, *_: object) -> Sequence[Any]:
        return []


@pytest.fixture
def token(control_plane: ControlPlane, namespace: str) -> Callable[..., str]:
    """Of the namespace's account `default`."""

    def make(audience: str = AUDIENCE, **bound: Any) -> str:
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": 600, **bound},
        }
        return str(control_plane.request("POST", path, body)["status"]["token"])

    return make


@pytest.fixture
def reviewer(kube: Kube, namespace: str) -> str:
    """An account that may review tokens, as the chart's exporter may, and do nothing else."""
    rule = {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    name, rbac = f"reviews-{namespace}", "rbac.authorization.k8s.io"
    kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "exporter"}})
    kube.apply({"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": [rule]})
    binding = {
        "apiVersion": f"{rbac}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "exporter", "namespace": namespace}],
    }
    kube.apply(binding)
    return "exporter"


async def connected(control_plane: ControlPlane, namespace: str, account: str) -> Cluster:
    config = control_plane.service_account_kubeconfig(namespace, account)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(config))
        return await Cluster().__aenter__()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def deliver(control_plane: ControlPlane, namespace: str, reviewer: str, clock: Clock) -> AsyncIterator[Deliver]:
    cluster = await connected(control_plane, namespace, reviewer)
    authentication = Authentication(Tokens(lambda: "secret"), ServiceAccounts(cluster, AUDIENCE, clock))
    app = build_app(cluster, None, StudyIndex(NoStudies(), ()), None, authentication)  # type: ignore[arg-type]
    async with TestClient(TestServer(app)) as client:

        async def post(token: str, about: str) -> int:
            labels = {"alertname": "X", "namespace": about, "study": "digits"}
            body = {"version": "4", "alerts": [{"status": "firing", "labels": labels}]}
            headers = {"Authorization": f"Bearer {token}"}
            return (await client.post("/alerts", json=body, headers=headers)).status

        yield post
    await cluster.__aexit__(None, None, None)


async def test_it_may_speak_for_its_own_namespace_only(
    deliver: Deliver, token: Callable[..., str], namespace: str
) -> None:
    given = token()
    assert await deliver(given, namespace) == 200
    assert await deliver(given, "another") == 403


async def test_a_token_for_another_audience_or_that_was_tampered_with_is_none(
    deliver: Deliver, token: Callable[..., str], namespace: str
) -> None:
    assert await deliver(token("https://kubernetes.default.svc.cluster.local"), namespace) == 401
    head, body, signature = token().split(".")
    assert await deliver(f"{head}.{body}.{signature[::-1]}", namespace) == 401
    assert await deliver("a.b.c", namespace) == 401


async def test_one_that_is_replayed_after_its_end_is_refused(
    deliver: Deliver, token: Callable[..., str], namespace: str, kube: Kube, clock: Clock
) -> None:
    secret = kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "bound"}})
    given = token(
        boundObjectRef={"apiVersion": "v1", "kind": "Secret", "name": "bound", "uid": secret["metadata"]["uid"]}
    )
    kube.delete("Secret", "bound")
    async with asyncio.timeout(30):  # the API server may not have seen it yet, and remembers an answer for 10 seconds
        while await deliver(given, namespace) != 401:
            clock.now += 31
            await asyncio.sleep(0.5)


async def test_without_the_right_to_review_nobody_is_let_in_and_the_sender_tries_again(
    control_plane: ControlPlane, namespace: str, token: Callable[..., str]
) -> None:
    cluster = await connected(control_plane, namespace, "default")
    with pytest.raises(Forbidden):
        await ServiceAccounts(cluster, AUDIENCE).namespace_of(token())
    await cluster.__aexit__(None, None, None)
