"""A worker's pod, the operator and the database go away in the middle: still exactly 450 trials."""

import pytest

from e2e.conftest import ROOT, Kubectl, eventually

pytestmark = pytest.mark.cluster


def test_exactly_450_trials_in_spite_of_a_killed_worker_operator_and_database(
    system: Kubectl, kubectl: Kubectl
) -> None:
    slower = (ROOT / "manifests/samples/digits.yaml").read_text().replace("folds: 5", "folds: 10")
    kubectl.apply(slower)
    eventually(lambda: _used_at_least(kubectl, 30), 120)

    worker = kubectl.get("pods -l tuning.dev/study=digits")["items"][0]["metadata"]["name"]
    kubectl(f"delete pod {worker} --force --grace-period=0")
    system("delete pod -l app.kubernetes.io/name=tuning-operator --force --grace-period=0")
    eventually(lambda: _used_at_least(kubectl, 120), 120)

    system("scale statefulset tuning-postgresql --replicas=0")
    eventually(lambda: _store_is(kubectl, "False"))
    system("scale statefulset tuning-postgresql --replicas=1")

    kubectl.wait("digits", "Complete", 300)
    trials = kubectl.status("digits")["trials"]
    assert trials["complete"] + trials["pruned"] == 450
    assert trials["running"] == 0
    eventually(lambda: _told(kubectl, "Unreachable", "Connected", "BudgetUsed"))


def _told(kubectl: Kubectl, *reasons: str) -> None:
    assert {reason for reason, _ in kubectl.events("digits")} >= set(reasons)


def _used_at_least(kubectl: Kubectl, number: int) -> None:
    trials = kubectl.status("digits")["trials"]
    assert trials["complete"] + trials["pruned"] >= number


def _store_is(kubectl: Kubectl, value: str) -> None:
    assert kubectl.condition("digits", "StoreReady")["status"] == value
