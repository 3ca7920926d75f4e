"""The main job: a study from `kubectl apply` to Complete, and what one may do to it on the way."""

import json
from datetime import datetime

import pytest

from e2e.conftest import ROOT, Kubectl, eventually

DIGITS = ROOT / "manifests" / "samples" / "digits.yaml"
pytestmark = pytest.mark.cluster


def test_three_workers_finish_exactly_450_trials(kubectl: Kubectl) -> None:
    kubectl.apply(DIGITS)

    kubectl.wait("digits", "Complete", 300)

    status = kubectl.status("digits")
    assert status["state"] == "Complete"
    assert status["trials"]["complete"] + status["trials"]["pruned"] == 450
    assert status["trials"]["summary"] == "450/450"
    assert status["best"]["metrics"][0]["value"] > 0.97
    eventually(lambda: _told(kubectl, "RoundStarted", "BudgetUsed"))
    assert "450/450" in kubectl("get tstudy digits")
    pods = kubectl.get("pods -l tuning.dev/study=digits,tuning.dev/role=worker")["items"]
    assert len(pods) == 3
    logs = [kubectl(f"logs {pod['metadata']['name']}") for pod in pods]
    assert all(log.count('"event": "trial ended"') > 45 for log in logs), "every worker did a share"
    lines = [json.loads(line) for log in logs for line in log.splitlines() if "trial ended" in line]
    last = max(datetime.fromisoformat(line["timestamp"]) for line in lines)
    assert (datetime.fromisoformat(status["completionTime"]) - last).total_seconds() < 10


def test_scale_suspend_budget_and_deletion_do_what_one_would_expect(kubectl: Kubectl) -> None:
    kubectl.apply(DIGITS)
    pods = "pods -l tuning.dev/study=digits,tuning.dev/role=worker"

    eventually(lambda: _some_are_done(kubectl))
    kubectl("scale tstudy/digits --replicas=5")
    eventually(lambda: _all_running(kubectl.get(pods)["items"], 5))

    kubectl("""patch tstudy digits --type merge -p '{"spec": {"suspend": true}}'""")
    kubectl.wait("digits", "Suspended")
    eventually(lambda: _none(kubectl.get(pods)["items"]))
    used = _used(kubectl)
    assert 0 < used < 450

    refused = kubectl.fails("""patch tstudy digits --type merge -p '{"spec": {"workers": {"replicas": 0}}}'""")
    assert "to stop its workers set `suspend: true`" in refused

    budget = used + 20
    patch = json.dumps({"spec": {"suspend": False, "budget": {"trials": budget}}})
    kubectl(f"patch tstudy digits --type merge -p '{patch}'")
    kubectl.wait("digits", "Complete")
    assert _used(kubectl) == budget

    kubectl("delete tstudy digits --timeout=10s")
    eventually(lambda: _none(kubectl.get("jobs,configmaps -l tuning.dev/study=digits")["items"]))


def test_what_is_fixed_for_a_round_may_not_change_while_it_runs(kubectl: Kubectl) -> None:
    kubectl.apply(DIGITS)
    eventually(lambda: _is_running(kubectl))

    refused = kubectl.fails("""patch tstudy digits --type merge -p '{"spec": {"seed": 7}}'""")

    assert "seed is fixed while a round runs: set `suspend: true` first" in refused


def _told(kubectl: Kubectl, *reasons: str) -> None:
    assert {reason for reason, _ in kubectl.events("digits")} >= set(reasons)


def _used(kubectl: Kubectl) -> int:
    trials = kubectl.status("digits")["trials"]
    return int(trials["complete"] + trials["pruned"])


def _all_running(pods: list[dict[str, dict[str, str]]], number: int) -> None:
    assert [pod["status"]["phase"] for pod in pods] == ["Running"] * number


def _some_are_done(kubectl: Kubectl) -> None:
    assert _used(kubectl) > 0


def _none(found: list[object]) -> None:
    assert not found


def _is_running(kubectl: Kubectl) -> None:
    assert kubectl.status("digits")["state"] == "Running"
