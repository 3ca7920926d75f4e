"""Alertmanager's webhook, sorted out by the studies that it is about."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from builders import NOW
from tuning_exporter.inbox.alerts import MAX_ALERTS, Alert, Webhook, sort_out

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


def read(**fields: Any) -> Alert:
    return Alert.model_validate(alert(**fields))


def test_an_alert_is_of_the_study_that_its_labels_name() -> None:
    found = sort_out(webhook(alert(), alert(labels={**LABELS, "study": "iris"}), alert(status="resolved")))
    assert {study: [one.status for one in alerts] for study, alerts in found.alerts.items()} == {
        ("team", "digits"): ["firing", "resolved"],
        ("team", "iris"): ["firing"],
    }


@pytest.mark.parametrize(
    ("annotations", "reason"),
    [
        ({"summary": "it fell", "description": "why"}, "TuningModelDegraded: it fell"),
        ({"description": "it fell"}, "TuningModelDegraded: it fell"),
        ({}, "TuningModelDegraded"),
    ],
)
def test_an_alert_without_a_summary_still_has_a_reason(annotations: dict[str, str], reason: str) -> None:
    assert read(annotations=annotations).reason == reason


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ({"alertname": "X", "study": "digits"}, "X: no labels `namespace` and `study`"),
        ({"namespace": "team"}, "alert: no labels `namespace` and `study`"),
        ({**LABELS, "study": ""}, "add them to the rule"),
        ({**LABELS, "alertname": "TuningRetuneLoop"}, "asks for no round"),
        ({**LABELS, "study": "../secrets"}, "are no names of Kubernetes objects"),
    ],
)
def test_an_alert_that_is_no_cause_is_told(labels: dict[str, str], sentence: str) -> None:
    found = sort_out(webhook(alert(labels=labels)))
    assert found.alerts == {}
    (told,) = found.ignored
    assert sentence in told


def test_an_alert_is_told_from_others_by_its_labels_alone() -> None:
    key = read().key
    again: list[dict[str, Any]] = [
        {"annotations": {"summary": "now it is 0.90"}},
        {"startsAt": "2026-03-09T12:00:00Z"},
        {"fingerprint": "f2"},
        {"status": "resolved"},
    ]
    assert {read(**one).key for one in again} == {key}
    assert read(labels={**LABELS, "pod": "exporter-1"}).key != key


@pytest.mark.parametrize(
    ("written", "began"),
    [
        ("2026-03-08T11:00:00Z", NOW - timedelta(hours=1)),
        ("2026-03-08T11:00:00", NOW - timedelta(hours=1)),
        ("2026-03-08T13:00:00+02:00", NOW - timedelta(hours=1)),
        (None, NOW),
        ("2027-01-01T00:00:00Z", NOW),
    ],
)
def test_when_an_alert_began(written: str | None, began: datetime) -> None:
    assert read(startsAt=written).began(NOW) == began
    assert began.tzinfo is UTC


def test_an_odd_alert_takes_no_other_with_it() -> None:
    found = sort_out(webhook({"status": "odd"}, alert(), alert(labels=17), alert(startsAt="soon")))
    assert len(found.alerts["team", "digits"]) == 1
    assert [told.partition(":")[0] for told in found.malformed] == [
        "alerts.0.status",
        "alerts.2.labels",
        "alerts.3.startsAt",
    ]


def test_what_is_kept_of_an_alert_is_small() -> None:
    large = read(annotations={f"a{number}": "x" * 9999 for number in range(20)} | {"summary": "y" * 9999})
    assert len(large.evidence) == 8
    assert max(map(len, large.evidence.values())) == 2000
    assert len(large.reason) == 256


def test_fields_that_alertmanager_may_add_are_ignored() -> None:
    assert Webhook.model_validate({"version": "4", "alerts": [], "notificationReason": "x"}).alerts == []


@pytest.mark.parametrize(
    "wrong", [{}, {"version": "3", "alerts": []}, {"version": "4"}, {"version": "4", "alerts": [{}] * (MAX_ALERTS + 1)}]
)
def test_anything_else_is_no_webhook(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Webhook.model_validate(wrong)
