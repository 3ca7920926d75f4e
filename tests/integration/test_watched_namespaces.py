"""An operator that is told its namespaces needs no rights anywhere else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from integration.harness import Kube
from integration.operator_fixtures import Studies
from integration.services import Operator, chart_rbac
from integration.studies import quick_study

CLUSTER_ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "tuning-operator-cluster"},
    "rules": [{"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]}],
}


@pytest.fixture
def narrowed(operator: Operator, system: Kube, kube: Kube) -> Iterator[Operator]:
    """The operator with the chart's rights for `watchNamespaces`, which is the test's namespace."""
    (everywhere,) = (
        one
        for one in chart_rbac()
        if one["kind"] == "ClusterRoleBinding" and one["metadata"]["name"] == "tuning-operator-studies"
    )
    here = {**everywhere, "kind": "RoleBinding", "metadata": {"name": "studies", "namespace": kube.namespace}}
    system.delete("ClusterRoleBinding", "tuning-operator-studies")
    system.apply(CLUSTER_ROLE)
    system.apply(here)
    try:
        with operator.configured(TUNING_WATCH_NAMESPACES=kube.namespace):
            yield operator
    finally:
        for body in chart_rbac():
            system.apply(body)


def test_a_study_runs_under_an_operator_with_rights_in_its_namespace_alone(
    narrowed: Operator, studies: Studies
) -> None:
    studies(quick_study()).wait_until("Complete")
