"""The best trial in the status: what fits is told, and nothing that a trial may hold keeps it from being told."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import MAXIMIZE, make_spec
from tuning_study.api.status import Best, TuningStudyStatus
from tuning_study.attributes import METRICS_ATTRIBUTE
from tuning_study.results.candidates import Candidate
from tuning_study.results.describe import describe_best, parameter_text, parameter_value

SPEC = make_spec(metrics=[MAXIMIZE, {"name": "size"}])
WINNER = Candidate(7, (0.9,))


def describe(parameters: dict[str, Any] | None = None, attributes: dict[str, Any] | None = None) -> Best:
    return describe_best(WINNER, SPEC, parameters or {}, attributes or {})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (None, "null"),
        ("None", "None"),
        ("null", '"null"'),
        ("true", '"true"'),
        ("0.1", '"0.1"'),
        (0.1, "0.1"),
        (3, "3"),
        ("poly", "poly"),
        ("💥", "💥"),
        ([10, 20], "[10, 20]"),
    ],
)
def test_a_parameters_value_is_told_as_json(value: Any, text: str) -> None:
    assert parameter_text(value) == text


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text())
def test_no_two_values_are_told_alike(value: Any) -> None:
    text = parameter_text(value)
    try:
        assert json.loads(text) == value
    except ValueError:
        assert text == value


def test_a_cut_is_marked() -> None:
    (told,) = describe({"n" * 300: "v" * 300}).parameters
    assert (len(told.name), len(told.value)) == (128, 128)
    assert told.name.endswith("n…") and told.value.endswith("v…")


def test_of_many_parameters_as_many_are_told_as_fit() -> None:
    told = describe({f"p{index}": index for index in range(200)}).parameters
    assert len(told) == 64
    assert (told[-1].name, told[-1].value) == ("…", "137 more")


def test_long_names_leave_room_for_the_rest_of_the_status() -> None:
    best = describe({f"{index}" + "🎲" * 200: "🎲" * 200 for index in range(64)})
    assert len(best.model_dump_json().encode()) < 8000
    assert best.parameters[-1].value.endswith(" more")


@pytest.mark.parametrize(
    "reported", ["a text", 5, None, [1], {"accuracy": "high"}, {"size": {"of": "what"}}, {"size": math.nan}]
)
def test_attributes_of_other_programs_are_no_obstacle(reported: Any) -> None:
    best = describe(attributes={METRICS_ATTRIBUTE: reported, "metrics": "theirs"})
    assert [(metric.name, metric.value) for metric in best.metrics] == [("accuracy", 0.9)]


def test_a_recorded_metric_is_told_beside_the_objectives() -> None:
    best = describe(attributes={METRICS_ATTRIBUTE: {"accuracy": 0.9, "size": 12}})
    assert [(metric.name, metric.value) for metric in best.metrics] == [("accuracy", 0.9), ("size", 12)]


@pytest.mark.parametrize(
    ("values", "summary"),
    [((0.9800000000000001,), "0.98"), ((0.25, 1234567.0), "0.25, 1.23457e+06"), ((math.inf,), "inf")],
)
def test_the_objectives_alone_are_its_summary(values: tuple[float, ...], summary: str) -> None:
    metrics = [{"name": name, "direction": "Maximize"} for name in ("accuracy", "speed")[: len(values)]]
    spec = make_spec(metrics=[*metrics, {"name": "size"}])
    best = describe_best(Candidate(0, values), spec, {}, {METRICS_ATTRIBUTE: {"size": 12}})
    assert best.summary == summary


@pytest.mark.parametrize(("value", "told"), [(math.inf, "Infinity"), (-math.inf, "-Infinity"), (10**400, "Infinity")])
def test_infinity_is_told_as_text(value: float, told: str) -> None:
    best = describe_best(Candidate(0, (value,)), SPEC, {}, {})
    assert best.metrics[0].value == told


NAMES = st.text(max_size=600)
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=300)
    | st.lists(st.integers(), max_size=3)
)


@given(st.dictionaries(NAMES, VALUES, max_size=100), st.dictionaries(NAMES, VALUES, max_size=5))
def test_any_trial_makes_a_status_that_can_be_read_again(
    parameters: dict[str, Any], attributes: dict[str, Any]
) -> None:
    status = TuningStudyStatus(best=describe(parameters, attributes))
    assert TuningStudyStatus.model_validate_json(status.model_dump_json()) == status
    assert len(status.model_dump_json().encode()) < 10_000


@given(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text())
def test_a_value_is_read_back_from_its_text(value: Any) -> None:
    read = parameter_value(parameter_text(value))
    assert (read, type(read)) == (value, type(value))
