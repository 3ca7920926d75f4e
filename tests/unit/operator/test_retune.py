"""Every request for a new round is answered: it starts one, or it is told why not."""

import json
from datetime import timedelta
from typing import Any

import pytest

from builders import NOW
from tuning_operator.retune import (
    Request,
    Suppressed,
    answered,
    parse_request,
    round_budget,
    started_today,
    suppression,
)
from tuning_study.spec import Budget, Retune, RetuneBudget
from tuning_study.status import RetuneStatus

HOUR = timedelta(hours=1)


def request(**fields: Any) -> Request:
    return Request(**({"token": "t2", "reason": "why", "trigger": "Manual", "digest": "d2"} | fields))


def verdict(
    asked: Request | None = None,
    retune: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    *,
    running: bool = False,
    suspended: bool = False,
) -> Suppressed | None:
    return suppression(
        asked or request(),
        Retune.model_validate(retune or {}),
        RetuneStatus(**(status or {})),
        now=NOW,
        running=running,
        suspended=suspended,
    )


@pytest.mark.parametrize(
    "value", ["2026-03-08T12:00:00+00:00", "just do it", "17", "null", '{"reason": "no token"}', "{"]
)
def test_a_value_that_is_no_json_with_a_token_is_a_token_by_hand(value: str) -> None:
    asked = parse_request(value)
    assert (asked.token, asked.trigger) == (value, "Manual")


def test_json_names_who_asks_and_why() -> None:
    asked = parse_request(json.dumps({"token": "t", "reason": "accuracy fell", "trigger": "Alert", "evidence": {}}))
    assert (asked.token, asked.reason, asked.trigger) == ("t", "accuracy fell", "Alert")


def test_a_repeated_delivery_has_another_digest_and_the_same_token() -> None:
    first, second = (parse_request(json.dumps({"token": "t", "received": moment})) for moment in ("12:00", "13:00"))
    assert first.token == second.token
    assert first.digest != second.digest


def test_a_request_fits_the_status_however_long_it_is() -> None:
    asked = parse_request(json.dumps({"token": "t" * 9999, "reason": "r" * 9999}))
    assert max(len(asked.token), len(asked.reason)) == 256
    assert len(parse_request("x" * 9999).token) == 256


def test_a_request_by_hand_is_taken_when_nothing_stands_against_it() -> None:
    assert verdict() is None


@pytest.mark.parametrize(("triggers", "expected"), [([], Suppressed.NOT_A_TRIGGER), (["Alert"], None)])
def test_an_alert_is_taken_where_it_is_a_trigger(triggers: list[str], expected: Suppressed | None) -> None:
    assert verdict(request(trigger="Alert"), {"triggers": triggers}) is expected


AGAINST: list[tuple[dict[str, Any], Suppressed]] = [
    ({"status": {"last_taken": "t2"}}, Suppressed.DUPLICATE),
    ({"suspended": True}, Suppressed.SUSPENDED),
    ({"running": True}, Suppressed.ROUND_RUNNING),
    ({"retune": {"cooldown": "6h"}, "status": {"last_time": NOW - HOUR}}, Suppressed.COOLDOWN),
    ({"retune": {"maxPerDay": 2}, "status": {"last_time": NOW - HOUR, "today": 2}}, Suppressed.DAILY_LIMIT),
]


@pytest.mark.parametrize(("situation", "expected"), AGAINST, ids=[str(reason) for _, reason in AGAINST])
def test_a_request_is_suppressed_for_the_reason_that_holds(situation: dict[str, Any], expected: Suppressed) -> None:
    assert verdict(**situation) is expected


@pytest.mark.parametrize(
    "situation",
    [
        {"retune": {"cooldown": "6h"}, "status": {"last_time": NOW - 6 * HOUR}},
        {"retune": {"cooldown": "6h"}},
        {"retune": {"maxPerDay": 2}, "status": {"last_time": NOW - HOUR, "today": 1}},
        {"retune": {"maxPerDay": 2}, "status": {"last_time": NOW - 13 * HOUR, "today": 2}},
        {"status": {"last_taken": "t1"}},
        {"status": {"last_handled": "t2"}},  # refused once, in a cooldown perhaps
    ],
)
def test_a_reason_that_has_passed_stands_against_nothing(situation: dict[str, Any]) -> None:
    assert verdict(**situation) is None


def test_the_days_count_begins_anew_at_midnight_utc() -> None:
    status = RetuneStatus(today=3, last_time=NOW.replace(hour=0, minute=0))
    assert started_today(status, NOW) == 3
    assert started_today(status, NOW + timedelta(hours=12)) == 0


def test_a_request_that_is_taken_is_counted_and_remembered() -> None:
    after = answered(RetuneStatus(suppressed=4, today=1, last_time=NOW - HOUR), request(), None, NOW)
    assert (after.last_handled, after.last_request, after.today, after.suppressed) == ("t2", "d2", 2, 4)
    assert (after.last_taken, after.last_time, after.reason) == ("t2", NOW, "why")


def test_a_request_that_is_suppressed_is_answered_too_and_leaves_the_clock() -> None:
    before = RetuneStatus(suppressed=4, today=1, last_time=NOW - HOUR)
    after = answered(before, request(), Suppressed.COOLDOWN, NOW)
    assert (after.last_handled, after.last_request, after.suppressed) == ("t2", "d2", 5)
    assert (after.last_time, after.today, after.reason) == (before.last_time, 1, "Cooldown: why")
    assert after.last_taken is None, "the same alert may ask again when the cooldown is over"


@pytest.mark.parametrize(
    ("given", "retuned", "expected"),
    [
        ({"trials": 5}, True, {"trials": 5, "duration": "1h"}),
        ({"trials": 5}, False, {"trials": 100, "duration": "1h"}),
        ({"duration": "5m"}, True, {"trials": 100, "duration": "5m"}),
        (None, True, {"trials": 100, "duration": "1h"}),
    ],
)
def test_a_round_that_was_asked_for_has_its_own_budget(given: Any, retuned: bool, expected: dict[str, Any]) -> None:
    retune = Retune(budget=RetuneBudget.model_validate(given) if given else None)
    budget = Budget.model_validate({"trials": 100, "duration": "1h", "failedTrials": 3})
    assert round_budget(budget, retune, retuned=retuned).manifest() == {
        **expected,
        "failedTrials": 3,
        "startDeadline": "10m",
    }
