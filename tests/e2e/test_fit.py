"""A model of a cluster's study, fitted in the cluster and written to a volume."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.conftest import Kubectl, eventually

pytestmark = pytest.mark.cluster

OBJECTS = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: models}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 64Mi}}}
---
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {name: flowers}
spec:
  metrics: [{name: accuracy, direction: Maximize}]
  parameters: [{name: C, type: Float, min: 0.01, max: 10, scale: Log}]
  objective: {sklearn: {steps: [{class: sklearn.svm.SVC}], dataset: {load: iris}}}
  budget: {trials: 4}
"""
HANDOVER = """
apiVersion: v1
kind: Pod
metadata: {name: handover}
spec:
  restartPolicy: Never
  securityContext: {runAsUser: 0}
  volumes: [{name: models, persistentVolumeClaim: {claimName: models}}]
  containers:
    - {name: handover, image: %s, command: [chmod, "0777", /models], volumeMounts: [{name: models, mountPath: /models}]}
"""
READER = """
apiVersion: v1
kind: Pod
metadata: {name: reader}
spec:
  restartPolicy: Never
  securityContext: {runAsNonRoot: true, runAsUser: 10001, fsGroup: 10001, seccompProfile: {type: RuntimeDefault}}
  volumes: [{name: models, persistentVolumeClaim: {claimName: models}}]
  containers:
    - name: reader
      image: %s
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
      volumeMounts: [{name: models, mountPath: /models}]
      command: [python, -c]
      args: ["import joblib; print(joblib.load('/models/best.joblib').predict([[5.1, 3.5, 1.4, 0.2]]))"]
"""


def ended(kubectl: Kubectl, pod: str) -> None:
    assert kubectl.get(f"pod {pod}")["status"]["phase"] in ("Succeeded", "Failed")


def hand_over(kubectl: Kubectl, image: str) -> None:
    """Volumes of some clusters are folders of root, whatever a pod's fsGroup says."""
    level = f"label namespace {kubectl.namespace} --overwrite pod-security.kubernetes.io/enforce"
    kubectl(f"{level}=privileged")
    kubectl.apply(HANDOVER % image)
    eventually(lambda: ended(kubectl, "handover"))
    kubectl(f"{level}=restricted")


def test_a_model_is_fitted_where_the_data_are(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl.apply(OBJECTS)
    kubectl.wait("flowers", "Complete")
    image = kubectl.get("job flowers-r1")["spec"]["template"]["spec"]["containers"][0]["image"]
    hand_over(kubectl, image)
    to = ["--to", "pvc://models/best.joblib"]
    fit = [sys.executable, "-m", "tuning_cli.app", "fit", "flowers", "-n", kubectl.namespace, *to]
    ran = subprocess.run(fit, cwd=tmp_path, capture_output=True, text=True, timeout=180)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "pvc://models/best.joblib: described in best.md\n"
    assert "fitted on all 150 rows and 4 columns" in (tmp_path / "best.md").read_text()

    kubectl.apply(READER % image)
    eventually(lambda: ended(kubectl, "reader"))
    assert kubectl("logs reader") == "[0]\n"
    assert json.loads(kubectl("get tstudy flowers -o json"))["status"]["state"] == "Complete"
