"""A canary of a service without metrics: its pods count their own requests, and send what they counted to the exporter.
Real API server, real Deployments, real PostgreSQL, no Prometheus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from integration.operator_fixtures import TOKEN, Studies
from integration.services import Service
from integration.serving import deployed, parameter, promoting_study
from integration.studies import Study

HARMFUL = "0.8"
_POD = """
import json, os, random, time, urllib.request

bad = total = 0
share = 0.5 if os.environ["TUNING_PARAM_X"] == os.environ["BAD"] else 0.05
while True:
    total += 20
    bad += sum(random.random() < share for _ in range(20))
    document = {
        "namespace": os.environ["NAMESPACE"],
        "study": os.environ["STUDY"],
        "parameters": os.environ["TUNING_PARAMETERS_NAME"],
        "sender": os.environ["HOSTNAME"],
        "counts": {"complaints": {"bad": bad, "total": total}},
    }
    headers = {"Authorization": "Bearer " + os.environ["TOKEN"], "Content-Type": "application/json"}
    request = urllib.request.Request(os.environ["EXPORTER"] + "/counts", json.dumps(document).encode(), headers)
    urllib.request.urlopen(request, timeout=10).close()
    time.sleep(0.3)
"""


def service(study: str, exporter: Service) -> dict[str, Any]:
    """Half of its requests are bad with the harmful parameters, one in twenty with others."""
    given = {"STUDY": study, "BAD": HARMFUL, "TOKEN": TOKEN, "EXPORTER": exporter.url}
    container = {
        "name": "main",
        "image": "api:test",
        "command": ["python", "-c", _POD],
        "envFrom": [{"configMapRef": {"name": f"{study}-params-stable"}}],
        "env": [
            *({"name": name, "value": value} for name, value in given.items()),
            {"name": "NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        ],
    }
    return deployed("api", container)


def counted(optimum: Path) -> dict[str, Any]:
    canary = {"metrics": [{"name": "complaints", "push": {}, "margin": 0.2}], "minSamples": 20, "for": "60s"}
    target = {"deployment": {"name": "api"}}
    return promoting_study("counted", optimum, [0.2, 0.8], promotion={"target": target, "canary": canary})


def serves(study: Study, x: str) -> bool:
    promotion = study.status.get("promotion", {})
    return promotion.get("state") == "Stable" and promotion.get("stable") is not None and parameter(study) == x


@pytest.mark.usefixtures("operator", "promotion_rights")
def test_requests_that_pods_count_themselves_roll_a_canary_back(
    studies: Studies, exporter: Service, tmp_path: Path
) -> None:
    optimum = tmp_path / "optimum"
    optimum.write_text("0.2")
    study = studies(counted(optimum))
    study.kube.apply(service(study.name, exporter))
    study.wait(lambda _: serves(study, "0.2"), "with 0.2 in production", 60)

    optimum.write_text(HARMFUL)
    study.ask_for_a_round("better on paper")
    study.wait(lambda status: status["promotion"]["state"] == "RolledBack", "rolled back", 120)

    [taken] = study.status["promotion"]["rolledBack"]
    assert "complaints: the canary is worse than stable" in taken["reason"]
    assert parameter(study) == "0.2"
