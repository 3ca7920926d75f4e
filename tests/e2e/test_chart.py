"""The chart as a platform's people meet it: its notes, its test, its Secrets, and two releases in one cluster."""

import re
from collections.abc import Iterator

import pytest

from e2e.conftest import SYSTEM, Kubectl, eventually, helm_arguments, install, run

pytestmark = pytest.mark.cluster

TEAM = "tuning-team"  # where the second release is
STUDY = """
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {name: small}
spec:
  metrics: [{name: loss, direction: Minimize}]
  parameters: [{name: x, type: Float, min: 0, max: 1}]
  objective: {command: {command: [sh, -c], args: ["echo loss={x}"]}}
  budget: {trials: 4}
  workers:
    replicas: 2
    podTemplate: {spec: {securityContext: {fsGroup: null}}}
"""


def test_the_release_passes_its_own_test(system: Kubectl) -> None:
    said = run(["helm", "test", "tuning", "-n", SYSTEM, "--logs", "--timeout", "2m"])
    assert "the API server serves TuningStudies" in said
    assert re.findall(r"(\w+)\.tuning\.svc:8080/readyz: ok", said) == ["operator", "exporter"]


def test_the_study_of_the_notes_completes(system: Kubectl, kubectl: Kubectl) -> None:
    notes = run(["helm", "get", "notes", "tuning", "-n", SYSTEM])
    kubectl.apply(notes.partition("<<END\n")[2].partition("\nEND\n")[0])
    kubectl.wait("first", "Complete")
    assert kubectl.status("first")["trials"]["summary"] == "30/30"


def test_another_upgrade_changes_no_secret_and_restarts_nothing(system: Kubectl) -> None:
    def state() -> object:
        secrets = [system.get(f"secret {name}")["data"] for name in ("tuning-postgresql", "tuning-exporter-token")]
        return secrets, sorted(pod["metadata"]["uid"] for pod in system.get("pods")["items"])

    eventually(lambda: _all_run(system))
    before = state()
    install()
    assert state() == before


@pytest.fixture
def team(system: Kubectl, kubectl: Kubectl) -> Iterator[Kubectl]:
    """kubectl in a namespace that a second release watches, and the first does not."""
    install(f"watchNamespaces={{{SYSTEM}}}")
    helm = f"helm install team charts/tuning-operator -n {TEAM} --create-namespace --wait --timeout 3m"
    values = f"crds.install=false,exporter.enabled=false,watchNamespaces={{{kubectl.namespace}}}"
    run([*helm.split(), *helm_arguments(), "--set", values])
    yield kubectl
    kubectl("delete tstudy --all --timeout=30s")
    run(["helm", "uninstall", "team", "-n", TEAM, "--wait"])
    run(["kubectl", "delete", "namespace", TEAM, "--wait=false"])
    install()


def test_two_releases_share_a_cluster_each_with_rights_in_its_own_namespaces(system: Kubectl, team: Kubectl) -> None:
    for kubectl in (team, system):
        kubectl("apply --server-side -f -", STUDY)  # a plain apply would drop null
    try:
        for kubectl in (team, system):
            kubectl.wait("small", "Complete")
            assert kubectl.status("small")["trials"]["summary"] == "4/4"
            pod = kubectl.get("job small-r1")["spec"]["template"]["spec"]
            assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    finally:
        system("delete tstudy small --timeout=30s")
    other = f"system:serviceaccount:{TEAM}:team-tuning-operator"
    assert team(f"auth can-i delete jobs --as {other}") == "yes\n"
    system.fails(f"auth can-i delete jobs --as {other}")


def _all_run(system: Kubectl) -> None:
    pods = system.get("pods")["items"]
    assert not [pod for pod in pods if "deletionTimestamp" in pod["metadata"]]
