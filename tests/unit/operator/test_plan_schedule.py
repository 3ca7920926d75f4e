"""A schedule asks for a round when its time has come: once, whatever was missed."""

from datetime import UTC, datetime, timedelta
from typing import Any

from builders import make_progress, make_spec, make_status
from tuning_operator.plan.decide import plan
from tuning_operator.plan.draft import Plan
from tuning_study.api.status import RetuneStatus, Round

from .plans import ended, reasons

NIGHTLY = {"triggers": ["Schedule"], "schedule": "0 3 * * *", "timeZone": "Europe/Berlin"}
EVENING = datetime(2026, 10, 24, 20, 0, tzinfo=UTC)


def look(retune: RetuneStatus, now: datetime, **fields: Any) -> Plan:
    spec = make_spec(retune=NIGHTLY | fields)
    progress = make_progress(spec, complete=10)
    rounds = [Round(round=1, trigger="Created", start_time=EVENING, study="team/digits/uid-1/r1")]
    return plan(
        ended(spec, progress=progress, status=make_status(state="Complete", retune=retune, rounds=rounds), now=now)
    )


def test_it_counts_from_the_first_look() -> None:
    decided = look(RetuneStatus(), EVENING)
    assert decided.status.retune.last_scheduled == EVENING
    assert decided.status.retune.next_scheduled == datetime(2026, 10, 25, 2, 0, tzinfo=UTC)  # 3 o'clock, winter time
    assert decided.status.round == 1


def test_it_asks_when_its_time_has_come_and_not_again_until_the_next() -> None:
    night = datetime(2026, 10, 25, 2, 0, 10, tzinfo=UTC)
    decided = look(RetuneStatus(last_scheduled=EVENING), night)
    assert (decided.status.round, decided.status.rounds[-1].trigger) == (2, "Schedule")
    assert decided.status.rounds[-1].reason == "0 3 * * * of 2026-10-25T02:00:00+00:00"
    again = look(decided.status.retune, night + timedelta(minutes=5))
    assert again.status.round == 1 and reasons(again) == []


def test_after_a_downtime_one_round_makes_up_for_all_and_says_so() -> None:
    decided = look(RetuneStatus(last_scheduled=EVENING), EVENING + timedelta(days=3), schedule="*/5 * * * *")
    assert decided.status.round == 2
    assert "which makes up for 863 earlier times" in decided.status.rounds[-1].reason


def test_a_time_that_comes_in_the_cooldown_is_told_and_dropped() -> None:
    retune = RetuneStatus(last_scheduled=EVENING, last_time=EVENING)
    night = datetime(2026, 10, 25, 2, 1, tzinfo=UTC)
    decided = look(retune, night, cooldown="24h")
    assert (decided.status.round, decided.status.retune.last_outcome) == (1, "Cooldown")
    assert reasons(decided) == ["RetuneSuppressed"]
    assert reasons(look(decided.status.retune, night, cooldown="24h")) == []


def test_without_a_schedule_none_is_told() -> None:
    before = RetuneStatus(last_scheduled=EVENING, next_scheduled=EVENING)
    decided = look(before, EVENING, triggers=[], schedule=None, timeZone=None)
    assert (decided.status.retune.last_scheduled, decided.status.retune.next_scheduled) == (None, None)
