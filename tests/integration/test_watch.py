"""A model in production that gets worse is tuned again, once: real Prometheus, real Alertmanagers, real API server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris

from builders import real
from contract.servers import prometheus
from integration.harness import ControlPlane
from integration.monitoring import Alertmanager, Model, firing
from integration.operator_fixtures import TOKEN, Studies
from integration.services import Operator, Postgres, Service
from integration.studies import Study, quick_study

ACCURACY = {
    "name": "accuracy",
    "direction": "Maximize",
    "source": {"prometheus": {"query": "model_accuracy", "samples": "model_labelled_total", "window": "1s"}},
    "baseline": {"value": 0.9},
}
SECONDS_TO_THE_FIRST_TRIAL = 30  # a third of it, where nothing else keeps the machine busy
SECONDS_AWAY = 60  # of the exporter: longer than Alertmanager tries one delivery


def svm(name: str, data: str) -> dict[str, Any]:
    return quick_study(
        name,
        metrics=[{"name": "accuracy", "direction": "Maximize"}],
        parameters=[real("C", 1e-3, 1e3, scale="Log")],
        objective={"sklearn": {"steps": [{"class": "sklearn.svm.SVC"}], "dataset": {"load": data}}},
        budget={"trials": 2},
        production={"drift": {"window": "1ms", "minSamples": 50}},
    )


@pytest.fixture
def model() -> Iterator[Model]:
    with Model() as running:
        yield running


def watched_study(**retune: Any) -> dict[str, Any]:
    return quick_study("watched", production={"metrics": [ACCURACY]}, retune={"budget": {"trials": 3}} | retune)


def wait_for_rounds(study: Study, number: int) -> None:
    study.wait_until("Complete", round=number)
    assert [entry["round"] for entry in study.status["rounds"]] == list(range(1, number + 1))


def has_begun(status: dict[str, Any]) -> bool:
    trials = status["trials"]
    return bool(status["round"] == 2 and trials["running"] + trials["complete"])


def is_well(study: Study) -> None:
    study.wait_for_condition("Degraded", "False", "ModelWell")
    study.wait(lambda status: "episode" not in status["retune"], "with the episode over")


def test_a_metric_that_degrades_is_one_round_and_its_first_trial_comes_within_seconds(
    studies: Studies, operator: Operator, control_plane: ControlPlane, model: Model, tmp_path: Path
) -> None:
    with (
        prometheus(tmp_path, [model.address], interval="1s") as url,
        operator.configured(TUNING_PROMETHEUS_URL=url),
    ):
        study = studies(watched_study(triggers=["Degradation"]))
        study.wait_until("Complete")
        is_well(study)

        model.accuracy, fell = 0.8, time.monotonic()
        study.wait(has_begun, "with a trial of round 2")
        assert time.monotonic() - fell < SECONDS_TO_THE_FIRST_TRIAL

        wait_for_rounds(study, 2)
        assert study.condition("Degraded") == ("True", "ModelDegraded")
        assert "accuracy 0.8" in study.status["rounds"][1]["reason"]
        assert study.status["rounds"][1]["trigger"] == "Degradation"

        model.accuracy = 0.9  # the new parameters are in
        is_well(study)
        wait_for_rounds(study, 2)
    assert [reason for reason, _ in study.events].count("RetuneStarted") == 1


def test_the_data_of_a_round_are_what_production_is_compared_with(
    studies: Studies, exporter: Service, control_plane: ControlPlane
) -> None:
    study = studies(svm("iris", "iris"))
    study.wait_until("Complete")
    study.wait(lambda status: status["drift"]["message"] == "no feature has been sent", "with a reference")
    lengths = load_iris().data[:, 0].tolist()

    def send(values: list[float]) -> None:
        body = {"namespace": study.kube.namespace, "study": study.name, "features": {"0": values}}
        for _ in range(2):  # a window has a beginning and an end
            assert exporter.post("/observations", json.dumps(body).encode(), TOKEN) == (200, '{"stored": 1}')

    send(lengths)
    study.wait_for_condition("Drifted", "False", "DataSteady")
    send([length + 5 for length in lengths])
    study.wait_for_condition("Drifted", "True", "DataDrifted")
    assert study.status["drift"]["features"][0]["name"] == "0"


def test_alerts_are_one_round_whatever_fails_on_their_way(
    studies: Studies,
    operator: Operator,
    exporter: Service,
    postgres: Postgres,
    control_plane: ControlPlane,
    model: Model,
    tmp_path: Path,
) -> None:
    study = studies(quick_study("watched", retune={"triggers": ["Alert"], "budget": {"trials": 3}}))
    study.wait_until("Complete")
    rule = {
        "alert": "ModelIsBad",
        "expr": "model_accuracy < 0.85",
        "labels": {"namespace": study.kube.namespace, "study": "watched"},
        "annotations": {"summary": "accuracy is {{ $value }}"},
    }
    managers = [Alertmanager(control_plane, tmp_path, f"{exporter.url}/alerts", TOKEN) for _ in range(2)]
    for manager in managers:
        manager.start()
    try:
        (tmp_path / "rules.yaml").write_text(json.dumps({"groups": [{"name": "tests", "rules": [rule]}]}))
        addresses = [manager.address for manager in managers]
        with prometheus(tmp_path, [model.address], tmp_path / "rules.yaml", *addresses, interval="1s") as url:
            model.accuracy = 0.8
            study.wait(has_begun, "with a trial of round 2")
            exporter.stop()
            back = time.monotonic() + SECONDS_AWAY
            wait_for_rounds(study, 2)
            assert study.status["rounds"][1]["reason"] == "ModelIsBad: accuracy is 0.8"

            for manager in managers:  # what they have told is forgotten, and told anew
                manager.stop()
                manager.start()
            operator.kill()
            operator.start()
            study.kube.wait_for(lambda: firing(url), lambda alerts: len(alerts) == 1)
            for manager in managers:
                study.kube.wait_for(manager.active, lambda alerts: len(alerts) == 1)
                study.kube.wait_for(manager.failed_deliveries, lambda count: count > 0)
            study.kube.wait_for(time.monotonic, lambda now: now > back, SECONDS_AWAY, "end of the exporter's minute")
            [(moment,)] = postgres.query("SELECT now()")
            exporter.start()
            known = f"FROM tuning_admin.alerts WHERE study = '{study.resource['metadata']['uid']}'"
            told_again = f"SELECT resolved_at IS NULL AND seen_at > '{moment}' {known}"
            study.kube.wait_for(lambda: postgres.query(told_again), lambda rows: rows == [(True,)])

            model.accuracy = 0.9
            study.kube.wait_for(lambda: firing(url), lambda alerts: alerts == [])
            resolved = f"SELECT resolved_at IS NOT NULL {known}"
            study.kube.wait_for(lambda: postgres.query(resolved), lambda rows: rows == [(True,)])
            wait_for_rounds(study, 2)
    finally:
        for manager in managers:
            manager.stop()
    assert [reason for reason, _ in study.events].count("RetuneStarted") == 1
