"""When a trial may start, when its result counts, and when a study is over. The one rule for every storage."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from tuning_study.failures import alike


class StopReason(StrEnum):
    """Why a round takes no more trials."""

    BUDGET_USED = "BudgetUsed"  # complete + pruned trials reached budget.trials
    DURATION_USED = "DurationUsed"  # budget.duration has passed
    GOAL_REACHED = "GoalReached"  # one trial reached every objective's goal
    NO_IMPROVEMENT = "NoImprovement"  # budget.noImprovement trials in a row improved nothing
    STOPPED_BY_OBJECTIVE = "StoppedByObjective"  # the objective called study.stop()
    GRID_WALKED = "GridWalked"  # each point of the grid had a trial, and some of those failed
    TOO_MANY_FAILURES = "TooManyFailures"  # budget.failedTrials trials failed
    FAILED_FAST = "FailedFast"  # the first budget.failFast trials failed alike, and none ended well
    REJECTED = "Rejected"  # the workers found that the objective cannot run at all


SUCCESSES = frozenset(
    {
        StopReason.BUDGET_USED,
        StopReason.DURATION_USED,
        StopReason.GOAL_REACHED,
        StopReason.NO_IMPROVEMENT,
        StopReason.STOPPED_BY_OBJECTIVE,
        StopReason.GRID_WALKED,
    }
)

REOPENED = frozenset({StopReason.REJECTED, StopReason.FAILED_FAST})
"""Ends that a correction outside the manifest may have undone."""


@dataclass(frozen=True)
class Counts:
    """Trials of a round by state."""

    complete: int = 0
    pruned: int = 0
    failed: int = 0
    running: int = 0
    waiting: int = 0

    @property
    def used(self) -> int:
        """Trials that were charged to the budget."""
        return self.complete + self.pruned


@dataclass(frozen=True)
class RoundLimits:
    """What the store holds of a round's budget; the operator may change it in flight."""

    trials: int | None
    failed_trials: int
    stop: StopReason | None = None  # decided by a worker: goal reached, no improvement, stopped, failed fast, …
    paused: bool = False
    past_deadline: bool = False


class ClaimDecision(StrEnum):
    TAKE = "Take"
    WAIT = "Wait"  # paused, or the trials that are running may use up the rest
    OVER = "Over"


def stop_reason(counts: Counts, limits: RoundLimits) -> StopReason | None:
    """Why the round is finished, or None while it may go on."""
    if limits.stop is not None:
        return limits.stop
    if limits.trials is not None and counts.used >= limits.trials:
        return StopReason.BUDGET_USED
    if counts.failed >= limits.failed_trials:
        return StopReason.TOO_MANY_FAILURES
    if limits.past_deadline:
        return StopReason.DURATION_USED
    return None


def fail_alike(reasons: Sequence[str], limit: int) -> bool:
    """Whether the round's first failures say that no other trial would fare better: `limit` of them or more have one
    reason. Reasons that differ in numbers only are one. 0 is no limit."""
    return 0 < limit <= len(reasons) and len(set(map(alike, reasons))) == 1


def may_claim(counts: Counts, limits: RoundLimits) -> ClaimDecision:
    """Whether a worker may start one more trial, decided in the transaction that would start it."""
    if stop_reason(counts, limits) is not None:
        return ClaimDecision.OVER
    if limits.paused:
        return ClaimDecision.WAIT
    if limits.trials is not None and counts.used + counts.running >= limits.trials:
        return ClaimDecision.WAIT
    return ClaimDecision.TAKE


def result_counts(counts: Counts, limits: RoundLimits) -> bool:
    """Whether a result that arrives now is within the budget; it may have been lowered while the trial ran."""
    return limits.trials is None or counts.used < limits.trials
