"""Alertmanager's webhook as requests for new rounds."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from tuning_exporter.alerts import RetuneRequest, Webhook, requests
from tuning_operator.retune import parse_request

LABELS = {"alertname": "TuningModelDegraded", "namespace": "team", "study": "digits"}


def alert(**fields: Any) -> dict[str, Any]:
    return {
        "status": "firing",
        "labels": LABELS,
        "annotations": {"summary": "accuracy fell to 0.91"},
        "startsAt": "2026-03-08T12:00:00Z",
        "fingerprint": "f1",
    } | fields


def webhook(*alerts: dict[str, Any]) -> Webhook:
    return Webhook.model_validate({"version": "4", "receiver": "tuning", "alerts": list(alerts)})


def asked(**fields: Any) -> RetuneRequest:
    (request,), ignored = requests(webhook(alert(**fields)))
    assert ignored == []
    return request


def test_a_firing_alert_asks_the_study_that_its_labels_name() -> None:
    request = asked()
    assert (request.namespace, request.study) == ("team", "digits")
    assert request.reason == "TuningModelDegraded: accuracy fell to 0.91"


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [({}, "TuningModelDegraded"), ({"description": "it fell"}, "TuningModelDegraded: it fell")],
)
def test_an_alert_without_a_summary_still_has_a_reason(annotations: dict[str, str], reason: str) -> None:
    assert asked(annotations=annotations).reason == reason


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"status": "resolved"}, "TuningModelDegraded: resolved"),
        ({"labels": {"alertname": "X", "study": "digits"}}, "X: no labels `namespace` and `study`"),
        ({"labels": {"namespace": "team"}}, "alert: no labels `namespace` and `study`"),
        ({"labels": {**LABELS, "study": ""}}, "add them to the rule"),
    ],
)
def test_an_alert_that_asks_for_nothing_is_told(fields: dict[str, Any], sentence: str) -> None:
    found, (ignored,) = requests(webhook(alert(**fields)))
    assert found == []
    assert sentence in ignored


def test_the_token_is_the_same_for_every_delivery_of_one_firing_and_another_for_the_next() -> None:
    assert asked().token == asked(annotations={"summary": "now it is 0.90"}).token
    others = [{"startsAt": "2026-03-09T12:00:00Z"}, {"fingerprint": "f2"}, {"labels": {**LABELS, "study": "iris"}}]
    assert asked().token not in {asked(**other).token for other in others}


def test_the_annotation_is_what_the_operator_reads() -> None:
    request = asked()
    first, second = (parse_request(request.annotation(moment)) for moment in ("12:00", "12:05"))
    assert (first.token, first.trigger, first.reason) == (request.token, "Alert", request.reason)
    assert first.token == second.token
    assert first.digest != second.digest


def test_evidence_is_kept_within_bounds() -> None:
    request = asked(annotations={f"a{number}": "x" * 9999 for number in range(20)})
    assert len(request.evidence) == 8
    assert len(request.reason) <= 256
    assert len(json.dumps(request.evidence)) < 20_000
    assert len(request.annotation("now").encode()) < 256 * 1024  # of all annotations of an object


def test_fields_that_alertmanager_may_add_are_ignored() -> None:
    assert Webhook.model_validate({"version": "4", "alerts": [], "notificationReason": "x"}).alerts == []


@pytest.mark.parametrize(
    "wrong", [{}, {"version": "3", "alerts": []}, {"version": "4"}, {"version": "4", "alerts": [{"status": "odd"}]}]
)
def test_anything_else_is_no_webhook(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Webhook.model_validate(wrong)
