"""The exporter as Prometheus and Alertmanager meet it: what it tells of studies, and what it asks of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from integration.harness import Kube
from integration.operator_fixtures import TOKEN, Studies
from integration.services import Postgres, Service
from integration.studies import quick_study, shell


def webhook(status: str = "firing", **labels: str) -> bytes:
    """What Alertmanager posts."""
    alert: dict[str, Any] = {
        "status": status,
        "labels": {"alertname": "ModelIsBad", **labels},
        "annotations": {"summary": "accuracy is 0.71"},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "a1b2c3d4",
    }
    group = {"receiver": "tuning", "status": status, "groupKey": "{}", "truncatedAlerts": 0, "externalURL": ""}
    return json.dumps({"version": "4", **group, "alerts": [alert]}).encode()


# --- /metrics


def test_what_prometheus_reads_of_a_finished_study(studies: Studies, exporter: Service, kube: Kube) -> None:
    study = studies(quick_study("told", objective=shell("[ $TUNING_TRIAL != 1 ] && echo loss={x}")))
    status = study.wait_until("Complete")
    labels = {"namespace": kube.namespace, "study": "told"}

    told = kube.wait_for(
        lambda: exporter.metrics(**labels), lambda told: told["tuning_study_state", "state=Complete"] == 1
    )

    assert sum(value for (name, _), value in told.items() if name == "tuning_study_state") == 1
    assert told["tuning_study_round", ""] == 1
    assert told["tuning_study_trials_target", ""] == 6
    states = {"complete": 6, "pruned": 0, "failed": 1, "running": 0, "waiting": 0}
    assert {state: told["tuning_study_trials", f"state={state}"] for state in states} == states
    assert told["tuning_study_best_value", "metric=loss"] == status["best"]["metrics"][0]["value"]
    assert told["tuning_trial_duration_seconds_count", ""] == 7
    assert 0 < told["tuning_trial_duration_seconds_sum", ""] < 30
    finished = [value for (name, rest), value in told.items() if name == "tuning_worker_trials" and "complete" in rest]
    assert sum(finished) == 6
    assert any(name == "tuning_study_info" for name, _ in told)
    assert exporter.metrics()["tuning_store_up", ""] == 1


def test_a_store_that_is_away_is_told_and_the_last_values_stay(
    studies: Studies, exporter: Service, kube: Kube, postgres: Postgres
) -> None:
    studies(quick_study("told")).wait_until("Complete")
    labels = {"namespace": kube.namespace, "study": "told"}
    complete = ("tuning_study_trials", "state=complete")
    kube.wait_for(lambda: exporter.metrics(**labels), lambda told: told[complete] == 6)

    postgres.stop()
    kube.wait_for(exporter.metrics, lambda told: told["tuning_store_up", ""] == 0)
    assert exporter.metrics(**labels)[complete] == 6
    assert exporter.get("/healthz")[0] == 200

    postgres.start()
    kube.wait_for(exporter.metrics, lambda told: told["tuning_store_up", ""] == 1)


# --- /alerts


@pytest.mark.parametrize("token", [None, "", "another", TOKEN[:-1]])
def test_alerts_need_the_token(exporter: Service, token: str | None) -> None:
    code, text = exporter.post("/alerts", webhook(), token)
    assert code == 401
    assert "Authorization: Bearer" in text


@pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'{"version": "3", "alerts": []}', b'{"version": "4"}'])
def test_garbage_is_refused_with_what_is_wrong(exporter: Service, body: bytes) -> None:
    code, text = exporter.post("/alerts", body, TOKEN)
    assert code == 400
    assert json.loads(text)["problems"]


def test_an_alert_that_can_start_nothing_says_why(exporter: Service, namespace: str) -> None:
    def answer(body: bytes) -> tuple[int, Any]:
        code, text = exporter.post("/alerts", body, TOKEN)
        return code, json.loads(text)["ignored"]

    # Alertmanager would repeat for ever what is not answered by 2xx.
    absent = webhook(namespace=namespace, study="absent")
    assert answer(absent) == (200, [f"{namespace}/absent: there is no such study"])
    assert answer(webhook()) == (200, ["ModelIsBad: no labels `namespace` and `study`; add them to the rule"])


def test_a_firing_alert_starts_one_round_however_often_it_is_told(studies: Studies, exporter: Service) -> None:
    study = studies(quick_study(retune={"triggers": ["Alert"], "budget": {"trials": 3}}))
    study.wait_until("Complete")
    alert = webhook(namespace=study.kube.namespace, study=study.name)

    code, text = exporter.post("/alerts", alert, TOKEN)
    assert (code, json.loads(text)["stored"]) == (200, [f"{study.kube.namespace}/{study.name}"])
    status = study.wait_until("Complete", round=2)
    assert status["trials"]["summary"] == "3/3"
    assert status["retune"]["reason"] == "ModelIsBad: accuracy is 0.71"
    study.wait_for_event("RetuneStarted", "Alert: ModelIsBad: accuracy is 0.71")

    assert exporter.post("/alerts", alert, TOKEN)[0] == 200
    study.change(suspend=False, budget={"trials": 7})  # any change is a look
    study.wait(lambda status: status["observedGeneration"] == 2, "after another look")
    assert (study.status["round"], study.status["retune"]["suppressed"]) == (2, 0)
    assert [reason for reason, _ in study.events].count("RetuneStarted") == 1
