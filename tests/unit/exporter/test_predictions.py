"""Predictions and labels that are sent: what may be written, what is too late, and what is said of the rest."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from builders import NOW
from tuning_exporter.inbox.bodies import NotReadable
from tuning_exporter.inbox.predictions import Sorted, read_batches, sort_out
from tuning_store.predictions import Told


def body(**more: Any) -> bytes:
    return json.dumps({"namespace": "team", "study": "digits"} | more).encode()


def one(id: Any = "a", value: Any = 1, **more: Any) -> dict[str, Any]:
    return {"id": id, "value": value} | more


def study(*sources: Any) -> dict[str, Any]:
    metrics = [{"name": f"m{number}", "source": source} for number, source in enumerate(sources)]
    return {"metadata": {"uid": "uid-1"}, "spec": {"production": {"metrics": metrics}}}


WATCHING = study({"predictions": {"score": "Accuracy", "window": "1h", "delay": "2h"}})


def sorted_out(resource: dict[str, Any] = WATCHING, **more: Any) -> Sorted:
    [batch] = read_batches(body(**more))
    return sort_out(batch, resource, "cluster", NOW)


@pytest.mark.parametrize("value", [1, -0.5, "cat", "", True])
def test_values_are_numbers_texts_and_booleans_and_stay_what_they_are(value: Any) -> None:
    [told] = sorted_out(predictions=[one(value=value)]).told.predictions
    assert (told, type(told.value) is bool) == (Told("a", value, NOW), type(value) is bool)


def test_a_time_may_be_left_out_and_one_without_a_zone_is_utc() -> None:
    found = sorted_out(predictions=[one(time="2026-03-08T11:00:00")], labels=[one()])
    assert found.told.predictions == [Told("a", 1, NOW - timedelta(hours=1))]
    assert found.told.labels == [Told("a", 1, NOW)]
    assert (found.told.place.study, found.problems, found.late) == ("uid-1", [], 0)


VALUE = "write a number between -1e100 and 1e100, true, false, or a text of at most 253 characters without NUL"
WRONG: list[tuple[bytes, str]] = [
    (body(), "0: write `predictions`, `labels` or both"),
    *((body(labels=[one(value=value)]), f"0.labels.0.value: {VALUE}") for value in (None, [1], 1e101, -(10**400))),
    *((body(predictions=[one(value=value)]), VALUE) for value in (float("nan"), float("inf"), "x" * 254, "a\x00")),
    (body(labels=[one(id="a\x00")]), "0.labels.0.id: the character NUL cannot be stored"),
    (body(labels=[one(id="")]), "0.labels.0.id: String should have at least 1 character"),
    (body(labels=[one(id="x" * 201)]), "0.labels.0.id: String should have at most 200 characters"),
    (body(labels=[one(id=7)]), "0.labels.0.id: Input should be a valid string"),
    (body(labels=[one(time="yesterday")]), "0.labels.0.time: Input should be a valid datetime"),
    (body(labels=[one(score=1)]), "0.labels.0.score: Extra inputs are not permitted"),
    (body(labels=[one()] * 10_001), "0.labels: List should have at most 10000 items"),
    (body(labels=[one()], study="../x"), "0.study: String should match pattern"),
    (b"no json", "no JSON: expected ident at line 1 column 2"),
]


@pytest.mark.parametrize(("written", "sentence"), WRONG)
def test_what_is_said_of_the_rest(written: bytes, sentence: str) -> None:
    with pytest.raises(NotReadable) as refused:
        read_batches(written)
    assert sentence in "; ".join(refused.value.problems)


def at(time: datetime) -> dict[str, Any]:
    return one(time=time.isoformat())


def test_a_prediction_whose_window_is_closed_is_left_out_and_its_label_is_not() -> None:
    begin = NOW - timedelta(hours=3)  # of the window that is closed just now
    late, in_time = at(begin + timedelta(minutes=59)), at(begin + timedelta(hours=1))
    found = sorted_out(predictions=[late, in_time], labels=[late])
    assert (len(found.told.predictions), len(found.told.labels), found.late) == (1, 1, 1)


def test_with_several_metrics_it_is_too_late_when_it_is_for_all() -> None:
    two = study(*({"predictions": {"score": "Accuracy", "delay": delay}} for delay in ("2h", "9h")))
    assert sorted_out(two, predictions=[at(NOW - timedelta(hours=5))]).late == 0


def test_what_is_yet_to_come_is_refused() -> None:
    soon = NOW + timedelta(minutes=6)
    found = sorted_out(predictions=[at(soon)], labels=[at(soon), at(NOW + timedelta(minutes=4))])
    assert [problem.split(";")[0] for problem in found.problems] == [
        f"predictions: a: {soon.isoformat()} is yet to come",
        f"labels: a: {soon.isoformat()} is yet to come",
    ]


@pytest.mark.parametrize("resource", [study(), study({"push": {}}), study({"predictions": {"score": "F9"}})])
def test_a_study_that_watches_no_predictions(resource: dict[str, Any]) -> None:
    [problem] = sorted_out(resource, predictions=[one()]).problems
    assert "has no metric that comes from predictions: give one the `source: {predictions: {score: Acc" in problem
