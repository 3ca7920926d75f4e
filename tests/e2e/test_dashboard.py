"""The chart's dashboard: who is let in, and what it shows of every namespace."""

import base64
import json
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.conftest import SYSTEM, Kubectl, eventually, install

pytestmark = pytest.mark.cluster

STUDY = """
apiVersion: tuning.dev/v1alpha1
kind: TuningStudy
metadata: {name: shown}
spec:
  metrics: [{name: loss, direction: Minimize}]
  parameters: [{name: x, type: Float, min: 0, max: 1}]
  objective: {command: {command: [sh, -c], args: ["echo loss={x}"]}}
  budget: {trials: 4}
  retune: {triggers: [Alert]}
"""


@pytest.fixture
def address(system: Kubectl) -> Iterator[str]:
    """Where the dashboard answers on this machine."""
    install("dashboard.enabled=true")
    command = ["kubectl", "-n", SYSTEM, "port-forward", "svc/tuning-dashboard", ":8080"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
        assert forward.stdout is not None
        found = re.match(r"Forwarding from 127\.0\.0\.1:(\d+)", forward.stdout.readline())
        assert found is not None
        yield f"http://127.0.0.1:{found[1]}"
        forward.terminate()
    install()


def get(address: str, token: str) -> Any:
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_studies_of_every_namespace_are_shown_to_who_has_the_token(
    system: Kubectl, kubectl: Kubectl, address: str
) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        get(f"{address}/api/studies", "guessed")
    token = base64.b64decode(system.get("secret tuning-dashboard-token")["data"]["token"]).decode()
    kubectl.apply(STUDY)
    kubectl.wait("shown", "Complete")

    def row() -> Any:
        rows = get(f"{address}/api/studies", token)["studies"]
        (found,) = [row for row in rows if row["namespace"] == kubectl.namespace]
        assert found["state"] == "Complete"
        return found

    found = eventually(row)
    assert found["counts"]["complete"] == 4
    told = get(f"{address}/api/study?name={found['study']}", token)
    assert told["document"]["head"]["name"] == "shown"
    (watched,) = [row for row in get(f"{address}/api/fleet", token)["studies"] if row["namespace"] == kubectl.namespace]
    assert (watched["name"], watched["state"]) == ("shown", "Complete")
    history = get(f"{address}/api/fleet/over-time?place={kubectl.namespace}/shown", token)
    assert history == {"metrics": {}, "drift": []}
