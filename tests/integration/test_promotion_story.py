"""The life of a model's parameters, from the first round over a canary that harms to the round that is promoted: real
API server, real Prometheus and Alertmanager, real Deployments, and an operator that is killed at every step."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any, Self

from contract.servers import prometheus
from integration.harness import ControlPlane, Kube
from integration.monitoring import Alertmanager, Model
from integration.operator_fixtures import TOKEN, Studies
from integration.services import Operator, Service
from integration.serving import Load, deployment, in_production, promoting_study, serves
from integration.studies import Study

HARMFUL = "0.8"
CANARY = {
    "metrics": [
        {
            "name": "errors",
            "bad": 'sum(requests_total{code="500", {{variant}}})',
            "total": "sum(requests_total{ {{variant}} })",
            "margin": 0.2,
        }
    ],
    "minSamples": 20,
    "for": "12s",
}


class Killer:
    """Ends the operator as soon as it has written another step of the promotion, and starts it again. A context
    manager."""

    def __init__(self, study: Study, operator: Operator) -> None:
        self.kills = 0
        self._study, self._operator, self._over = study, operator, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        known = 0
        while not self._over.wait(0.05):
            steps = self._study.status.get("promotion", {}).get("steps", 0)
            if steps != known:
                known, self.kills = steps, self.kills + 1
                self._operator.kill()
                self._operator.start()


def story(optimum: Path) -> dict[str, Any]:
    check = {"name": "check", "image": "check:1", "command": ["sh", "-c", 'test "$TUNING_PARAM_X" != 0']}
    return promoting_study(
        "model",
        optimum,
        [0.2, 0.5, 0.8],
        retune={"triggers": ["Alert"], "cooldown": "0s", "budget": {"trials": 4}},
        promotion={
            "staging": {"job": {"template": {"spec": {"containers": [check]}}}},
            "target": {"deployment": {"name": "api"}},
            "canary": CANARY,
        },
    )


def test_from_the_first_round_over_a_canary_that_harms_to_a_round_that_is_promoted(
    studies: Studies,
    operator: Operator,
    exporter: Service,
    control_plane: ControlPlane,
    kube: Kube,
    promotion_rights: None,
    tmp_path: Path,
) -> None:
    found, optimum = tmp_path / "found", tmp_path / "optimum"
    found.mkdir()
    optimum.write_text("0.2")
    kube.apply(deployment("api", "model", found, bad=HARMFUL))
    rule = {
        "alert": "ModelIsBad",
        "expr": "model_accuracy < 0.85",
        "labels": {"namespace": kube.namespace, "study": "model"},
    }
    manager = Alertmanager(control_plane, tmp_path, f"{exporter.url}/alerts", TOKEN)
    (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "tests", "rules": [rule]}]}))
    with (
        manager,
        Model() as model,
        prometheus(
            tmp_path, [model.address], tmp_path / "rules.yaml", manager.address, interval="500ms", discovered=found
        ) as url,
        operator.configured(TUNING_PROMETHEUS_URL=url),
        Load(found) as load,
    ):
        study = studies(story(optimum))
        with Killer(study, operator) as killer:
            in_production(study, "0.2", load)

            optimum.write_text("0.5")  # the second round is better, and its canary shows no harm
            study.ask_for_a_round("better data")
            in_production(study, "0.5", load)

            optimum.write_text(HARMFUL)  # production falls: the third is better on paper, and harms
            model.accuracy = 0.8
            study.wait(lambda status: status["round"] == 3, "in round 3", 60)
            model.accuracy = 0.9
            study.wait(lambda status: status["promotion"]["state"] == "RolledBack", "rolled back", 120)
            [taken] = study.status["promotion"]["rolledBack"]
            assert "the canary is worse than stable" in taken["reason"]
            serves(study, "0.5", load)

            optimum.write_text("0.2")
            study.ask_for_a_round("once more")
            in_production(study, "0.2", load)
            assert study.status["round"] == 4
    assert killer.kills > 10
    told = [reason for reason, _ in study.events]
    canary = ["Staging", "Canary", "CanaryPassed", "Promoting", "Promoted"]
    steps = [*canary, "CanaryHarmed", "RolledBack", "ParametersVerified"]
    assert [reason for reason in told if reason in steps] == [
        *("ParametersVerified", "Staging", "Promoting", "Promoted"),
        *("ParametersVerified", *canary),
        *("ParametersVerified", "Staging", "Canary", "CanaryHarmed"),
        *("ParametersVerified", *canary),
    ]
    assert study.status["rounds"][2]["trigger"] == "Alert"
    assert [one["metadata"]["name"] for one in kube.list("Deployment")] == ["api"]
