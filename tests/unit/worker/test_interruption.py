"""Which running trials must not go on, and which of those have failed."""

from datetime import timedelta

import pytest

from tuning_study.budget import StopReason
from tuning_worker.interruption import reason_to_interrupt

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("ran_for", "round_over", "grace_is_over", "want_message", "want_failure"),
    [
        (11, None, False, "took longer than budget.trialDuration (0:00:10)", True),
        (11, StopReason.GOAL_REACHED, True, "took longer than budget.trialDuration (0:00:10)", True),
        (1, StopReason.GOAL_REACHED, False, "the round is over: GoalReached", False),
        (1, StopReason.DURATION_USED, False, "the round is over: DurationUsed", False),
        (1, StopReason.TOO_MANY_FAILURES, False, "the round is over: TooManyFailures", False),
        (1, StopReason.REJECTED, False, "the round is over: Rejected", False),
        (1, None, True, "the worker must stop", False),
        (1, StopReason.BUDGET_USED, True, "the worker must stop", False),
    ],
)
def test_a_trial_is_interrupted(
    ran_for: int, round_over: StopReason | None, grace_is_over: bool, want_message: str, want_failure: bool
) -> None:
    reason = reason_to_interrupt(ran_for * SECOND, 10 * SECOND, round_over, grace_is_over=grace_is_over)
    assert reason is not None
    assert (str(reason), reason.failure) == (want_message, want_message if want_failure else None)


@pytest.mark.parametrize(
    "round_over", [None, StopReason.BUDGET_USED, StopReason.STOPPED_BY_OBJECTIVE, StopReason.GRID_WALKED]
)
def test_a_trial_goes_on(round_over: StopReason | None) -> None:
    assert reason_to_interrupt(10 * SECOND, 10 * SECOND, round_over, grace_is_over=False) is None


def test_without_a_limit_a_trial_may_take_any_time() -> None:
    assert reason_to_interrupt(timedelta(days=7), None, None, grace_is_over=False) is None
