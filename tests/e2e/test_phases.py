"""One study with phases, a constraint, known good settings and verification together, as in its sample."""

import pytest

from e2e.conftest import ROOT, Kubectl, eventually

pytestmark = pytest.mark.cluster


def test_phases_follow_each_other_and_the_best_is_measured_again(kubectl: Kubectl) -> None:
    kubectl.apply(ROOT / "manifests" / "samples" / "phases.yaml")

    kubectl.wait("phases", "Complete", 300)

    status = kubectl.status("phases")
    assert (status["trials"]["summary"], status["phase"], status["sampler"]["type"]) == ("40/40", "refine", "GP")
    runs = status["verification"]["runs"]
    assert (runs["complete"] + runs["pruned"], runs["failed"]) == (24, 0)
    assert (status["best"]["verified"], status["best"]["feasible"]) == (True, True)
    assert status["verification"]["message"] in kubectl.condition("phases", "Complete")["message"]
    eventually(lambda: _told(kubectl, "RoundStarted", "Verifying", "BudgetUsed"))

    pods = kubectl.get("pods -l tuning.dev/study=phases,tuning.dev/role=worker")["items"]
    logs = [kubectl(f"logs {pod['metadata']['name']}").splitlines() for pod in pods]
    ended = [[line for line in log if '"event": "trial ended"' in line] for log in logs]
    search = [sum("verification" not in line for line in lines) for lines in ended]
    print(f"trials of the search by worker: {search}; of all: {[len(lines) for lines in ended]}")
    assert len(pods) == 3
    assert all(search), "every worker did a share"


def _told(kubectl: Kubectl, *reasons: str) -> None:
    assert {reason for reason, _ in kubectl.events("phases")} >= set(reasons)
