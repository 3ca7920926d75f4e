"""Windows of predictions: which are closed, and what one of them comes to."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_study.api.production import PredictionsSource
from tuning_study.production.observation import Observation
from tuning_study.production.predictions import (
    EPOCH,
    Tally,
    begin_of,
    closed_slots,
    is_closed,
    kept_for,
    observed,
    slot_of,
)

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def source(score: str = "Accuracy", window: str = "1h", delay: str = "2h") -> PredictionsSource:
    return PredictionsSource.model_validate({"score": score, "window": window, "delay": delay})


def ends(after: datetime | None, now: datetime, **fields: str) -> list[datetime]:
    found = closed_slots(source(**fields), after, now)
    return [begin_of(slot + 1, source(**fields)) for slot in found]


def test_a_window_is_closed_when_the_delay_has_passed_since_its_end() -> None:
    assert ends(NOON, NOON + 3 * HOUR - MINUTE) == []
    assert ends(NOON, NOON + 3 * HOUR) == [NOON + HOUR]
    assert ends(NOON, NOON + 5 * HOUR) == [NOON + HOUR, NOON + 2 * HOUR, NOON + 3 * HOUR]


def test_one_that_was_observed_in_part_is_left_out() -> None:
    assert ends(NOON + 30 * MINUTE, NOON + 4 * HOUR) == [NOON + 2 * HOUR]


def test_without_an_observation_those_that_are_kept_are_closed() -> None:
    found = ends(None, NOON)
    assert (found[0], found[-1]) == (NOON - 26 * HOUR, NOON - 2 * HOUR)
    assert found == ends(NOON - 365 * 24 * HOUR, NOON)


times = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
lengths = st.timedeltas(timedelta(seconds=1), timedelta(days=30))
delays = st.timedeltas(timedelta(0), timedelta(days=30))


@given(time=times, window=lengths, delay=delays, later=st.timedeltas(timedelta(0), timedelta(days=70)))
def test_a_prediction_is_in_one_window_and_observed_or_still_open_or_dropped(
    time: datetime, window: timedelta, delay: timedelta, later: timedelta
) -> None:
    given = PredictionsSource(score="Accuracy", window=window, delay=delay)
    slot, now = slot_of(time, given), time + later
    assert begin_of(slot, given) <= time < begin_of(slot + 1, given)
    is_kept = begin_of(slot, given) >= now - kept_for(given)
    assert (slot in closed_slots(given, None, now)) == (is_closed(slot, given, now) and is_kept)


@given(start=times, looks=st.lists(st.timedeltas(timedelta(0), timedelta(hours=20)), max_size=12))
def test_each_window_is_closed_once_whenever_one_looks(start: datetime, looks: list[timedelta]) -> None:
    given, after, now = source(), None, start
    found: list[int] = []
    for pause in looks:
        now += pause
        slots = closed_slots(given, after, now)
        found += slots
        after = begin_of(slots.stop, given) if slots else after
    assert found == list(range(found[0], found[-1] + 1)) if found else True


def tally(**fields: Any) -> Tally:
    given: dict[str, Any] = {
        "slot": (NOON - EPOCH) // HOUR,
        "predictions": 200,
        "labels": 160,
        "alike": 160,
        "hits": 120,
        "numbers": 160,
        "absolute": 80.0,
        "squared": 640.0,
    }
    return Tally(**given | fields)


@pytest.mark.parametrize(
    ("score", "observation"),
    [
        ("Accuracy", Observation(NOON + HOUR, 0.75, 160, 0.8)),
        ("ErrorRate", Observation(NOON + HOUR, 0.25, 160, 0.8)),
        ("MeanAbsoluteError", Observation(NOON + HOUR, 0.5, None, 0.8)),
        ("RootMeanSquaredError", Observation(NOON + HOUR, 2.0, None, 0.8)),
    ],
)
def test_what_a_window_comes_to(score: str, observation: Observation) -> None:
    assert observed(tally(), source(score)) == observation


def test_a_label_of_another_type_than_its_prediction_is_another_label() -> None:
    assert observed(tally(alike=100, hits=90), source()) == Observation(NOON + HOUR, 0.5625, 160, 0.8)


def test_labels_that_cannot_be_compared_do_not_count() -> None:
    assert observed(tally(numbers=0), source("MeanAbsoluteError")) == (
        "none of the 160 labels of the window until 2026-03-08T13:00Z are numbers, as are predictions"
    )
    assert "of the type of their prediction (1 and '1' are none)" in str(observed(tally(alike=0, hits=0), source()))


def test_without_any_label_there_is_nothing_to_observe() -> None:
    assert observed(tally(labels=0, alike=0, hits=0), source()) == (
        "no label came within 2h for the 200 predictions of the window until 2026-03-08T13:00Z"
    )
