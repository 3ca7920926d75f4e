"""When a schedule asks for a round, over clock changes and after any time away."""

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_study.exceptions import InvalidSchedule, TuningStudyError
from tuning_study.production.schedule import MAX_MISSED, Due, due, next_run


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def runs(schedule: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """Asked for one after another, as the operator does."""
    found = []
    while (start := next_run(schedule, zone, start)) < end:
        found.append(start)
    return found


def local_times(schedule: str, zone: str, day: str) -> list[str]:
    """Of one day there, with the distance from UTC."""
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    found = runs(schedule, zone, start - timedelta(seconds=1), start + timedelta(hours=22))
    return [run.astimezone(ZoneInfo(zone)).strftime("%H:%M%z") for run in found]


@pytest.mark.parametrize(
    ("zone", "day", "schedule", "want"),
    [
        ("Europe/Berlin", "2026-03-29", "30 2 * * *", ["03:00+0200"]),  # 02:30 is left out
        ("Europe/Berlin", "2026-10-25", "30 2 * * *", ["02:30+0200"]),  # 02:30 comes twice
        ("Europe/Berlin", "2026-10-25", "0 3 * * *", ["03:00+0100"]),
        ("Europe/Berlin", "2026-03-29", "10,50 2 * * *", ["03:00+0200"]),
        ("Europe/Berlin", "2026-10-25", "0 1-3 * * *", ["01:00+0200", "02:00+0200", "03:00+0100"]),
        ("America/New_York", "2026-03-08", "30 2 * * *", ["03:00-0400"]),
        ("America/New_York", "2026-11-01", "30 1 * * *", ["01:30-0400"]),
        ("Australia/Lord_Howe", "2026-10-04", "15 2 * * *", ["02:30+1100"]),  # half an hour is left out
        ("Australia/Lord_Howe", "2026-04-05", "45 1 * * *", ["01:45+1100"]),  # and half an hour comes twice
        ("America/Santiago", "2026-09-06", "@daily", ["01:00-0300"]),  # midnight is left out
    ],
)
def test_what_comes_once_a_day_comes_once_on_the_days_of_clock_changes(
    zone: str, day: str, schedule: str, want: list[str]
) -> None:
    assert local_times(schedule, zone, day) == want


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("schedule", ["15 1 * * *", "45 1 * * *", "0 2 * * *", "15 2 * * *", "30 2 * * *", "0 3 * * *"])
def test_once_a_day_is_once_a_day_all_the_year(zone: str, schedule: str) -> None:
    found = runs(schedule, zone, utc("2026-01-02T12:00"), utc("2026-12-30T12:00"))
    days = Counter(run.astimezone(ZoneInfo(zone)).date() for run in found)
    assert set(days.values()) == {1}
    assert len(days) == 362


def test_what_comes_every_half_hour_keeps_its_pace_over_clock_changes() -> None:
    for day in ("2026-03-28T12:00", "2026-10-24T12:00"):
        found = runs("*/30 * * * *", "Europe/Berlin", utc(day), utc(day) + timedelta(days=1))
        assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=30)}


@given(
    st.sampled_from(["30 2 * * *", "15,45 1-3 * * *", "*/20 * * * *", "0 */2 * * *", "@weekly"]),
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),
)
def test_the_next_time_is_later_and_none_lies_between(schedule: str, zone: str, after: datetime) -> None:
    found = next_run(schedule, zone, after)
    assert found > after
    halfway = after + (found - after) / 2
    assert next_run(schedule, zone, halfway) == found


@pytest.mark.parametrize(
    ("macro", "want"),
    [
        ("@hourly", "2026-06-10T13:00"),
        ("@daily", "2026-06-11T00:00"),
        ("@weekly", "2026-06-14T00:00"),
        ("@monthly", "2026-07-01T00:00"),
        ("@yearly", "2027-01-01T00:00"),
    ],
)
def test_macros(macro: str, want: str) -> None:
    assert next_run(macro, "UTC", utc("2026-06-10T12:34")) == utc(want)


WEEKLY = "0 3 * * 0"
SUNDAY = utc("2026-06-07T03:00")


