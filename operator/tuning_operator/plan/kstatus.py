"""The conditions Stalled and Reconciling, by which kstatus tells what becomes of a resource."""

from tuning_operator import reasons
from tuning_operator.observe.observation import Observation
from tuning_operator.plan.actions import (
    StudyEvent,
)
from tuning_operator.plan.draft import Draft, Plan
from tuning_study.api.status import (
    ConditionType,
)

_ENDS_FOR_NOW: tuple[tuple[ConditionType, str], ...] = (("Accepted", "False"), ("Failed", "True"))


def with_kstatus(observed: Observation, decided: Plan) -> Plan:
    """With the two conditions by which kstatus, and so Flux and `helm --wait`, tell what becomes of a resource.

    https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md: Stalled is a failure, Reconciling
    is under way, and neither is current; a round that runs is current, as a Job is.
    """
    draft = Draft(observed, decided.status, list(decided.actions), list(decided.events))
    _tell_stalled(draft)
    _tell_reconciling(draft)
    return draft.done(decided.poll)


def _tell_stalled(draft: Draft) -> None:
    status, before = draft.status, draft.status.condition("Stalled")
    for kind, value in _ENDS_FOR_NOW:
        ended = status.condition(kind)
        if ended is not None and ended.status == value:
            draft.condition("Stalled", "True", ended.reason, ended.message)
            return
    if draft.observed.results_problem:
        message = f"the best trials cannot be described: {draft.observed.results_problem}"
        if before is None or before.status != "True":
            draft.events.append(StudyEvent(reasons.RESULTS_UNREADABLE, message, "Warning"))
        draft.condition("Stalled", "True", reasons.RESULTS_UNREADABLE, message)
    elif before is not None:
        draft.condition("Stalled", "False", reasons.NOT_STALLED, "")


def _tell_reconciling(draft: Draft) -> None:
    status, running = draft.status, draft.status.condition("Running")
    counts, stalled = status.trials, status.condition("Stalled")
    begun = counts.complete + counts.pruned + counts.failed + counts.running > 0
    if status.state != "Pending" or begun or running is None or (stalled is not None and stalled.status == "True"):
        draft.condition("Reconciling", "False", reasons.NOT_RECONCILING, "")
    else:
        draft.condition("Reconciling", "True", running.reason, running.message)
