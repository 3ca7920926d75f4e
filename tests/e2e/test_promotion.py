"""Verified parameters go to a small model service on a cluster and back, while it is asked fifty times a second."""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from e2e.conftest import Kubectl, eventually, install
from e2e.serving import asked, pod, serving, watching

pytestmark = pytest.mark.cluster

STUDY = """
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {name: flowers}
spec:
  metrics: [{name: accuracy, direction: Maximize}]
  parameters: [{name: C, type: Float, min: 0.1, max: 1, scale: Log}]
  objective: {sklearn: {steps: [{class: sklearn.svm.SVC}], dataset: {load: iris}}}
  budget: {trials: 4}
  verification: {top: 1, repeats: 2}
  promotion: {mode: Automatic, target: {deployment: {name: flowers-api}}}
"""


def settled(kubectl: Kubectl, state: str) -> None:
    assert kubectl.status("flowers")["promotion"]["state"] == state


def answers_with(kubectl: Kubectl, value: float) -> None:
    assert asked(kubectl)["last"][0] == value


def parameter(kubectl: Kubectl) -> float:
    return float(kubectl.get("configmap flowers-params-stable")["data"]["TUNING_PARAM_C"])


def tuning(*arguments: str, namespace: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-m", "tuning_cli.app", *arguments, "-n", namespace],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.fixture
def allowed(system: Kubectl) -> Iterator[None]:
    install("promotion.targets={deployments}")
    yield
    install()


@pytest.mark.usefixtures("allowed")
def test_parameters_go_to_production_and_back_and_no_request_fails(kubectl: Kubectl) -> None:
    kubectl.apply(STUDY)
    kubectl.wait("flowers", "Complete")
    eventually(lambda: settled(kubectl, "Held"))
    assert "TargetMissing" in kubectl.condition("flowers", "Promoted")["message"]
    image = kubectl.get("job flowers-r1")["spec"]["template"]["spec"]["containers"][0]["image"]
    serving(kubectl, image)
    eventually(lambda: asked(kubectl))
    kubectl("label deployment flowers-api tuning.dev/promotable=true")
    eventually(lambda: settled(kubectl, "Stable"), 120)
    first = parameter(kubectl)
    eventually(lambda: answers_with(kubectl, first))

    check = pod(image, "import os; assert float(os.environ['TUNING_PARAM_C']) >= 5")
    staging = {"spec": {"promotion": {"staging": {"job": {"template": {"spec": check}}}}}}
    kubectl(f"patch tstudy flowers --type=merge -p {shlex.quote(json.dumps(staging))}")
    kubectl("""patch tstudy flowers --type=json -p '[{"op": "replace", "path": "/spec/parameters/0/min", "value": 5},
        {"op": "replace", "path": "/spec/parameters/0/max", "value": 6}]'""")
    eventually(lambda: settled(kubectl, "Gated"), 120)
    assert "Better: a changed manifest began the round" in kubectl.condition("flowers", "Promoted")["message"]
    told = tuning("promote", "flowers", "--reason", "a new range", namespace=kubectl.namespace)
    assert "is in production, before it was flowers-params-r1-" in told
    second = parameter(kubectl)
    assert second >= 5

    assert "is in production again" in tuning("rollback", "flowers", "--reason", "no", namespace=kubectl.namespace)
    assert parameter(kubectl) == first
    ended = asked(kubectl)
    assert ended["failures"] == [] and ended["rate"] >= 40, ended

    lines = json.loads(tuning("history", "flowers", "-o", "json", namespace=kubectl.namespace))
    kinds = [line["kind"] for line in lines]
    assert kinds.count("Staging") == 1
    [job] = kubectl.get("jobs -l tuning.dev/role=staging")["items"]
    assert job["status"]["succeeded"] == 1
    assert [kind for kind in kinds if kind in ("Promoted", "RolledBack")] == ["Promoted", "Promoted", "RolledBack"]
    assert any("a new range" in line["actor"] for line in lines)
    promoted = [datetime.fromisoformat(line["time"]) for line in lines if line["kind"] == "Promoted"]
    before = (promoted[1] - timedelta(seconds=1)).astimezone().strftime("%Y-%m-%dT%H:%M:%S")
    then = tuning("history", "flowers", "--at", before, "-o", "json", namespace=kubectl.namespace)
    assert json.loads(then)["parameters"]["C"] == first
    assert "nothing is recorded yet" in tuning("history", "nobody", namespace=kubectl.namespace)


CANARY = """
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {name: flowers}
spec:
  metrics: [{name: accuracy, direction: Maximize}]
  parameters: [{name: gamma, type: Float, min: 0.1, max: 1}]
  objective: {sklearn: {steps: [{class: sklearn.svm.SVC}], dataset: {load: iris}}}
  budget: {trials: 3}
  verification: {top: 1, repeats: 2}
  promotion:
    mode: Automatic
    target: {deployment: {name: flowers-api}}
    canary:
      metrics:
      - name: wrong
        bad: sum(predictions_total{right="false", {{variant}}})
        total: sum(predictions_total{ {{variant}} })
        margin: 0.15
      for: 40s
"""


def gammas(kubectl: Kubectl, least: float, most: float) -> None:
    """Another range, and with it another round."""
    kubectl(f"""patch tstudy flowers --type=json -p '[{{"op": "replace", "path": "/spec/parameters/0/min",
        "value": {least}}}, {{"op": "replace", "path": "/spec/parameters/0/max", "value": {most}}}]'""")
    eventually(lambda: settled(kubectl, "Gated"), 120)


def stands_beside(kubectl: Kubectl) -> None:
    assert len(kubectl.get("deployments -l tuning.dev/canary")["items"]) == 1
    assert kubectl.status("flowers")["promotion"]["canary"]["evidence"][0]["samples"] > 0


def test_a_canary_that_answers_worse_is_rolled_back_and_one_that_does_not_is_promoted(
    kubectl: Kubectl, system: Kubectl
) -> None:
    url = watching(kubectl)
    install("promotion.targets={deployments}", "promotion.canary=true", f"prometheus.url={url}")
    try:
        kubectl.apply(CANARY)
        kubectl.wait("flowers", "Complete")
        image = kubectl.get("job flowers-r1")["spec"]["template"]["spec"]["containers"][0]["image"]
        serving(kubectl, image)
        kubectl("label deployment flowers-api tuning.dev/promotable=true")
        eventually(lambda: settled(kubectl, "Stable"), 120)
        first = kubectl.get("configmap flowers-params-stable")["data"]

        gammas(kubectl, 50, 100)  # a model that knows its own flowers by heart, and no others
        kubectl("annotate tstudy flowers tuning.dev/promote=harmful")
        eventually(lambda: stands_beside(kubectl))
        eventually(lambda: settled(kubectl, "RolledBack"))
        promotion = kubectl.status("flowers")["promotion"]
        assert "wrong: the canary is worse than stable" in promotion["message"]
        assert promotion["canary"]["evidence"][0]["effect"] > 0.2
        assert kubectl.get("configmap flowers-params-stable")["data"] == first
        eventually(lambda: alone(kubectl))

        gammas(kubectl, 0.3, 0.4)
        told = tuning("promote", "flowers", "--reason", "another range", namespace=kubectl.namespace)
        assert "is in production, before it was flowers-params-r1-" in told
        gamma = float(kubectl.get("configmap flowers-params-stable")["data"]["TUNING_PARAM_GAMMA"])
        eventually(lambda: predicts_with(kubectl, gamma))
        eventually(lambda: alone(kubectl))
        ended = asked(kubectl)
        assert ended["failures"] == [] and ended["rate"] >= 40, ended
        kinds = [
            line["kind"] for line in json.loads(tuning("history", "flowers", "-o", "json", namespace=kubectl.namespace))
        ]
        judged = [kind for kind in kinds if kind in ("Promoted", "Canary", "CanaryHarmed", "CanaryPassed")]
        assert judged == ["Promoted", "Canary", "CanaryHarmed", "Canary", "CanaryPassed", "Promoted"]
    finally:
        install()


def alone(kubectl: Kubectl) -> None:
    assert kubectl.get("deployments -l tuning.dev/canary")["items"] == []


def predicts_with(kubectl: Kubectl, gamma: float) -> None:
    assert asked(kubectl)["last"][1] == gamma
