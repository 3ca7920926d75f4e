"""A round whose search is over, and whose best trials are measured again by the same workers."""

from dataclasses import replace

from tuning_operator import reasons
from tuning_operator.plan.actions import StudyEvent
from tuning_operator.plan.draft import Draft, Plan
from tuning_operator.plan.lost_trials import settle_lost_trials
from tuning_operator.plan.workers import run, suspend, workers_abandoned, workers_keep_failing
from tuning_study.api.spec import TuningStudySpec


def verify(draft: Draft, spec: TuningStudySpec) -> Plan:
    """Keep the workers at it. They begin the verification by themselves; until then the search is what is known."""
    verification = draft.observed.verification
    if draft.status.state not in ("Verifying", "Suspended"):
        draft.events.append(StudyEvent(reasons.VERIFYING, f"round {draft.status.round}: {_what_runs(spec)}"))
    if verification is not None:
        draft.verification = verification.study
        draft.observed = replace(draft.observed, progress=verification)
        settle_lost_trials(draft)
    if workers_abandoned(draft) or workers_keep_failing(draft):
        return draft.done()
    if spec.suspend:
        return suspend(draft)
    run(draft, spec)
    if draft.status.state == "Running":
        draft.set(state="Verifying")
        done = f", {verification.counts.used} of {verification.limits.trials} done" if verification is not None else ""
        message = f"round {draft.status.round}: {_what_runs(spec)}{done}"
        draft.condition("Running", "True", reasons.VERIFYING, message)
    return draft.done(poll=True)


def _what_runs(spec: TuningStudySpec) -> str:
    assert spec.verification is not None
    top, repeats = spec.verification.top, spec.verification.repeats
    if top == 1:
        return f"the best trial is measured again, {repeats} times"
    return f"the best {top} trials are measured again, {repeats} times each"
