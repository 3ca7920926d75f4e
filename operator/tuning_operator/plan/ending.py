"""The end of a round: the last trials, what is told, and what is cleared away."""

from datetime import timedelta

from tuning_operator import reasons
from tuning_operator.observe.observation import Observation
from tuning_operator.plan.draft import Draft, Plan
from tuning_operator.plan.rounds import finish_round, tell_best
from tuning_operator.plan.workers import stop_workers
from tuning_store.values import Progress
from tuning_study.budget import SUCCESSES, StopReason

_STALE_AFTER = 60.0  # seconds since a worker was heard of, after which it is not waited for
_TIME_TO_END = timedelta(seconds=15)  # for workers to end by themselves after their round


def end_round(draft: Draft, over: StopReason) -> Plan:
    """The round is over; it is told once no trial is running any more."""
    progress = draft.observed.progress
    assert progress is not None
    if progress.counts.running and not (draft.observed.workers and draft.observed.workers.finished):
        return _wait_for_the_last(draft, progress, over)
    if draft.status.state in ("Complete", "Failed"):
        tell_best(draft)  # the selection may have changed since
        return _clear_away(draft)
    succeeded = over in SUCCESSES and progress.counts.complete > 0
    told = [_ending(draft.observed, over), draft.observed.verified, draft.observed.chosen]
    message = "; ".join(filter(None, told))
    finish_round(draft, succeeded, str(over), message)
    return draft.done(poll=draft.observed.workers is not None and draft.observed.workers.finished is None)


def _wait_for_the_last(draft: Draft, progress: Progress, over: StopReason) -> Plan:
    """What still runs is given back, or finished, within seconds. Workers that are silent do neither: their pods go."""
    workers, silent = draft.observed.workers, max(progress.seconds_since_heartbeat.values(), default=0.0)
    if workers is not None and not workers.suspended and not workers.deleting and silent >= _STALE_AFTER:
        draft.actions.append(stop_workers(draft, workers))
    if draft.status.state == "Running":
        running = f"{progress.counts.running} running"
        message = f"round {draft.status.round} takes no more trials ({over}), and ends with those that run: {running}"
        draft.condition("Running", "True", reasons.ROUND_STARTED, message)
    return draft.done(poll=True)


def _clear_away(draft: Draft) -> Plan:
    """Pods that outlive their round are removed, and a suspended Job removes them: a sidecar may live on for ever, and
    so may a worker whose node is gone. What has ended stays, with its log."""
    workers, since = draft.observed.workers, draft.status.completion_time
    if workers is None or not (workers.is_active or workers.waits_in_queue):
        return draft.done()
    if since is not None and draft.observed.now - since >= _TIME_TO_END:
        draft.actions.append(stop_workers(draft, workers))
    return draft.done(poll=True)


def _ending(observed: Observation, over: StopReason) -> str:
    progress = observed.progress
    assert progress is not None
    counts = progress.counts
    tally = f"{counts.complete} complete, {counts.pruned} pruned, {counts.failed} failed"
    why = "; ".join(f"{number} × {reason}" for reason, number in observed.failures[:3])
    match over:
        case StopReason.TOO_MANY_FAILURES:
            return f"{counts.failed} trials failed, as many as budget.failedTrials allows: {why}"
        case StopReason.FAILED_FAST:
            return f"{progress.detail}. Correct the objective; budget.failFast 0 would go on"
        case StopReason.REJECTED:
            return f"the objective cannot run: {progress.detail}"
        case StopReason.GOAL_REACHED | StopReason.NO_IMPROVEMENT:
            return f"{progress.detail}; {tally}"
        case _ if counts.complete == 0:
            return f"no trial completed: {tally}. {why}".strip()
        case _:
            return tally
