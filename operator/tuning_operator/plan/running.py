"""The condition Running: whether workers take trials, and in whose words they do not."""

from collections.abc import Iterator
from datetime import UTC

from tuning_kube import names
from tuning_operator import reasons
from tuning_operator.plan.actions import (
    StudyEvent,
)
from tuning_operator.plan.draft import Draft, workers_in_words
from tuning_study.standstill import describe_standstill

_PENDING_AFTER = {True: 10.0, False: 14.0}  # seconds without a worker until the study says so, with a reason or none
_UNHEARD_OF = 30.0  # seconds in which Kueue says something of each Job in its queues


def tell_running(draft: Draft, suspended: bool) -> None:
    if suspended:
        draft.condition("Running", "False", reasons.SUSPENDED, "spec.suspend is true")
        draft.condition("Suspended", "True", reasons.SUSPENDED, "spec.suspend is true")
        return
    draft.condition("Suspended", "False", reasons.RESUMED, "")
    if held := _why_held(draft):
        _tell_pending(draft, *held)
        return
    _tell_admission(draft)
    missing = draft.observed.missing
    if missing is not None and missing.running == 0 and missing.seconds >= _PENDING_AFTER[bool(missing.message)]:
        message = f"no worker runs: {missing.message}" if missing.message else "no worker runs yet"
        _tell_pending(draft, reasons.WORKERS_PENDING, message)
        return
    remarks = [f"round {draft.status.round} runs", *_of_missing(draft), *_of_standstill(draft)]
    draft.condition("Running", "True", reasons.ROUND_STARTED, "; ".join(remarks))


def _why_held(draft: Draft) -> tuple[str, str] | None:
    """Reason and message while the Job waits for somebody else."""
    workers, queued = draft.observed.workers, draft.observed.queued
    if workers is not None and workers.waits_in_queue:
        words = queued.message if queued else ""
        if queued and not words and queued.seconds >= _UNHEARD_OF:
            words = (
                f"Kueue says nothing of it; is there a LocalQueue {workers.queue} in this namespace?"
                if queued.seen
                else "no Kueue has seen this Job; is it installed, and does it manage this namespace?"
            )
        return reasons.QUEUED, f"waits in queue {workers.queue}: {words}".rstrip(": ")
    if held_by_others(draft):
        return reasons.HELD, (
            "somebody suspended the worker Job. Kueue does where it manages Jobs without a queue: then label the "
            f"study {names.QUEUE_LABEL}; else set the Job's spec.suspend to false"
        )
    return None


def held_by_others(draft: Draft) -> bool:
    """Whether somebody else suspended the Job. Whoever it is would do it again, so it is left to them."""
    workers = draft.observed.workers
    if workers is None or not workers.suspended or workers.queue is not None:
        return False
    return not (workers.suspended_by_operator or draft.status.state in ("Suspended", "Complete", "Failed"))


def _tell_pending(draft: Draft, reason: str, message: str) -> None:
    before = draft.status.condition("Running")
    if before is None or before.reason != reason:
        draft.events.append(StudyEvent(reason, message, "Normal" if reason == reasons.QUEUED else "Warning"))
    draft.condition("Running", "False", reason, message)
    draft.set(state="Pending")


def _tell_admission(draft: Draft) -> None:
    workers, before = draft.observed.workers, draft.status.condition("Running")
    if workers is not None and workers.queue is not None and before is not None and before.reason == reasons.QUEUED:
        draft.events.append(
            StudyEvent(reasons.ADMITTED, f"queue {workers.queue} admits {workers_in_words(workers.replicas)}")
        )


def _of_missing(draft: Draft) -> Iterator[str]:
    missing, workers = draft.observed.missing, draft.observed.workers
    if workers is None or missing is None or missing.seconds < _PENDING_AFTER[True]:
        return
    if 0 < missing.running < workers.replicas:  # all may run while another container keeps a pod from being ready
        yield f"{missing.running} of {workers.replicas} workers run; the others wait: {missing.message}".rstrip(": ")


def _of_standstill(draft: Draft) -> Iterator[str]:
    progress, spec = draft.observed.progress, draft.observed.study.spec
    if progress is None or spec is None or draft.status.round == 0:
        return
    since = max(filter(None, (progress.started_at, progress.last_finished_at))).replace(tzinfo=UTC)
    if draft.observed.workers is not None and draft.observed.workers.started_at is not None:  # anew after a suspension
        since = max(since, draft.observed.workers.started_at)
    limited = spec.budget.trial_duration is not None
    if words := describe_standstill(progress.counts.running, draft.observed.now - since, limited=limited):
        yield words
