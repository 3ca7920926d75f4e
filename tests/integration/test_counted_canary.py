"""A canary of a service without metrics: its pods count their own requests, and send what they counted to the exporter.
Real API server, real Deployments, real PostgreSQL, no Prometheus."""

from __future__ import annotations

from typing import Any

import pytest

from integration.operator_fixtures import TOKEN, Studies
from integration.services import Service
from integration.studies import Study, quick_study, shell

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
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "labels": {"tuning.dev/promotable": "true"}},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "api"}},
            "template": {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": [container]}},
        },
    }


def promoting_study(optimum: str) -> dict[str, Any]:
    """The best x is the one that the file names."""
    score = f"awk -v x={{x}} -v b=$(cat {optimum}) 'BEGIN{{d = x - b; print \"accuracy=\" 1 - (d < 0 ? -d : d)}}'"
    return quick_study(
        "counted",
        metrics=[{"name": "accuracy", "direction": "Maximize"}],
        parameters=[{"name": "x", "type": "Categorical", "values": [0.2, 0.8]}],
        objective=shell(score),
        strategy={"sampler": {"type": "Grid"}},
        budget={"trials": 2},
        verification={"top": 1, "repeats": 3},
        retune={"cooldown": "0s"},
        promotion={
            "mode": "Automatic",
            "gates": {"minImprovement": 0.1},
            "target": {"deployment": {"name": "api"}},
            "canary": {
                "metrics": [{"name": "complaints", "push": {}, "margin": 0.2}],
                "minSamples": 20,
                "for": "60s",
            },
        },
    )


def serves(study: Study, x: str) -> bool:
    promotion = study.status.get("promotion", {})
    return promotion.get("state") == "Stable" and promotion.get("stable") is not None and parameter(study) == x


def parameter(study: Study) -> str:
    value: str = study.kube.get("ConfigMap", f"{study.name}-params-stable")["data"]["TUNING_PARAM_X"]
    return value


@pytest.mark.usefixtures("operator", "promotion_rights")
def test_requests_that_pods_count_themselves_roll_a_canary_back(
    studies: Studies, exporter: Service, tmp_path: Any
) -> None:
    optimum = tmp_path / "optimum"
    optimum.write_text("0.2")
    study = studies(promoting_study(str(optimum)))
    study.kube.apply(service(study.name, exporter))
    study.wait(lambda _: serves(study, "0.2"), "with 0.2 in production", 60)

    optimum.write_text(HARMFUL)
    study.ask_for_a_round("better on paper")
    study.wait(lambda status: status["promotion"]["state"] == "RolledBack", "rolled back", 120)

    [taken] = study.status["promotion"]["rolledBack"]
    assert "complaints: the canary is worse than stable" in taken["reason"]
    assert parameter(study) == "0.2"
