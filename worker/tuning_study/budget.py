"""When a trial may start, when its result counts, and when a study is over. The one rule for every storage."""

from dataclasses import dataclass
from enum import StrEnum


class Over(StrEnum):
    """Why a round takes no more trials."""

    BUDGET_USED = "BudgetUsed"  # complete + pruned trials reached budget.trials
    DURATION_USED = "DurationUsed"  # budget.duration has passed
    GOAL_REACHED = "GoalReached"  # one trial reached every objective's goal
    STOPPED_BY_OBJECTIVE = "StoppedByObjective"  # the objective called study.stop()
    GRID_WALKED = "GridWalked"  # each point of the grid had a trial, and some of those failed
    TOO_MANY_FAILURES = "TooManyFailures"  # budget.failedTrials trials failed
    REJECTED = "Rejected"  # the workers found that the objective cannot run at all


SUCCESSES = frozenset(
    {Over.BUDGET_USED, Over.DURATION_USED, Over.GOAL_REACHED, Over.STOPPED_BY_OBJECTIVE, Over.GRID_WALKED}
)


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
class Limits:
    """What the store holds of a round's budget; the operator may change it in flight."""

    trials: int | None
    failed_trials: int
    stop: Over | None = None  # decided by a worker: goal reached, stopped, or rejected
    paused: bool = False
    past_deadline: bool = False


class Claim(StrEnum):
    TAKE = "Take"
    WAIT = "Wait"  # paused, or the trials that are running may use up the rest
    OVER = "Over"


def over(counts: Counts, limits: Limits) -> Over | None:
    """Why the round is finished, or None while it may go on."""
    if limits.stop is not None:
        return limits.stop
    if limits.trials is not None and counts.used >= limits.trials:
        return Over.BUDGET_USED
    if counts.failed >= limits.failed_trials:
        return Over.TOO_MANY_FAILURES
    if limits.past_deadline:
        return Over.DURATION_USED
    return None


def may_claim(counts: Counts, limits: Limits) -> Claim:
    """Whether a worker may start one more trial, decided in the transaction that would start it."""
    if over(counts, limits) is not None:
        return Claim.OVER
    if limits.paused:
        return Claim.WAIT
    if limits.trials is not None and counts.used + counts.running >= limits.trials:
        return Claim.WAIT
    return Claim.TAKE


def result_counts(counts: Counts, limits: Limits) -> bool:
    """Whether a result that arrives now is within the budget; it may have been lowered while the trial ran."""
    return limits.trials is None or counts.used < limits.trials
