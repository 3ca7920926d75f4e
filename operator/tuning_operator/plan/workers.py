"""The workers of a round that goes on: started, scaled, suspended, queued again, or given up."""

from collections.abc import Mapping, Sequence
from itertools import takewhile

from tuning_operator import reasons
from tuning_operator.executors.view import WorkersView, WorkerView
from tuning_operator.plan.actions import (
    Action,
    RemoveWorker,
    RemoveWorkers,
    ScaleWorkers,
    SetPaused,
    StartWorkers,
    StudyEvent,
)
from tuning_operator.plan.draft import Draft, Plan, workers_in_words
from tuning_operator.plan.rounds import finish_round, resolve_round
from tuning_operator.plan.running import held_by_others, tell_running
from tuning_study.api.duration import format_duration
from tuning_study.api.spec import TuningStudySpec
from tuning_study.budget import Counts
from tuning_study.round import workers_digest

_MAX_FAILURES_PER_WORKER = 3  # with no trial ended in between


def run(draft: Draft, spec: TuningStudySpec) -> Plan:
    """Let the workers be as the manifest asks, as far as nobody else decides over them."""
    observed, replicas = draft.observed, spec.workers.replicas
    progress, workers = observed.progress, observed.workers
    assert progress is not None
    if _start_took_too_long(draft, spec):
        return draft.done()
    waits = _waits_to_be_admitted(draft)
    if progress.limits.paused != waits:
        draft.actions.append(SetPaused(waits, of=draft.verification))  # the budget's clock stands still meanwhile
    if workers is None:
        draft.actions.append(StartWorkers(resolve_round(draft, spec, draft.status.round), replicas))
    elif workers.deleting:
        pass  # the next look finds it gone
    elif workers.finished == "Complete" or _workers_changed_while_none_runs(draft, spec):
        # Complete: its workers saw a budget that was raised since. The next look makes it anew.
        draft.actions.append(RemoveWorkers(draft.status.round))
    elif words := _reason_to_queue_again(draft, spec):
        draft.actions.append(RemoveWorkers(draft.status.round))
        draft.events.append(StudyEvent(reasons.REQUEUED, f"{words}: the workers end, and wait in the queue again"))
    elif workers.queue is None and not held_by_others(draft) and (workers.replicas != replicas or workers.suspended):
        draft.actions.append(ScaleWorkers(draft.status.round, replicas, suspended=False))
        if workers.replicas != replicas:
            draft.events.append(StudyEvent(reasons.SCALED, f"from {workers.replicas} to {workers_in_words(replicas)}"))
    draft.actions += [RemoveWorker(name) for name in (observed.missing.outlived if observed.missing else ())]
    if draft.status.state == "Suspended":
        draft.events.append(StudyEvent(reasons.RESUMED, f"with {workers_in_words(replicas)}"))
    if draft.status.state in ("Complete", "Failed"):
        draft.set(completion_time=None)
        draft.condition("Complete", "False", reasons.ROUND_STARTED, "the budget was raised")
        draft.condition("Failed", "False", reasons.NOT_FAILED, "")
    draft.set(state="Running")
    tell_running(draft, suspended=False)
    return draft.done(poll=True)


def suspend(draft: Draft) -> Plan:
    """No trial is claimed any more, and the workers stop."""
    progress, workers = draft.observed.progress, draft.observed.workers
    assert progress is not None
    if not progress.limits.paused:
        draft.actions.append(SetPaused(True, of=draft.verification))
    if workers is not None and (workers.is_active or workers.waits_in_queue):
        draft.actions.append(stop_workers(draft, workers))
    if draft.status.state != "Suspended":
        draft.events.append(StudyEvent(reasons.SUSPENDED, "workers stop; what they run is finished or put back"))
    draft.set(state="Suspended")
    tell_running(draft, suspended=True)
    return draft.done(poll=progress.counts.running > 0)


def stop_workers(draft: Draft, workers: WorkersView) -> Action:
    """A Job in a queue is removed, which frees its quota; Kueue would start it again if it were suspended."""
    if workers.queue is not None:
        return RemoveWorkers(draft.status.round)
    return ScaleWorkers(draft.status.round, workers.replicas, suspended=True)


