"""The dashboard's studies in production, beside a real operator, exporter, API server and PostgreSQL."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from kubernetes.aio.config import kube_config

from integration.harness import ControlPlane, Kube
from integration.operator_fixtures import TOKEN, Studies
from integration.services import SYSTEM, Postgres, Service
from integration.studies import quick_study
from tuning_dashboard.cluster import ClusterFleet
from tuning_dashboard.fleet import FleetUnavailable
from tuning_kube.client import Cluster
from tuning_report.fleet.over_time import over_time
from tuning_report.fleet.rows import overview
from tuning_report.fleet.watched import WatchedStudy
from tuning_store.tenants import TenantStores

ACCOUNT = "tuning-dashboard"
RULES = [
    {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]},
    {"apiGroups": ["tuning.dev"], "resources": ["tuningstudies"], "verbs": ["list"]},
]
"""As tests/contract/chart/test_security.py holds the chart to."""


AskAs = Callable[[str], None]


@pytest.fixture
def ask_as(control_plane: ControlPlane, system: Kube, monkeypatch: pytest.MonkeyPatch) -> AskAs:
    """From now on the API server is asked as this account, which is made without any right."""

    def ask(account: str) -> None:
        system.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": SYSTEM}})
        config = control_plane.service_account_kubeconfig(SYSTEM, account)
        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(config))

    return ask


def give_rights(system: Kube) -> None:
    group = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": ACCOUNT}, "rules": RULES}
    system.apply(role)
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": SYSTEM}
    reference = {"apiGroup": group, "kind": "ClusterRole", "name": ACCOUNT}
    binding = {"apiVersion": f"{group}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": ACCOUNT}}
    system.apply({**binding, "roleRef": reference, "subjects": [subject]})


def watched(url: str, namespace: str) -> tuple[Sequence[WatchedStudy], dict[str, Any]]:
    """The namespace's studies, and what the first of them is over time."""

    async def read() -> tuple[Sequence[WatchedStudy], dict[str, Any]]:
        async with Cluster() as cluster:
            stores = TenantStores(url, await cluster.identity(), [namespace])
            try:
                fleet = ClusterFleet(cluster, stores, [namespace])
                studies = await fleet.studies()
                return studies, over_time(*fleet.told(studies[0]), None)
            finally:
                stores.close()

    return asyncio.run(read())


def test_a_study_that_degrades_and_may_not_ask_for_a_round_is_at_the_top(
    studies: Studies, exporter: Service, postgres: Postgres, system: Kube, ask_as: AskAs
) -> None:
    metric = {
        "name": "accuracy",
        "direction": "Maximize",
        "source": {"push": {}},
        "baseline": {"value": 0.9},
        "degraded": {"bad": 1, "of": 1},
    }
    study = studies(quick_study("watched", production={"metrics": [metric]}))
    study.wait_until("Complete")
    observation = {"namespace": study.kube.namespace, "study": study.name, "metrics": {"accuracy": 0.5}}
    assert exporter.post("/observations", json.dumps(observation).encode(), TOKEN)[0] == 200
    study.wait_for_condition("Degraded", "True", "ModelDegraded")
    study.wait(lambda status: "waitsFor" in status["retune"].get("episode", {}), "with an episode that waits")

    ask_as(ACCOUNT)
    give_rights(system)
    found, history = watched(postgres.url, study.kube.namespace)

    (row,) = overview(found, datetime.now(UTC))["studies"]
    (waits,) = row["waits"]
    assert (waits["kind"], row["metrics"][0]["value"]) == ("NotATrigger", 0.5)
    assert waits["do"].startswith("retune: {triggers: [Degradation]}, or: tuning retune watched -n ")
    assert [value for _, value, _ in history["metrics"]["accuracy"]] == [0.5]


def test_without_the_right_it_says_which(ask_as: AskAs) -> None:
    async def read() -> None:
        async with Cluster() as cluster:
            await ClusterFleet(cluster, None, ["default"]).studies()  # type: ignore[arg-type]

    ask_as("without-rights")
    with pytest.raises(FleetUnavailable, match=r"may not list TuningStudies: 403 Forbidden.*rbac\.create"):
        asyncio.run(read())
