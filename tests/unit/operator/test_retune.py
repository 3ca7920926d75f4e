"""Every request for a new round is answered: it starts one, or it is told why not."""

from datetime import timedelta
from typing import Any

import pytest

from builders import NOW
from tuning_operator.plan.requests import answered, round_budget, suppression, within_a_day
from tuning_study.api.budget import Budget
from tuning_study.api.retune import Retune, RetuneBudget
from tuning_study.api.status import RetuneStatus, Suppression
from tuning_study.requests import RetuneRequest

HOUR = timedelta(hours=1)


def request(**fields: Any) -> RetuneRequest:
    return RetuneRequest(**({"token": "t2", "reason": "why", "trigger": "Manual"} | fields))


def verdict(
    asked: RetuneRequest | None = None,
    retune: dict[str, Any] | None = None,
    status: dict[str, Any] | None = None,
    *,
    frozen: bool = False,
    room: bool = True,
    running: bool = False,
    suspended: bool = False,
) -> Suppression | None:
    return suppression(
        asked or request(),
        Retune.model_validate(retune or {}),
        RetuneStatus(**(status or {})),
        now=NOW,
        frozen=frozen,
        room=room,
        running=running,
        suspended=suspended,
    )


def test_a_request_by_hand_is_taken_when_nothing_stands_against_it() -> None:
    assert verdict() is None


@pytest.mark.parametrize(("triggers", "expected"), [([], "NotATrigger"), (["Alert"], None)])
def test_an_alert_is_taken_where_it_is_a_trigger(triggers: list[str], expected: Suppression | None) -> None:
    assert verdict(request(trigger="Alert"), {"triggers": triggers}) == expected


AGAINST: list[tuple[dict[str, Any], Suppression]] = [
    ({"status": {"last_taken": "t2"}}, "Duplicate"),
    ({"suspended": True}, "Suspended"),
    ({"running": True}, "RoundRunning"),
    ({"retune": {"cooldown": "6h"}, "status": {"last_time": NOW - HOUR}}, "Cooldown"),
    ({"retune": {"maxPerDay": 2}, "status": {"recent": [NOW - HOUR, NOW - 23 * HOUR]}}, "DailyLimit"),
]


@pytest.mark.parametrize(("situation", "expected"), AGAINST, ids=[reason for _, reason in AGAINST])
def test_a_request_is_suppressed_for_the_reason_that_holds(situation: dict[str, Any], expected: Suppression) -> None:
    assert verdict(**situation) == expected


@pytest.mark.parametrize(
    "situation",
    [
        {"retune": {"cooldown": "6h"}, "status": {"last_time": NOW - 6 * HOUR}},
        {"retune": {"cooldown": "6h"}},
        {"retune": {"maxPerDay": 2}, "status": {"recent": [NOW - HOUR]}},
        {"retune": {"maxPerDay": 2}, "status": {"recent": [NOW - HOUR, NOW - 24 * HOUR]}},
        {"frozen": True},
        {"room": False},
        {"status": {"last_taken": "t1"}},
        {"status": {"last_handled": "t2"}},  # refused once, in a cooldown perhaps
    ],
)
def test_a_reason_that_has_passed_stands_against_nothing(situation: dict[str, Any]) -> None:
    assert verdict(**situation) is None


@pytest.mark.parametrize(("against", "expected"), [({"frozen": True}, "Frozen"), ({"room": False}, "RoundsLimit")])
def test_what_holds_up_programs_holds_up_no_person(against: Any, expected: Suppression) -> None:
    assert verdict(request(trigger="Alert"), {"triggers": ["Alert"]}, **against) == expected


def test_a_day_is_any_24_hours() -> None:
    """Two at 23:59 and two at 00:01 are four in two minutes."""
    midnight = NOW.replace(hour=0, minute=0)
    status = RetuneStatus(recent=[midnight - timedelta(minutes=1)] * 2)
    assert len(within_a_day(status, midnight + timedelta(minutes=1))) == 2
    assert within_a_day(status, midnight + 24 * HOUR) == []


def test_a_request_that_is_taken_is_counted_and_remembered() -> None:
    before = RetuneStatus(suppressed=4, recent=[NOW - 25 * HOUR, NOW - HOUR], last_time=NOW - HOUR)
    after = answered(before, request(digest="d2"), None, NOW)
    assert (after.last_handled, after.last_request, after.suppressed) == ("t2", "d2", 4)
    assert after.recent == [NOW - HOUR, NOW]
    assert (after.last_taken, after.last_time, after.last_outcome, after.reason) == ("t2", NOW, "Started", "why")


def test_a_request_that_is_suppressed_is_answered_too_and_leaves_the_clock() -> None:
    before = RetuneStatus(suppressed=4, recent=[NOW - HOUR], last_time=NOW - HOUR)
    after = answered(before, request(digest="d2"), "Cooldown", NOW)
    assert (after.last_handled, after.last_request, after.suppressed) == ("t2", "d2", 5)
    assert (after.last_time, after.recent) == (before.last_time, before.recent)
    assert (after.last_outcome, after.reason) == ("Cooldown", "why")
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
    given_to_round = round_budget(budget, retune, retuned=retuned).manifest()
    assert given_to_round == budget.manifest() | expected
