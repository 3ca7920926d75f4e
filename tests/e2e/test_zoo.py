"""Objectives that die, hang, leak, print and write oddly, in real containers: the study ends, and never stands still
without a word. ZOO_TRIALS says how many trials each has, ZOO_SEED which habits they draw."""

import json
import os
import time
from typing import Any

import pytest

from chaos.test_zoo import ZOO, words
from e2e.conftest import Kubectl, eventually

pytestmark = pytest.mark.cluster

TRIALS, SEED = int(os.environ.get("ZOO_TRIALS", "60")), os.environ.get("ZOO_SEED", "0")
STILL = 60 + 60
"""Seconds in which a trial ends, and the status tells of it, or a condition says why none does."""
OBJECTIVES: dict[str, Any] = {
    "habits": {"python": {"function": "habits:objective", "configMap": "zoo"}},
    "program": {"command": {"command": ["python3", "/zoo/program.py"]}},
}


@pytest.mark.timeout(300 + 8 * TRIALS)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_zoo(kubectl: Kubectl, name: str) -> None:
    kubectl(f"create configmap zoo --from-file={ZOO}/{name}.py --from-file={ZOO}/mishaps.py")
    kubectl.apply(json.dumps(manifest(name)))
    seen, since, longest = None, time.monotonic(), 0.0
    while (status := kubectl.status(name)).get("state") not in ("Complete", "Failed"):
        longest = max(longest, time.monotonic() - since)
        if seen != (seen := moved(status)):
            since = time.monotonic()
        assert time.monotonic() - since <= STILL or words(status), status
        time.sleep(2)
    print(f"{status['trials']}, longest standstill {longest:.0f} s")
    trials = status["trials"]
    assert status["state"] == "Complete", status["conditions"]
    assert (trials["complete"] + trials["pruned"], trials["running"], trials["waiting"]) == (TRIALS, 0, 0)
    assert trials["failed"] > 0
    eventually(lambda: no_worker_lives(kubectl))
    kubectl("delete tstudy --all")


def manifest(name: str) -> dict[str, Any]:
    limits = {"memory": "1Gi", "cpu": "1"}
    return {
        "apiVersion": "tuning.dev/v1alpha1",
        "kind": "TuningStudy",
        "metadata": {"name": name},
        "spec": {
            "metrics": [{"name": "loss", "direction": "Minimize"}],
            "parameters": [{"name": "x", "type": "Float", "min": 0, "max": 1}],
            "objective": OBJECTIVES[name],
            "strategy": {"sampler": {"type": "Random"}},
            "budget": {"trials": TRIALS, "failFast": 0, "failedTrials": 1_000_000, "trialDuration": "3s"},
            "workers": {
                "replicas": 4,
                "env": [{"name": "ZOO_SEED", "value": SEED}],
                "resources": {"limits": limits, "requests": {"cpu": "100m"}},
                "volumes": [{"name": "zoo", "configMap": {"name": "zoo"}}],
                "volumeMounts": [{"name": "zoo", "mountPath": "/zoo"}],
            },
        },
    }


def moved(status: dict[str, Any]) -> Any:
    """What changes when the study moves."""
    trials = status.get("trials", {})
    return {key: trials.get(key) for key in ("complete", "pruned", "failed")}


def no_worker_lives(kubectl: Kubectl) -> None:
    pods = kubectl.get("pods -l tuning.dev/role=worker")["items"]
    assert not [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] in ("Running", "Pending")]
