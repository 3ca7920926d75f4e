"""Trials whose worker is gone: they wait again, or have failed."""

from tuning_operator import reasons
from tuning_operator.executors.view import WorkerView
from tuning_operator.plan.actions import (
    FailTrials,
    ReleaseTrials,
    StudyEvent,
)
from tuning_operator.plan.draft import Draft


def settle_lost_trials(draft: Draft) -> None:
    """Trials whose worker is gone wait again, and are charged to nobody; one that ended its own worker has failed."""
    progress, each = draft.observed.progress, draft.observed.each
    if progress is None or each is None:
        return
    by_name = {worker.name: worker for worker in each}
    for name, counts in progress.counts_by_worker.items():
        worker = by_name.get(name)
        if not counts.running or (worker is not None and not worker.is_lost(draft.observed.now)):
            continue
        if worker is not None and worker.fault is not None:
            draft.actions.append(FailTrials(name, worker.fault, of=draft.verification))
            message = f"pod {name}: {worker.fault}"
            draft.events.append(StudyEvent(reasons.TRIAL_ENDED_POD, message, "Warning", first=True))
            continue
        draft.actions.append(ReleaseTrials(name, worker is not None and worker.killed, of=draft.verification))
        message = f"pod {name} {_what_became_of(worker)}: its trial waits again, charged to nobody"
        draft.events.append(StudyEvent(reasons.TRIALS_PUT_BACK, message, "Warning", first=True))


def _what_became_of(worker: WorkerView | None) -> str:
    if worker is None:
        return "is gone"
    return worker.story if worker.ended else "is on a node that does not answer"
