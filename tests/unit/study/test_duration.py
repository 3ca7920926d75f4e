"""Kubernetes durations, there and back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import make_manifest_spec
from tuning_study.api.duration import format_duration, parse_duration
from tuning_study.exceptions import InvalidDuration, InvalidStudy
from tuning_study.manifest import read_spec


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("500ms", 0.5),
        ("0s", 0),
        ("1m1m", 120),
    ],
)
def test_a_duration_is_the_sum_of_its_parts(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "wrong", ["", "10", "m", "10 m", "-5s", "1d", "1h30", "10m\n", "1e3s", 10, None, ".5s", "0.5ms", "1.0001s"]
)
def test_anything_else_is_refused_with_an_example(wrong: object) -> None:
    with pytest.raises(InvalidDuration, match="such as 90s, 10m or 1h30m"):
        parse_duration(wrong)


@pytest.mark.parametrize("text", ["9" * 20 + "h", "100000h", "9999999999s", "1h" * 17])
def test_a_duration_longer_than_dates_is_refused_like_any_wrong_one(text: str) -> None:
    with pytest.raises(InvalidStudy, match=r"spec\.budget\.duration: .* such as 90s, 10m or 1h30m, and at most 99999h"):
        read_spec(make_manifest_spec(budget={"duration": text}))


@pytest.mark.parametrize("text", ["99999h" * 5, "9999999m" * 4, "999999999s" * 3, "999999999999ms" * 2])
def test_the_longest_duration_can_be_added_to_a_date(text: str) -> None:
    budget = read_spec(make_manifest_spec(budget={"duration": text})).budget
    assert budget.duration is not None
    assert (datetime(2100, 1, 1, tzinfo=UTC) + budget.duration).year < 2300


@pytest.mark.parametrize("field", ["duration", "trialDuration", "startDeadline"])
@pytest.mark.parametrize("text", ["0s", "0ms", "0h0m", "0.000s"])
def test_no_time_at_all_is_refused(field: str, text: str) -> None:
    with pytest.raises(InvalidStudy, match=rf"spec\.budget\.{field}: 0s leaves no time at all: write a longer"):
        read_spec(make_manifest_spec(budget={"trials": 1, field: text}))


def test_the_first_worker_has_ten_minutes_to_begin() -> None:
    assert read_spec(make_manifest_spec()).budget.start_deadline == timedelta(minutes=10)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5400, "1h30m"), (90, "1m30s"), (0.5, "500ms"), (0, "0s"), (90000, "25h"), (3600.25, "1h250ms")],
)
def test_a_duration_is_written_in_its_shortest_form(seconds: float, text: str) -> None:
    assert format_duration(timedelta(seconds=seconds)) == text


@given(st.integers(0, 10**10))
def test_what_is_written_reads_back_the_same(milliseconds: int) -> None:
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration
