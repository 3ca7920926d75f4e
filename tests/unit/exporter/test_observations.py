"""Observations that are pushed: what may be written, and what is said of the rest."""

import json
from datetime import timedelta
from typing import Any

import pytest

from builders import NOW
from tuning_exporter.inbox.bodies import NotReadable
from tuning_exporter.inbox.observations import read_pushes, unwatched, unwatched_features, wrong_times
from tuning_study.production.observation import Observation


def push(metrics: Any, **more: Any) -> bytes:
    return json.dumps({"namespace": "team", "study": "digits", "metrics": metrics} | more).encode()


def observed(metrics: Any) -> Observation:
    [told] = read_pushes(push({"accuracy": metrics}))
    return told.observations(NOW)["accuracy"]


@pytest.mark.parametrize(
    ("written", "observation"),
    [
        (0.91, Observation(NOW, 0.91)),
        ({"value": 0.91}, Observation(NOW, 0.91)),
        ({"value": 0.91, "samples": 200}, Observation(NOW, 0.91, 200)),
        ({"good": 182, "total": 200}, Observation(NOW, 0.91, 200)),
        ({"value": 1, "time": "2026-03-08T11:00:00Z"}, Observation(NOW - timedelta(hours=1), 1.0)),
        ({"value": 1, "time": "2026-03-08T11:00:00"}, Observation(NOW - timedelta(hours=1), 1.0)),
    ],
)
def test_what_may_be_written(written: Any, observation: Observation) -> None:
    assert observed(written) == observation


def test_a_list_tells_of_several_studies() -> None:
    body = b"[" + push({"a": 1}) + b"," + push({"a": 2}, study="iris") + b"]"
    assert [told.study for told in read_pushes(body)] == ["digits", "iris"]


WRONG: list[tuple[bytes, str]] = [
    (push({"accuracy": {}}), "0.metrics.accuracy: write either `value`"),
    (push({"accuracy": {"value": 0.9, "good": 1, "total": 2}}), "0.metrics.accuracy: write either `value`"),
    (push({"accuracy": {"good": 3, "total": 2}}), "`good` is at most `total`"),
    (
        push({"accuracy": {"good": 1, "total": 0}}),
        "0.metrics.accuracy.total: Input should be greater",
    ),
    (push({"accuracy": {"value": float("nan")}}), "0.metrics.accuracy.value: Input should be a finite number"),
    (push({"accuracy": {"value": 0.9, "sample": 3}}), "0.metrics.accuracy.sample: Extra inputs are not permitted"),
    (push({}), "0: write `metrics`, `features` or `reference`"),
    (push({"a": 1}, features={"age": [[1]]}), "0.features.age.0"),
    (push({"a": 1}, study="../x"), "0.study: String should match pattern"),
    (b"no json", "no JSON: expected ident at line 1 column 2"),
]


@pytest.mark.parametrize(("body", "sentence"), WRONG)
def test_what_is_said_of_the_rest(body: bytes, sentence: str) -> None:
    with pytest.raises(NotReadable) as refused:
        read_pushes(body)
    assert sentence in "; ".join(refused.value.problems)


@pytest.mark.parametrize(
    ("ago", "sentence"),
    [(timedelta(minutes=-6), "is yet to come"), (timedelta(days=31), "is more than 30 days ago")],
)
def test_a_time_that_cannot_be_meant(ago: timedelta, sentence: str) -> None:
    [told] = wrong_times({"accuracy": Observation(NOW - ago, 0.9)}, NOW)
    assert sentence in told
    assert wrong_times({"accuracy": Observation(NOW - ago / 2, 0.9)}, NOW) == []


def test_features_of_a_study_that_watches_none() -> None:
    [told] = read_pushes(push({}, features={"age": [1]}))
    assert unwatched_features({"spec": {}}, told, ["age"]) == [
        "features: the study watches none: add `production.drift: {}`"
    ]
    watching: dict[str, Any] = {"spec": {"production": {"drift": {}}}}
    assert unwatched_features(watching, told, ["age"]) == []
    assert "there is nothing to compare it with" in unwatched_features(watching, told, [])[0]


def test_what_the_study_does_not_watch() -> None:
    sources = {"accuracy": {"push": {}}, "latency": {"prometheus": {"query": "x"}}}
    study = {"spec": {"production": {"metrics": [{"name": name, "source": sources[name]} for name in sources]}}}
    told = unwatched(study, dict.fromkeys(["accuracy", "latency", "f1"], Observation(NOW, 0.9)))
    assert told == [
        "latency: Prometheus is asked for it; its `source` would have to be `push: {}`",
        "f1: production.metrics of the study has no such metric with `source: {push: {}}`; it watches accuracy",
    ]
    assert "it watches none" in unwatched({"spec": {}}, {"f1": Observation(NOW, 0.9)})[0]
