"""Verified parameters go to a small model service on a cluster and back, while it is asked fifty times a second."""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from e2e.conftest import Kubectl, eventually, install

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
SERVICE = """
import json, os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from sklearn.datasets import load_iris
from sklearn.svm import SVC

C = float(os.environ.get("TUNING_PARAM_C", "0.01"))
model = SVC(C=C).fit(*load_iris(return_X_y=True))

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        answer = json.dumps({"C": C, "species": int(model.predict([[5.1, 3.5, 1.4, 0.2]])[0])}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass

ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
LOAD = """
import collections, itertools, json, time, urllib.request

told = collections.Counter()
began = time.monotonic()
for number in itertools.count(1):
    try:
        answer = json.load(urllib.request.urlopen("http://flowers-api:8080/", timeout=5))
        told["answered"] += 1
        last = answer["C"]
    except Exception as error:
        told["failed"] += 1
        print(f"failed: {error!r}", flush=True)
    if number % 25 == 0:
        rate = number / (time.monotonic() - began)
        print(json.dumps({**told, "last": last, "rate": round(rate)}), flush=True)
    time.sleep(max(0.0, began + number / 50 - time.monotonic()))
"""
SECURITY = {
    "runAsNonRoot": True,
    "runAsUser": 10001,
    "seccompProfile": {"type": "RuntimeDefault"},
}
CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def pod(image: str, program: str, **more: object) -> dict[str, object]:
    container = {"name": "main", "image": image, "command": ["python", "-c", program], "securityContext": CONTAINER}
    return {"securityContext": SECURITY, "containers": [container | more]}


def serving(kubectl: Kubectl, image: str) -> None:
    """The service: two pods that train their model when they start, and one that asks them all the time."""
    serve = pod(
        image,
        SERVICE,
        envFrom=[{"configMapRef": {"name": "flowers-params-stable", "optional": True}}],
        readinessProbe={"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        lifecycle={"preStop": {"sleep": {"seconds": 3}}},
    )
    labels = {"app": "flowers-api"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "flowers-api"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels}, "spec": serve},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "flowers-api"},
        "spec": {"selector": labels, "ports": [{"port": 8080}]},
    }
    asks = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "load"}, "spec": pod(image, LOAD)}
    for body in (deployment, service):
        kubectl.apply(json.dumps(body))
    kubectl("rollout status deployment/flowers-api --timeout=120s")
    kubectl.apply(json.dumps(asks))


def asked(kubectl: Kubectl) -> dict[str, float]:
    """What the one that asks has told last."""
    told: dict[str, float] = json.loads([line for line in kubectl("logs load").splitlines() if line[0] == "{"][-1])
    return told


def settled(kubectl: Kubectl, state: str) -> None:
    assert kubectl.status("flowers")["promotion"]["state"] == state


def answers_with(kubectl: Kubectl, value: float) -> None:
    assert asked(kubectl)["last"] == value


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
    assert ended.get("failed", 0) == 0 and ended["rate"] >= 40, ended

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
