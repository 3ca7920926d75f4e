"""Counts of a canary's requests that are sent: whose they are, and what is said of the rest."""

import json
from datetime import timedelta
from typing import Any

import pytest

from builders import NOW
from tuning_exporter.inbox.bodies import NotReadable
from tuning_exporter.inbox.counts import Sorted, read_counts, sort_out
from tuning_store.canary_counts import Count

STABLE, CANARY = "digits-params-r1-1111aaaa", "digits-params-r2-2222bbbb"
ERRORS = {"errors": {"bad": 3, "total": 200}}


def body(**more: Any) -> bytes:
    given = {"namespace": "team", "study": "digits", "parameters": CANARY, "counts": ERRORS}
    return json.dumps(given | more).encode()


def study(*metrics: Any, **canary: Any) -> dict[str, Any]:
    return {
        "metadata": {"uid": "uid-1"},
        "spec": {"promotion": {"canary": {"metrics": list(metrics) or [{"name": "errors", "push": {}}]}}},
        "status": {"promotion": {"stable": STABLE, "canary": {"parameters": CANARY} | canary}},
    }


SERVING = study(deployment="api-canary-2222bbbb")


def sorted_out(resource: dict[str, Any] = SERVING, **more: Any) -> Sorted:
    [counts] = read_counts(body(**more))
    return sort_out(counts, resource, "cluster", NOW)


@pytest.mark.parametrize("parameters", [STABLE, CANARY])
def test_those_of_either_side_are_stored(parameters: str) -> None:
    found = sorted_out(parameters=parameters, sender="pod-1")
    assert found.told is not None and found.problems == []
    assert (found.told.parameters, found.told.sender, found.told.time) == (parameters, "pod-1", NOW)
    assert (found.told.place.study, found.told.counts) == ("uid-1", {"errors": Count(3, 200)})


def test_other_parameters_are_not_compared() -> None:
    assert sorted_out(parameters="digits-params-r1-3333cccc").told is None


@pytest.mark.parametrize("resource", [study(), {**study(), "status": {}}])
def test_without_a_canary_nothing_is(resource: dict[str, Any]) -> None:
    found = sorted_out(resource)
    assert (found.told, found.problems) == (None, [])


PROBLEMS: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (
        study({"name": "errors", "bad": "a", "total": "b"}),
        {},
        "counts.errors: promotion.canary.metrics of the study has",
    ),
    ({"metadata": {"uid": "uid-1"}, "spec": {}}, {}, "no such metric with `push: {}`; it has none"),
    (SERVING, {"parameters": "digits-params-stable"}, "write the one that the requests were served with, such as"),
    (SERVING, {"parameters": "iris-params-r1-1111aaaa"}, "which pods have in TUNING_PARAMETERS_NAME"),
    (SERVING, {"time": (NOW + timedelta(hours=1)).isoformat()}, "is yet to come; write when it was counted"),
]


@pytest.mark.parametrize(("resource", "more", "sentence"), PROBLEMS)
def test_what_cannot_be_right_is_told(resource: dict[str, Any], more: dict[str, Any], sentence: str) -> None:
    assert sentence in "; ".join(sorted_out(resource, **more).problems)


WRONG: list[tuple[bytes, str]] = [
    (body(counts={}), "0.counts: Dictionary should have at least 1 item"),
    (body(counts={"errors": {"bad": 2, "total": 1}}), "0.counts.errors: `bad` counts some of what `total` counts"),
    (
        body(counts={"errors": {"bad": -1, "total": 1}}),
        "0.counts.errors.bad: Input should be greater than or equal to 0",
    ),
    (body(counts={"errors": {"bad": 0.5, "total": 1}}), "0.counts.errors.bad: Input should be a valid integer"),
    (body(counts={"errors": {"total": 1}}), "0.counts.errors.bad: Field required"),
    (body(sender="a\x00"), "0.sender: the character NUL cannot be stored"),
    (body(good=1), "0.good: Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("written", "sentence"), WRONG)
def test_what_is_said_of_the_rest(written: bytes, sentence: str) -> None:
    with pytest.raises(NotReadable) as refused:
        read_counts(written)
    assert sentence in "; ".join(refused.value.problems)
