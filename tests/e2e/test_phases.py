"""One study with phases, a constraint, known good settings and verification together, as in its sample."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from e2e.conftest import ROOT, Kubectl, eventually

pytestmark = pytest.mark.cluster
_CAPTURED: dict[str, Any] = {"check": True, "text": True, "stdout": subprocess.PIPE, "timeout": 120}


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

    told = _recommended(_on_other_data(ROOT / "manifests" / "samples" / "phases.yaml"), kubectl.namespace)
    assert [each["name"] for each in told["neighbours"]] == ["phases"]
    assert any("best of phases" in suggestion["reason"] for suggestion in told["with_history"])


def _on_other_data(sample: Path) -> str:
    """And without points of its own, one of which may be the best of the sample's."""
    manifest = YAML(typ="safe").load(sample)
    manifest["metadata"]["name"] = "others"
    manifest["spec"]["objective"]["sklearn"]["dataset"] = {"load": "iris"}
    del manifest["spec"]["warmStart"]
    return json.dumps(manifest)


def _recommended(manifest: str, namespace: str) -> dict[str, Any]:
    """For a study that is not on the cluster yet."""
    command = [sys.executable, "-m", "tuning_cli.app", "recommend", "-", "-n", namespace, "-o", "json"]
    told: dict[str, Any] = json.loads(subprocess.run(command, input=manifest, **_CAPTURED).stdout)
    return told


def _told(kubectl: Kubectl, *reasons: str) -> None:
    assert {reason for reason, _ in kubectl.events("phases")} >= set(reasons)
