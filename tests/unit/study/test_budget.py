"""When a trial may start, when its result counts, and when a round is over."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_study.budget import SUCCESSES, Claim, Counts, Limits, Over, may_claim, over, result_counts

FEW = st.integers(0, 12)
COUNTS = st.builds(Counts, complete=FEW, pruned=FEW, failed=FEW, running=FEW, waiting=FEW)
LIMITS = st.builds(
    Limits,
    trials=st.none() | st.integers(1, 30),
    failed_trials=st.integers(1, 30),
    stop=st.none() | st.sampled_from(Over),
    paused=st.booleans(),
    past_deadline=st.booleans(),
)


@pytest.mark.parametrize(
    ("counts", "limits", "why"),
    [
        ({}, {}, None),
        ({"complete": 9, "pruned": 0}, {}, None),
        ({"complete": 6, "pruned": 4}, {}, Over.BUDGET_USED),
        ({"complete": 12}, {}, Over.BUDGET_USED),
        ({"complete": 1000}, {"trials": None}, None),
        ({"failed": 2}, {}, None),
        ({"failed": 3}, {}, Over.TOO_MANY_FAILURES),
        ({}, {"past_deadline": True}, Over.DURATION_USED),
        ({"complete": 10, "failed": 3}, {"past_deadline": True}, Over.BUDGET_USED),
        ({"complete": 10}, {"stop": Over.GOAL_REACHED}, Over.GOAL_REACHED),
        ({}, {"stop": Over.REJECTED}, Over.REJECTED),
        ({"complete": 10}, {"paused": True}, Over.BUDGET_USED),
    ],
)
def test_a_round_is_over_for_one_reason(counts: dict[str, int], limits: dict[str, Any], why: Over | None) -> None:
    assert over(Counts(**counts), Limits(**({"trials": 10, "failed_trials": 3} | limits))) is why


@pytest.mark.parametrize(
    ("counts", "limits", "answer"),
    [
        ({}, {}, Claim.TAKE),
        ({"complete": 5, "running": 4}, {}, Claim.TAKE),
        ({"complete": 5, "running": 5}, {}, Claim.WAIT),
        ({"complete": 10}, {}, Claim.OVER),
        ({}, {"paused": True}, Claim.WAIT),
        ({"running": 1000}, {"trials": None}, Claim.TAKE),
        ({"failed": 3}, {"paused": True}, Claim.OVER),
    ],
)
def test_a_worker_takes_waits_or_goes(counts: dict[str, int], limits: dict[str, Any], answer: Claim) -> None:
    assert may_claim(Counts(**counts), Limits(**({"trials": 10, "failed_trials": 3} | limits))) is answer


@pytest.mark.parametrize(
    ("complete", "trials", "counts"), [(9, 10, True), (10, 10, False), (12, 10, False), (12, None, True)]
)
def test_a_result_counts_while_the_budget_has_room(complete: int, trials: int | None, counts: bool) -> None:
    assert result_counts(Counts(complete=complete), Limits(trials, 3)) is counts


@pytest.mark.parametrize("reason", Over)
def test_only_failures_and_rejection_are_no_success(reason: Over) -> None:
    assert (reason in SUCCESSES) is (reason not in (Over.TOO_MANY_FAILURES, Over.REJECTED))


@given(COUNTS, LIMITS)
def test_a_claim_never_allows_more_than_the_budget(counts: Counts, limits: Limits) -> None:
    if may_claim(counts, limits) is Claim.TAKE:
        assert over(counts, limits) is None
        assert not limits.paused
        assert limits.trials is None or counts.used + counts.running + 1 <= limits.trials


@given(COUNTS, LIMITS)
def test_a_round_that_is_neither_over_nor_paused_goes_on_as_soon_as_nothing_runs(
    counts: Counts, limits: Limits
) -> None:
    idle = Counts(counts.complete, counts.pruned, counts.failed, 0, counts.waiting)
    if over(idle, limits) is None and not limits.paused:
        assert may_claim(idle, limits) is Claim.TAKE


@given(COUNTS, LIMITS, st.integers(0, 20))
def test_the_used_budget_passes_the_target_in_no_order_of_claims_and_ends(
    counts: Counts, limits: Limits, results: int
) -> None:
    """Whatever was claimed, also before the budget was lowered: results that count never pass it."""
    used = counts.used
    for _ in range(results):
        now = Counts(complete=used)
        if result_counts(now, limits):
            used += 1
    assert limits.trials is None or used <= max(counts.used, limits.trials)
