"""Decides, from what was observed, what to do and what to tell. No clock, no I/O, the same answer every time."""

from dataclasses import replace

from tuning_operator import reasons
from tuning_operator.observe.observation import Observation
from tuning_operator.plan.actions import (
    RemoveWorkers,
    SetRetain,
    StudyEvent,
)
from tuning_operator.plan.draft import Draft, Plan, condition_is, has_ended
from tuning_operator.plan.ending import end_round
from tuning_operator.plan.kstatus import with_kstatus
from tuning_operator.plan.lost_trials import settle_lost_trials
from tuning_operator.plan.production import tell_production
from tuning_operator.plan.promotion.follow import follow_promotion
from tuning_operator.plan.requests import taken_request, trigger_of
from tuning_operator.plan.rounds import count_trials, obey_budget, obey_selection, start_round
from tuning_operator.plan.verification import verify
from tuning_operator.plan.workers import run, suspend, workers_abandoned, workers_keep_failing
from tuning_study.api.status import Round
from tuning_study.budget import StopReason
from tuning_study.round import is_of
from tuning_study.text import first_of

_MOST_PROBLEMS = 10  # of a manifest that a condition tells


def plan(observed: Observation) -> Plan:
    """What to do about a study, and what to tell of it, as it was observed."""
    draft = Draft(observed, observed.study.status)
    if observed.namespace_ends:
        return _let_namespace_end(draft)
    decided = with_kstatus(observed, _decide(draft))
    return replace(decided, poll=decided.poll or _is_moving(draft))


def _decide(draft: Draft) -> Plan:
    observed = draft.observed
    draft.set(observed_generation=observed.study.generation)
    spec = observed.study.spec
    if spec is None:
        return _refuse(draft)
    progress = observed.progress
    if progress is not None and progress.stop_reason is StopReason.REJECTED and is_of(progress.digest, spec):
        draft.condition("Accepted", "False", reasons.OBJECTIVE_REJECTED, progress.detail or "")
    else:
        draft.condition("Accepted", "True", reasons.VALID, "the manifest can run")
    if not _store_is_ready(draft):
        return draft.done(poll=True)

    if progress is None or draft.status.round == 0:  # or it was started, and the operator ended before it told
        rounds = draft.status.rounds or [Round(round=max(1, draft.status.round), trigger="Created")]
        entry = rounds[-1]
        return start_round(draft, spec, entry.round, entry.began_by, entry.reason)
    # A round that was told as complete stays so, though the manifest may ask for a verification since.
    may_change = has_ended(draft) or spec.suspend or draft.status.state in ("Pending", "Complete")
    if may_change and not is_of(progress.digest, spec):
        return start_round(draft, spec, draft.status.round + 1, "SpecChanged")
    tell_production(draft)
    follow_promotion(draft, spec)
    request = taken_request(draft, spec) if not _is_moving(draft) else None
    if request is not None:
        return start_round(draft, spec, draft.status.round + 1, trigger_of(request), request.reason, request)

    settle_lost_trials(draft)
    obey_budget(draft, spec)
    obey_selection(draft, spec)
    if progress.retain != (spec.deletion_policy == "Retain"):
        draft.actions.append(SetRetain(spec.deletion_policy == "Retain"))
    count_trials(draft, spec)
    if observed.verifying:
        return verify(draft, spec)
    if progress.stop_reason is not None:
        return end_round(draft, progress.stop_reason)
    if workers_abandoned(draft) or workers_keep_failing(draft):
        return draft.done()
    if spec.suspend:
        return suspend(draft)
    return run(draft, spec)


def _is_moving(draft: Draft) -> bool:
    """Whether production is being changed; meanwhile no round begins, which would not know what to compare with."""
    return draft.status.promotion is not None and draft.status.promotion.is_moving


def refused(observed: Observation, decided: Plan, problem: str) -> Plan:
    """What to tell, beyond `decided`, when the API server does not take what it wanted to make; once, not each time."""
    message = f"the API server does not take the workers: {problem}"
    before = observed.study.status.condition("Running")
    others = [entry for entry in decided.status.conditions if entry.type != "Running"]
    draft = Draft(observed, decided.status)
    draft.set(conditions=[*others, before] if before is not None else others)
    if before is None or before.reason != reasons.WORKERS_REFUSED:
        draft.events.append(StudyEvent(reasons.WORKERS_REFUSED, message, "Warning"))
    draft.condition("Running", "False", reasons.WORKERS_REFUSED, message)
    if decided.status.trials.running == 0 and decided.status.state == "Running":
        draft.set(state="Pending")
    return with_kstatus(observed, draft.done())


def cannot_start(observed: Observation, problem: str) -> Plan:
    """What to tell when a round must not begin for something that is not in the store. Nothing was made of it, and the
    next look tries again: it may come, or the manifest be corrected."""
    draft = Draft(observed, observed.study.status)
    before = draft.status.condition("Running")
    if before is None or (before.reason, before.message) != (reasons.EARLIER_STUDY_MISSING, problem):
        draft.events.append(StudyEvent(reasons.EARLIER_STUDY_MISSING, problem, "Warning"))
    draft.condition("Running", "False", reasons.EARLIER_STUDY_MISSING, problem)
    draft.set(observed_generation=observed.study.generation)
    return with_kstatus(observed, draft.done())


def _let_namespace_end(draft: Draft) -> Plan:
    """A namespace's end takes pods first, but the Job controller holds a pod until its replacement is there, which
    the namespace refuses: without the Job both are free."""
    workers = draft.observed.workers
    if workers is not None and not workers.deleting:
        draft.actions.append(RemoveWorkers(draft.status.round))
    return draft.done()


def _refuse(draft: Draft) -> Plan:
    """A manifest that cannot run starts nothing; a round that runs already is left alone."""
    problems = "; ".join(first_of(draft.observed.study.problems, _MOST_PROBLEMS))
    if not condition_is(draft, "Accepted", "False"):
        draft.events.append(StudyEvent(reasons.INVALID_SPEC, problems, "Warning"))
    draft.condition("Accepted", "False", reasons.INVALID_SPEC, problems)
    draft.condition("Running", "False", reasons.NOT_STARTED, "waits for a manifest that can run")
    return draft.done()


def _store_is_ready(draft: Draft) -> bool:
    problem = draft.observed.store
    was_ready = not condition_is(draft, "StoreReady", "False")
    if problem is not None:
        if was_ready:
            draft.events.append(StudyEvent(problem.reason, problem.message, "Warning"))
        draft.condition("StoreReady", "False", problem.reason, problem.message)
        if draft.status.round == 0:
            draft.condition("Running", "False", reasons.NOT_STARTED, "waits for the store")
        return False
    if not was_ready:
        draft.events.append(StudyEvent(reasons.CONNECTED, "the store answers again"))
    if draft.observed.shared_role:
        message = (
            "all namespaces share one login, so a worker of one could read the studies of another: the "
            "administrator's role may not create roles, or store.roles is false"
        )
        draft.condition("StoreReady", "True", reasons.SHARED_ROLE, message)
    else:
        draft.condition("StoreReady", "True", reasons.CONNECTED, "the store answers")
    return True