@pytest.mark.parametrize(
    ("schedule", "last", "now", "want"),
    [
        pytest.param(WEEKLY, SUNDAY, SUNDAY + timedelta(days=6), None, id="not-yet"),
        pytest.param(WEEKLY, SUNDAY, SUNDAY, None, id="served"),
        pytest.param(WEEKLY, SUNDAY, SUNDAY + timedelta(days=7), Due(SUNDAY + timedelta(days=7), 0), id="on-time"),
        pytest.param(WEEKLY, SUNDAY, SUNDAY + timedelta(days=8), Due(SUNDAY + timedelta(days=7), 0), id="late"),
        pytest.param(
            WEEKLY, SUNDAY, SUNDAY + timedelta(days=22), Due(SUNDAY + timedelta(days=21), 2), id="three-weeks"
        ),
        pytest.param(
            "*/5 * * * *",
            SUNDAY,
            SUNDAY + timedelta(days=3, seconds=10),
            Due(SUNDAY + timedelta(days=3), 863),
            id="three-days",
        ),
        pytest.param(WEEKLY, SUNDAY, SUNDAY - timedelta(days=30), None, id="clock-set-back"),
    ],
)
def test_after_any_time_away_one_run_is_due_and_the_others_are_counted(
    schedule: str, last: datetime, now: datetime, want: Due | None
) -> None:
    assert due(schedule, "UTC", last, now) == want


@pytest.mark.parametrize(
    ("schedule", "newest"),
    [("* * * * *", "2026-11-26T21:55"), ("* * * 1 *", "2026-01-31T23:59"), ("0 0 29 2 *", "2024-02-29T00:00")],
)
def test_years_away_cost_no_more_than_a_day(schedule: str, newest: str) -> None:
    began = time.process_time()
    found = due(schedule, "UTC", utc("2022-01-01T00:00"), utc("2026-11-26T21:55"))
    assert time.process_time() - began < 0.5
    assert found is not None
    assert found.at == utc(newest)
    assert found.missed == (0 if schedule.startswith("0") else MAX_MISSED)


@given(
    st.sampled_from(["30 2 * * *", "*/30 * * * *", "15,45 1-3 * * *"]),
    st.datetimes(datetime(2026, 10, 20), datetime(2026, 11, 5), timezones=st.just(UTC)),
    st.timedeltas(timedelta(0), timedelta(days=8)),
)
def test_what_is_due_is_what_one_would_count(schedule: str, last: datetime, away: timedelta) -> None:
    counted = runs(schedule, "Europe/Berlin", last, last + away + timedelta(microseconds=1))
    want = Due(counted[-1], len(counted) - 1) if counted else None
    assert due(schedule, "Europe/Berlin", last, last + away) == want


@pytest.mark.parametrize(
    ("schedule", "zone", "words"),
    [
        ("", "UTC", "five fields"),
        ("0 3 * *", "UTC", "such as `0 3 * * 0`"),
        ("0 0 3 * * 0", "UTC", "five fields"),  # with seconds
        ("@fortnightly", "UTC", "@hourly, @daily, @weekly, @monthly, @yearly"),
        ("@reboot", "UTC", "five fields"),
        ("TZ=UTC 0 3 * * 0", "UTC", "five fields"),
        ("60 3 * * *", "UTC", "minute"),
        ("0 24 * * *", "UTC", "hour"),
        ("0 3 0 * *", "UTC", "day-of-month"),
        ("59-0 * * * *", "UTC", "minute"),
        ("R R * * *", "UTC", "minute"),
        ("0 3 * * SUNDAY", "UTC", "day-of-week"),
        ("0 0 30 2 *", "UTC", "day-of-month"),
        ("0 0 */30 4 MON#5", "UTC", "never comes"),
        ("0 3 * * 0", "Europe/Berln", "such as Europe/Berlin"),
        ("0 3 * * 0", "America", "no time zone"),
        ("0 3 * * 0", "../../etc/passwd", "no time zone"),
        ("0 3 * * 0", "", "or UTC"),
        ("0 3 * * 0", "CET+1\0", "no time zone"),
        ("0 3 * * 0", "x" * 5000, "no time zone"),
    ],
)
def test_a_wrong_schedule_is_refused_with_what_to_write_instead(schedule: str, zone: str, words: str) -> None:
    with pytest.raises(InvalidSchedule) as refused:
        next_run(schedule, zone, SUNDAY)
    assert words in str(refused.value)
    assert len(str(refused.value)) < 400
    assert isinstance(refused.value, TuningStudyError) and isinstance(refused.value, ValueError)


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_is_beyond_it(schedule: str, zone: str) -> None:
    try:
        assert next_run(schedule, zone or "UTC", SUNDAY) > SUNDAY
    except InvalidSchedule:
        return
