"""A study that knows its model in production, on a cluster: told from inside and by the command, tuned anew once."""

import json
import subprocess
import sys
from typing import Any

import pytest

from e2e.conftest import SYSTEM, Kubectl

pytestmark = pytest.mark.cluster

STUDY = """
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {name: watched}
spec:
  metrics: [{name: accuracy, direction: Maximize}]
  parameters: [{name: C, type: Float, min: 0.01, max: 10, scale: Log}]
  objective: {sklearn: {steps: [{class: sklearn.svm.SVC}], dataset: {load: iris}}}
  budget: {trials: 4}
  verification: {top: 1, repeats: 2}
  production:
    metrics: [{name: accuracy, source: {push: {}}}]
  retune: {triggers: [Alert, Degradation], budget: {trials: 3}}
"""
POST = """
import json, sys, urllib.request
token = open("/etc/tuning/exporter/token").read().strip()
headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
request = urllib.request.Request("http://tuning-exporter:8080/alerts", sys.stdin.buffer.read(), headers)
print(urllib.request.urlopen(request, timeout=30).read().decode())
"""


@pytest.fixture
def study(kubectl: Kubectl) -> str:
    kubectl.apply(STUDY)
    kubectl.wait("watched", "Complete")
    return "watched"


def tuning(*arguments: str, namespace: str) -> None:
    subprocess.run([sys.executable, "-m", "tuning_cli.app", *arguments, "-n", namespace], check=True, timeout=60)


def rounds(kubectl: Kubectl) -> list[tuple[int, str]]:
    return [(entry["round"], entry["trigger"]) for entry in kubectl.status("watched")["rounds"]]


def wait_for_second_round(kubectl: Kubectl) -> dict[str, Any]:
    kubectl("wait tstudy watched --for=jsonpath={.status.round}=2 --timeout=60s")
    kubectl.wait("watched", "Complete")
    return kubectl.status("watched")


def test_an_alert_from_inside_the_cluster_is_one_round_with_its_job_and_events(
    kubectl: Kubectl, system: Kubectl, study: str
) -> None:
    labels = {"alertname": "DigitsTooManyComplaints", "namespace": kubectl.namespace, "study": study}
    alert = {"status": "firing", "labels": labels, "annotations": {"summary": "Users complain"}}
    body = json.dumps({"version": "4", "alerts": [alert] * 3})
    for _ in range(3):
        told = json.loads(system(f"exec -i deploy/tuning-exporter -n {SYSTEM} -- python -c '{POST}'", body))
        assert told["stored"] == [f"{kubectl.namespace}/watched"]

    status = wait_for_second_round(kubectl)
    assert rounds(kubectl) == [(1, "Created"), (2, "Alert")]
    assert status["rounds"][1]["reason"] == "DigitsTooManyComplaints: Users complain"
    assert status["rounds"][1]["outcome"] in ("Improved", "NoBetter")
    assert kubectl.get("job watched-r2")["metadata"]["labels"]["tuning.dev/round"] == "2"
    told = [message for reason, message in kubectl.events("watched") if reason == "RetuneStarted"]
    assert told == ["Alert: DigitsTooManyComplaints: Users complain"]


def test_a_model_that_is_told_to_be_worse_is_tuned_anew_unless_it_is_frozen(kubectl: Kubectl, study: str) -> None:
    tuning("freeze", study, "--until", "1h", namespace=kubectl.namespace)
    tuning("observe", study, "accuracy=0.7", "--samples", "1000", namespace=kubectl.namespace)
    kubectl("wait tstudy watched --for=condition=Degraded --timeout=60s")
    kubectl("wait tstudy watched --for=jsonpath={.status.retune.episode.waitsFor}=Frozen --timeout=60s")
    assert rounds(kubectl) == [(1, "Created")]

    tuning("unfreeze", study, namespace=kubectl.namespace)
    wait_for_second_round(kubectl)
    assert rounds(kubectl) == [(1, "Created"), (2, "Degradation")]
    assert kubectl.condition("watched", "Degraded")["status"] == "True"
