"""When a trial may start, when its result counts, and when a round is over."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_study.budget import (
    SUCCESSES,
    ClaimDecision,
    Counts,
    RoundLimits,
    StopReason,
    fail_alike,
    may_claim,
    result_counts,
    stop_reason,
)

FEW = st.integers(0, 12)
COUNTS = st.builds(Counts, complete=FEW, pruned=FEW, failed=FEW, running=FEW, waiting=FEW)
LIMITS = st.builds(
    RoundLimits,
    trials=st.none() | st.integers(1, 30),
    failed_trials=st.integers(1, 30),
    stop=st.none() | st.sampled_from(StopReason),
    paused=st.booleans(),
    past_deadline=st.booleans(),
)


@pytest.mark.parametrize(
    ("counts", "limits", "why"),
    [
        ({}, {}, None),
        ({"complete": 9, "pruned": 0}, {}, None),
        ({"complete": 6, "pruned": 4}, {}, StopReason.BUDGET_USED),
        ({"complete": 12}, {}, StopReason.BUDGET_USED),
        ({"complete": 1000}, {"trials": None}, None),
        ({"failed": 2}, {}, None),
        ({"failed": 3}, {}, StopReason.TOO_MANY_FAILURES),
        ({}, {"past_deadline": True}, StopReason.DURATION_USED),
        ({"complete": 10, "failed": 3}, {"past_deadline": True}, StopReason.BUDGET_USED),
        ({"complete": 10}, {"stop": StopReason.GOAL_REACHED}, StopReason.GOAL_REACHED),
        ({}, {"stop": StopReason.REJECTED}, StopReason.REJECTED),
        ({"complete": 10}, {"paused": True}, StopReason.BUDGET_USED),
    ],
)
def test_a_round_is_over_for_one_reason(counts: dict[str, int], limits: dict[str, Any], why: StopReason | None) -> None:
    assert stop_reason(Counts(**counts), RoundLimits(**({"trials": 10, "failed_trials": 3} | limits))) is why


@pytest.mark.parametrize(
    ("counts", "limits", "answer"),
    [
        ({}, {}, ClaimDecision.TAKE),
        ({"complete": 5, "running": 4}, {}, ClaimDecision.TAKE),
        ({"complete": 5, "running": 5}, {}, ClaimDecision.WAIT),
        ({"complete": 10}, {}, ClaimDecision.OVER),
        ({}, {"paused": True}, ClaimDecision.WAIT),
        ({"running": 1000}, {"trials": None}, ClaimDecision.TAKE),
        ({"failed": 3}, {"paused": True}, ClaimDecision.OVER),
    ],
)
def test_a_worker_takes_waits_or_goes(counts: dict[str, int], limits: dict[str, Any], answer: ClaimDecision) -> None:
    assert may_claim(Counts(**counts), RoundLimits(**({"trials": 10, "failed_trials": 3} | limits))) is answer


@pytest.mark.parametrize(
    ("complete", "trials", "counts"), [(9, 10, True), (10, 10, False), (12, 10, False), (12, None, True)]
)
def test_a_result_counts_while_the_budget_has_room(complete: int, trials: int | None, counts: bool) -> None:
    assert result_counts(Counts(complete=complete), RoundLimits(trials, 3)) is counts


@pytest.mark.parametrize("reason", StopReason)
def test_only_failures_and_rejection_are_no_success(reason: StopReason) -> None:
    failures = (StopReason.TOO_MANY_FAILURES, StopReason.FAILED_FAST, StopReason.REJECTED)
    assert (reason in SUCCESSES) is (reason not in failures)


@pytest.mark.parametrize(
    ("reasons", "limit", "alike"),
    [
        (["KeyError: 'age'"] * 3, 3, True),
        (["KeyError: 'age'"] * 2, 3, False),
        (["KeyError: 'age'"] * 5, 3, True),
        (["no file /tmp/run-1/0x7f3a", "no file /tmp/run-22/0x7f3b"], 2, True),
        (["KeyError: 'age'", "KeyError: 'sex'", "KeyError: 'age'"], 3, False),
        (["KeyError: 'age'"] * 9, 0, False),
        ([], 3, False),
    ],
)
def test_failures_are_alike_when_only_numbers_differ(reasons: list[str], limit: int, alike: bool) -> None:
    assert fail_alike(reasons, limit) is alike


@given(COUNTS, LIMITS)
def test_a_claim_never_allows_more_than_the_budget(counts: Counts, limits: RoundLimits) -> None:
    if may_claim(counts, limits) is ClaimDecision.TAKE:
        assert stop_reason(counts, limits) is None
        assert not limits.paused
        assert limits.trials is None or counts.used + counts.running + 1 <= limits.trials


@given(COUNTS, LIMITS)
def test_a_round_that_is_neither_over_nor_paused_goes_on_as_soon_as_nothing_runs(
    counts: Counts, limits: RoundLimits
) -> None:
    idle = Counts(counts.complete, counts.pruned, counts.failed, 0, counts.waiting)
    if stop_reason(idle, limits) is None and not limits.paused:
        assert may_claim(idle, limits) is ClaimDecision.TAKE


@given(COUNTS, LIMITS, st.integers(0, 20))
def test_the_used_budget_passes_the_target_in_no_order_of_claims_and_ends(
    counts: Counts, limits: RoundLimits, results: int
) -> None:
    """Whatever was claimed, also before the budget was lowered: results that count never pass it."""
    used = counts.used
    for _ in range(results):
        now = Counts(complete=used)
        if result_counts(now, limits):
            used += 1
    assert limits.trials is None or used <= max(counts.used, limits.trials)
