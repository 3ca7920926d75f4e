"""Fixtures of the operator's tests: the resource, the store, and one operator for a session.

A test may stop, kill or reconfigure any of them; the next one finds them running again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.harness import ControlPlane, FakeNode, Kube
from integration.services import SYSTEM, Operator, Postgres, Service, chart_rbac
from integration.studies import Gate, Study
from tuning_study.api.crd import build_crd

Object = dict[str, Any]
TOKEN = "token-of-the-tests"
"""Of the exporter."""
Studies = Callable[[Object], Study]


@pytest.fixture(scope="session")
def crd(control_plane: ControlPlane) -> Iterator[None]:
    """The API server serves TuningStudies, and the garbage collector knows them."""
    admin = Kube(control_plane.kubeconfig)
    name = admin.apply(build_crd())["metadata"]["name"]

    def established(crd: Object) -> bool:
        return any(c["type"] == "Established" and c["status"] == "True" for c in crd["status"]["conditions"])

    admin.wait_for(lambda: admin.get("CustomResourceDefinition", name), established)
    admin.wait_for(lambda: admin.list("TuningStudy"), lambda found: found == [])
    # The garbage collector looks for new kinds twice a minute, and at its start.
    control_plane.controller_manager.stop()
    control_plane.controller_manager.start()
    yield
    admin.close()


@pytest.fixture(scope="session")
def session_postgres(control_plane: ControlPlane) -> Iterator[Postgres]:
    with Postgres(control_plane) as server:
        yield server


@pytest.fixture
def postgres(session_postgres: Postgres) -> Postgres:
    """The store, running."""
    session_postgres.start()
    return session_postgres


@pytest.fixture(scope="session")
def system(control_plane: ControlPlane, crd: None) -> Iterator[Kube]:
    """Cluster admin in the operator's namespace, where the chart's accounts and rights are installed."""
    admin = Kube(control_plane.kubeconfig, SYSTEM)
    admin.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}})
    for body in chart_rbac():
        admin.apply(body)
    yield admin
    admin.close()


@pytest.fixture(scope="session")
def session_operator(control_plane: ControlPlane, system: Kube, session_postgres: Postgres) -> Iterator[Operator]:
    program = Operator(control_plane, session_postgres.url)
    program.start()
    yield program
    program.kill()


@pytest.fixture
def operator(
    session_operator: Operator, control_plane: ControlPlane, postgres: Postgres, system: Kube, node: FakeNode
) -> Operator:
    """The operator, running and leading, in a cluster that has a store and a node."""
    control_plane.apiserver.start()
    session_operator.start()
    system.wait_for(lambda: session_operator.leads(system), bool, what="leader")
    return session_operator


@pytest.fixture
def studies(operator: Operator, kube: Kube) -> Iterator[Studies]:
    """Applies a manifest, and ends its study after the test: nothing of it runs on beside the next one."""
    made: list[Study] = []

    def apply(manifest: Object) -> Study:
        study = Study(kube, manifest)
        study.apply()
        made.append(study)
        return study

    yield apply
    for study in made:
        if study.exists("TuningStudy", study.name):
            study.delete()


@pytest.fixture
def promotion_rights(system: Kube) -> Iterator[None]:
    """As the chart's `promotion.targets` and `promotion.canary` give them."""
    deployments = {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch", "create", "delete"]}
    rollouts = {"apiGroups": ["argoproj.io"], "resources": ["rollouts"], "verbs": ["get", "patch"]}
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "promotion"}}
    system.apply({**role, "rules": [deployments, rollouts]})
    system.apply(
        {
            **role,
            "kind": "ClusterRoleBinding",
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "promotion"},
            "subjects": [{"kind": "ServiceAccount", "name": "tuning-operator", "namespace": SYSTEM}],
        }
    )
    yield
    system.delete("ClusterRoleBinding", "promotion")
    system.delete("ClusterRole", "promotion")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    made = Gate(tmp_path)
    yield made
    made.open()  # whatever still waits may end


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the exporter finds its token, as in a mounted Secret."""
    file = tmp_path_factory.mktemp("token") / "token"
    file.write_text(TOKEN)
    return file


@pytest.fixture(scope="module")
def module_exporter(
    control_plane: ControlPlane, system: Kube, session_postgres: Postgres, token_file: Path
) -> Iterator[Service]:
    env = {"TUNING_STORE_URL": session_postgres.url, "TUNING_TOKEN_FILE": str(token_file)}
    program = Service(control_plane, "tuning_exporter", "tuning-exporter", env)
    program.start()
    yield program
    program.stop()


@pytest.fixture
def exporter(module_exporter: Service, postgres: Postgres) -> Service:
    """`python -m tuning_exporter` with exactly the rights that the chart gives it, beside a running store."""
    module_exporter.start()
    return module_exporter