def _waits_to_be_admitted(draft: Draft) -> bool:
    workers, study = draft.observed.workers, draft.observed.study
    return study.queue is not None if workers is None else workers.waits_in_queue


def _reason_to_queue_again(draft: Draft, spec: TuningStudySpec) -> str:
    """Why a Job in a queue does not serve any more, as no change of it would be taken; empty if it does."""
    workers, study = draft.observed.workers, draft.observed.study
    assert workers is not None
    if study.queue not in (None, workers.queue):
        return f"the study asks for queue {study.queue}"
    if workers.queue is not None and workers.requested not in (None, spec.workers.replicas):
        return f"spec.workers.replicas was {workers.requested} and is {spec.workers.replicas}"
    return ""


def _workers_changed_while_none_runs(draft: Draft, spec: TuningStudySpec) -> bool:
    """Whether spec.workers was changed since the Job was made, and a new Job takes no worker away from its trial."""
    workers, missing = draft.observed.workers, draft.observed.missing
    assert workers is not None
    if workers.workers_digest in ("", workers_digest(spec.workers)):
        return False
    return workers.suspended or (missing is not None and missing.running == 0)


def _start_took_too_long(draft: Draft, spec: TuningStudySpec) -> bool:
    """Whether no trial began within the deadline, and nothing but the workers is to wait for. Ends the round then."""
    observed, workers = draft.observed, draft.observed.workers
    if workers is None or workers.started_at is None or not workers.is_active or workers.queue is not None:
        return False
    deadline, counts = spec.budget.start_deadline, draft.status.trials
    began = counts.complete + counts.pruned + counts.failed + counts.running > 0
    if began or observed.now - workers.started_at < deadline:
        return False
    words = observed.missing.message if observed.missing else "workers run, and load the objective or its data"
    message = f"no trial began within budget.startDeadline ({format_duration(deadline)}): {words}".rstrip(": ")
    finish_round(draft, False, reasons.START_DEADLINE, message)
    draft.actions.append(RemoveWorkers(draft.status.round))
    return True


def workers_abandoned(draft: Draft) -> bool:
    """Whether the round failed for its workers, and nobody has changed the manifest since."""
    failed = draft.status.condition("Failed")
    return (
        failed is not None
        and failed.status == "True"
        and failed.reason in (reasons.WORKERS_FAILED, reasons.START_DEADLINE)
        and failed.observed_generation == draft.observed.study.generation
    )


def workers_keep_failing(draft: Draft) -> bool:
    """Whether they were given up, or end again and again while no trial does. Ends the round then."""
    workers, progress = draft.observed.workers, draft.observed.progress
    assert progress is not None
    if workers is None or workers.deleting:
        return False
    each, counts = draft.observed.each or (), progress.counts
    no_trial_ended = counts.used + counts.failed == 0
    failures = workers.failed if no_trial_ended else _failures_since_progress(each, progress.counts_by_worker)
    if workers.finished != "Failed" and failures < _MAX_FAILURES_PER_WORKER * workers.replicas:
        return False
    last_words = next((worker.message for worker in _ended_newest_first(each) if worker.message), "")
    last_lines = "\n".join(last_words.strip().splitlines()[-5:])
    message = f"{workers.failed} worker pods failed. {workers.message} Last lines: {last_lines}"
    finish_round(draft, False, reasons.WORKERS_FAILED, message)
    draft.actions.append(RemoveWorkers(draft.status.round))
    return True


def _failures_since_progress(each: Sequence[WorkerView], counts_by_worker: Mapping[str, Counts]) -> int:
    """How many workers failed since one last ended a trial; none while one lives that has."""
    made_progress = {name for name, counts in counts_by_worker.items() if counts.used + counts.failed}
    if any(worker.name in made_progress and not worker.ended for worker in each):
        return 0
    since = takewhile(lambda worker: worker.name not in made_progress, _ended_newest_first(each))
    return sum(worker.fault is not None for worker in since)


def _ended_newest_first(each: Sequence[WorkerView]) -> Sequence[WorkerView]:
    return [worker for worker in reversed(each) if worker.ended]
