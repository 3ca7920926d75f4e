"""Why a running trial must not go on: the decision that the heartbeat makes at each tick. Nothing here does I/O."""

from datetime import timedelta

from tuning_study.budget import StopReason
from tuning_worker.exceptions import TrialInterrupted

_RUNNING_TRIALS_FINISH = frozenset({StopReason.BUDGET_USED, StopReason.STOPPED_BY_OBJECTIVE, StopReason.GRID_WALKED})


def reason_to_interrupt(
    ran_for: timedelta, trial_duration: timedelta | None, round_over: StopReason | None, *, grace_is_over: bool
) -> TrialInterrupted | None:
    """What to raise into an objective that has run for `ran_for`, or None while it may go on.

    `round_over` is why the round takes no more trials, and `grace_is_over` says that the worker was told to stop and
    its trial has had its time since. Only a trial that took too long failed; the others wait for another worker.
    """
    if trial_duration is not None and ran_for > trial_duration:
        message = took_longer(trial_duration)
        return TrialInterrupted(message, failure=message)
    if round_over is not None and round_over not in _RUNNING_TRIALS_FINISH:
        return TrialInterrupted(f"the round is over: {round_over}")
    if grace_is_over:
        return TrialInterrupted("the worker must stop")
    return None


def took_longer(trial_duration: timedelta) -> str:
    """Why a trial failed that reached `trial_duration`."""
    return f"took longer than budget.trialDuration ({trial_duration})"
