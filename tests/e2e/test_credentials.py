"""A new password while workers run: the kubelet brings it to their files, and nothing is lost on the way."""

import base64
import json
import sys

import pytest
from sqlalchemy.engine import make_url

from e2e.conftest import Kubectl, eventually, run

pytestmark = pytest.mark.cluster

STUDY = """
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {name: rotated}
spec:
  metrics: [{name: loss, direction: Minimize}]
  parameters: [{name: x, type: Float, min: 0, max: 1}]
  objective: {command: {command: [sh, -c], args: ["sleep 0.5; echo loss={x}"]}}
  budget: {trials: 1000}
  workers: {replicas: 2}
"""
WORKERS = "tuning.dev/study=rotated,tuning.dev/role=worker"


def test_a_password_changes_while_a_study_runs(system: Kubectl, kubectl: Kubectl) -> None:
    kubectl.apply(STUDY)
    eventually(lambda: _more_are_done(kubectl, than=0))
    old = _url(kubectl, "tuning-store")

    said = run([sys.executable, "-m", "tuning_cli.app", "rotate-credentials", "-n", kubectl.namespace])

    assert said == f"{kubectl.namespace}: a new password is in its Secret\n"
    assert "password authentication failed" in system.fails(_psql(old, "SELECT 1"))
    assert system(_psql(_url(kubectl, "tuning-store"), "SELECT 1")) == "1\n"

    # Sessions that are open stay open. They end here, as after a leak, so that every worker has to log in again.
    theirs = f"FROM pg_stat_activity WHERE usename = '{make_url(old).username}'"
    sessions = system(_psql(_url(system, "tuning-postgresql"), f"SELECT pg_terminate_backend(pid) {theirs}"))
    assert sessions.split().count("t") >= 2
    kubectl.refresh(WORKERS)

    used = kubectl.status("rotated")["trials"]["complete"]
    eventually(lambda: _more_are_done(kubectl, than=used))
    budget = kubectl.status("rotated")["trials"]["complete"] + 20
    kubectl(f"patch tstudy rotated --type merge -p '{json.dumps({'spec': {'budget': {'trials': budget}}})}'")
    kubectl.wait("rotated", "Complete")
    assert kubectl.status("rotated")["trials"]["complete"] == budget
    assert kubectl.status("rotated")["workers"]["failed"] == 0
    log = kubectl(f"logs -l {WORKERS} --tail=-1").splitlines()
    ended = [json.loads(line)["trial"] for line in log if "trial ended" in line]
    assert sorted(ended) == [*range(budget)]  # none is missing, and none ran twice


def _more_are_done(kubectl: Kubectl, than: int) -> None:
    assert kubectl.status("rotated")["trials"]["complete"] > than


def _url(kubectl: Kubectl, secret: str) -> str:
    return base64.b64decode(kubectl.get(f"secret {secret}")["data"]["url"]).decode()


def _psql(url: str, statement: str) -> str:
    return f'exec tuning-postgresql-0 -- psql {url} -Atc "{statement}"'
